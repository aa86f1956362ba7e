"""AᴴA beside known vectors, and whether it has a large eigenvalue there: seen without converging.

Lanczos iteration from a vector drawn at random comes from below. Of an eigenvalue λ, the largest
of n, its value ρ after m products misses no more than that, but for a small chance (Kuczyński and
Woźniakowski, "Estimating the largest eigenvalue by the power and Lanczos algorithms with a random
start", 1992, theorem 4.2), whatever the other eigenvalues are::

    P( ρ ≤ (1 - ε)·λ )  ≤  1.648·√n·exp(-√ε·(2m - 1))

So where ρ is ε below a level, an eigenvalue at the level or above has at most that chance to have
hidden. It takes about log(√n/P)/(2√ε) products, with no vectors kept: recurrences of three terms
have, with rounding, the largest value again and again, and none larger (Greenbaum, "Behavior of
slightly perturbed Lanczos and conjugate-gradient recurrences", 1989).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped
from scipy.linalg import eigvalsh_tridiagonal
from scipy.sparse.linalg import LinearOperator

__all__ = ["Beside", "anything_above"]

# That a value above the level hides: a thousandth of it takes a third more products.
CHANCE = 1e-6
# Products before ρ is looked at first, how many times as many before it is again, and how many
# looks share the chance: more than it takes, as each says when the next is worth it.
FIRST_LOOK, LATER, LOOKS = 10, 1.05, 30
ROUNDING = 1e-14  # of ρ, some roundings of sums of some hundred


class Beside:
    """AᴴA on the space that is orthogonal to known columns."""

    def __init__(self, matrix: LinearOperator, known: Shaped[np.ndarray, "columns j"]) -> None:
        self._matrix, self._adjoint = matrix, matrix.H
        self._known = known

    def of(self, x: Shaped[np.ndarray, "columns ..."]) -> Shaped[np.ndarray, "columns ..."]:
        """Return what is orthogonal to the known columns."""
        if not self._known.size:
            return x
        # Not by a BLAS: see `_dot`.
        parts = np.einsum("cj,c...->j...", self._known.conj(), x)
        rest: np.ndarray = x - np.einsum("cj,j...->c...", self._known, parts)
        return rest

    def squared(self, x: Shaped[np.ndarray, " columns"]) -> Shaped[np.ndarray, " columns"]:
        """Return the product, for a vector of the space or any other."""
        return self.of(self._adjoint.matvec(self._matrix.matvec(self.of(x))))

    def start(self, draw: np.random.Generator) -> Shaped[np.ndarray, " columns"]:
        """Return a vector of the space, every direction as likely as any other."""
        columns, dtype = self._matrix.shape[1], self._matrix.dtype
        parts = draw.standard_normal((2 if dtype.kind == "c" else 1, columns))
        return self.of((parts.T @ [1, 1j][: len(parts)]).astype(dtype))


def anything_above(
    level: float,
    matrix: LinearOperator,
    known: Shaped[np.ndarray, "columns j"],
    draw: np.random.Generator,
    most: int,
) -> bool | None:
    """Return whether A has a singular value above `level` beside known right singular vectors.

    True where one was seen, False where the chance of one is less than `CHANCE`, None where `most`
    products would not tell.

    >>> from scipy.sparse.linalg import aslinearoperator
    >>> A, draw = aslinearoperator(np.diag([5.0, 4, 3, 2, 1])), np.random.default_rng(0)
    >>> known = np.eye(5)[:, :1]
    >>> [anything_above(level, A, known, draw, most=99) for level in (3.9, 4.0, 4.1)]
    [True, None, False]
    """
    if known.shape[1] == matrix.shape[1]:
        return False
    # Complex vectors are real ones of two numbers each.
    needed = math.log(1.648 * math.sqrt(2 * matrix.shape[1]) * LOOKS / CHANCE)
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    look, looks = FIRST_LOOK, 0
    steps = enumerate(_recurrence(Beside(matrix, known), draw), 1)
    for m, (alpha, beta) in itertools.islice(steps, most):
        diagonal.append(alpha)
        closed = beta <= ROUNDING * level**2  # the iteration saw all there is
        if closed or m >= look:
            looks += 1
            last = (m - 1, m - 1)
            [rho] = eigvalsh_tridiagonal(diagonal, off_diagonal, select="i", select_range=last)
            missing = 1 - rho / level**2
            if missing < -ROUNDING:
                return True
            enough = needed / (2 * math.sqrt(max(missing, ROUNDING))) + 0.5
            if m >= enough or (closed and missing > ROUNDING):
                return False
            if closed or enough > most or looks == LOOKS:
                return None  # ρ only grows, and what is missing gets less
            look = math.ceil(max(enough, LATER * m))
        off_diagonal.append(beta)
    return None


def _recurrence(beside: Beside, draw: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Yield the tridiagonal matrix of Lanczos iteration: an element, and the one behind it."""
    x = beside.start(draw)
    x, before, beta = x / math.sqrt(_dot(x, x)), np.zeros_like(x), 0.0
    while True:
        y = beside.squared(x) - beta * before
        alpha = _dot(x, y)
        y -= alpha * x
        beta = math.sqrt(_dot(y, y))
        yield alpha, beta
        before, x = x, y / beta


def _dot(x: Shaped[np.ndarray, " n"], y: Shaped[np.ndarray, " n"]) -> float:
    """Return Re⟨x, y⟩; a BLAS would wake its threads for each of these, and slow PyTorch's."""
    return float(np.einsum("i,i->", x.conj(), y).real)
