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

import math

import numpy as np
from jaxtyping import Shaped
from scipy.linalg import eigvalsh_tridiagonal
from scipy.sparse.linalg import LinearOperator

__all__ = ["Beside", "anything_above"]

CHANCE = 1e-6  # that a value above the level hides. A millionth of that takes twice the products
LOOKS = 100  # at most: each after a tenth more products. They share the chance


class Beside:
    """AᴴA on the space that is orthogonal to known columns."""

    def __init__(self, matrix: LinearOperator, known: Shaped[np.ndarray, "columns j"]) -> None:
        self._matrix, self._adjoint = matrix, matrix.H
        self._known, self._turned = known, known.conj().T

    def of(self, x: Shaped[np.ndarray, "columns *i"]) -> Shaped[np.ndarray, "columns *i"]:
        """Return what is orthogonal to the known columns."""
        rest: np.ndarray = x - self._known @ (self._turned @ x) if self._known.size else x
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

    >>> A, draw = LinearOperator((9, 9), matvec=lambda x: x, rmatvec=lambda x: x), default_rng(0)
    """
    beside = Beside(matrix, known)
    x = beside.start(draw)
    x, before, beta = x / np.linalg.norm(x), np.zeros_like(x), 0.0
    # Complex vectors are real ones of two numbers each.
    needed = math.log(1.648 * math.sqrt(2 * len(x)) * LOOKS / CHANCE)
    diagonal: list[float] = []
    beside_it: list[float] = []
    look = 10
    while len(diagonal) < most:
        y = beside.squared(x) - beta * before
        diagonal.append(float(np.vdot(x, y).real))
        y -= diagonal[-1] * x
        beta = float(np.linalg.norm(y))
        closed = beta <= 1e-14 * level**2
        if closed or len(diagonal) >= look:
            look += max(1, look // 10)
            last = len(diagonal) - 1
            [rho] = eigvalsh_tridiagonal(
                diagonal, beside_it, select="i", select_range=(last, last)
            )
            missing = 1 - rho / level**2
            if missing <= 0:
                return True if rho > level ** 2 else None
            if closed or needed <= math.sqrt(missing) * (2 * last + 1):
                return False
            if needed > math.sqrt(missing) * (2 * most - 1):
                return None
        beside_it.append(beta)
        before, x = x, y / beta
    return None
