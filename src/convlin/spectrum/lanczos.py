"""The largest singular values from products with A and Aᴴ alone.

ARPACK's Lanczos iteration finds eigenvectors of AᴴA; singular values come from A on the space that
they span, so that squaring costs no digits. An iteration from one vector sees one of several equal
singular values, and finds the others by rounding or not at all: the same kernel in every group, and
kernels that look the same turned, have many. So for more than one value, what was found is taken
out of A, and the iteration runs again from another vector, until nothing larger than the last one
kept is left. That is seen long before it converges (`beside.py`); only where it is not, for equal
values or all but equal ones beside those in hand, does it run to its end.

How good the values are is checked by products: for unit vectors u and v, a singular value lies
within::

    residual = √((‖A·v - σ·u‖² + ‖Aᴴ·u - σ·v‖²) / 2)

of σ, as [0 A; Aᴴ 0] has eigenvalues ±σ (Parlett, "The Symmetric Eigenvalue Problem", theorem
4.5.1). That no larger one was missed is certain only as far as `norm_bound` goes; beyond, it has a
small chance, rounding apart. An iteration from b ends with v = q(AᴴA)·b, where q has no root above
the largest θ = σ², and with ‖AᴴA·v - θ·v‖ = r. Suppose an eigenvalue λ = θ + x is missed, x > r,
with the unit eigenvector e. Then |⟨e, v⟩| ≤ r/x, and v lies but for r/x in eigenvectors above
θ - x. There |q| ≤ q(λ), as no root is further from them than from λ, so that::

    |⟨e, b⟩| / ‖b‖  ≤  (r/x) / √(1 - (r/x)²)

Of n numbers drawn at random that has a probability of at most √(2n/π) times the right-hand side. So
a looser tolerance may miss more. For the largest value alone a second iteration would find nothing
more, as its equals change nothing.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from scipy.sparse.linalg import ArpackError, LinearOperator, aslinearoperator, eigsh

from convlin.spectrum.beside import Beside, anything_above

__all__ = ["Triplets", "lanczos", "triplets"]

EQUAL = 1e-12
"""Larger by less than that many times the norm is no larger. Half of it and less is where rounding
of some thousand summands lies: iterations for nothing. Twice misses values that differ by that."""

SPAN = 30
"""Vectors that ARPACK restarts from, at least. With its own 20 it takes half as many products again
on images of 400², and elsewhere no less time."""
GLANCE = 20
"""Products that are spent on looking again where a single value was asked for, whose equals change
nothing. What that does not see the first iteration did not miss, by the argument above."""


class Triplets(NamedTuple):
    """The largest singular values, and their vectors; fewer than asked for where the rest is 0."""

    u: Shaped[np.ndarray, "rows j"]
    values: Float[np.ndarray, " j"]
    v: Shaped[np.ndarray, "columns j"]


def lanczos(
    matrix: Any, k: int, tolerance: float = 0, spare: int = 0
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Return the `k` largest singular values of an operator, largest first, and their residuals.

    See `triplets`.

    >>> values, residuals = lanczos(np.diag([3.0, 1.0, 2.0, 5.0, 5.0]), 3)
    >>> values.round(6), bool(residuals.max() < 1e-12)
    (array([5., 5., 3.]), True)
    """
    A = aslinearoperator(matrix)
    u, values, v = triplets(A, k, tolerance, spare)
    ahead = np.linalg.norm(A @ v - u * values, axis=0)
    back = np.linalg.norm(A.H @ u - v * values, axis=0)
    zeros = (0, k - len(values))
    return np.pad(values, zeros), np.pad(np.hypot(ahead, back) / np.sqrt(2), zeros)


def triplets(matrix: Any, k: int, tolerance: float = 0, spare: int = 0) -> Triplets:
    """Return the `k` largest singular values of an operator, largest first, and their vectors.

    `k` is less than either side of the matrix. Residuals are at most `tolerance` of their values,
    0 for as little as there can be, and values that differ by less count as equal. One more vector
    is asked for where `spare` has room for it. Vectors are drawn from a fixed seed.
    """
    A: LinearOperator = aslinearoperator(matrix)
    if A.shape[1] > A.shape[0]:
        v, values, u = triplets(A.H, k, tolerance, spare)
        return Triplets(u, values, v)
    A, draw, equal = _Counted(A), np.random.default_rng(0), max(EQUAL, tolerance)
    # A wave and the same wave backwards are stretched alike by a real kernel, but for the border:
    # an even number of values seldom cuts through two that all but agree.
    held = wanted = k + k % 2 if k > 1 and spare else k
    u, values, v = _within(A, np.zeros((A.shape[1], 0), A.dtype))
    while True:
        # Beside the v in hand A has only values that they missed. If one is larger than the last of
        # theirs, it may stand for as many equal ones as there are smaller ones to replace.
        fresh = _leading(A, v, wanted, draw, tolerance)
        largest = np.linalg.norm(A @ fresh, axis=0).max(initial=0)
        before = values[:k]
        enough = len(before) == k
        if largest == 0 or (enough and largest <= before[-1] + equal * before[0]):
            break
        smaller = int(np.sum(before < largest))
        u, values, v = _within(A, np.linalg.qr(np.hstack([v, fresh]))[0])
        u, values, v = u[:, :held], values[:held], v[:, :held]
        if enough and np.sum(values[:k] - before) <= equal * values[0]:
            break  # only rounding was left
        if len(values) >= k:
            level = values[k - 1] + equal * values[0]
            seen = anything_above(level, A, v, draw, most=A.products if k > 1 else GLANCE)
            if seen is False or (k == 1 and not seen):
                break
        wanted = max(1, smaller, k - len(values))
    return Triplets(u[:, :k], values[:k], v[:, :k])


class _Counted(LinearOperator):  # type: ignore[misc]
    """An operator that counts its products with vectors."""

    def __init__(self, matrix: LinearOperator) -> None:
        super().__init__(matrix.dtype, matrix.shape)
        self._matrix, self._adjoint_matrix, self.products = matrix, matrix.H, 0

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        self.products += 1
        y: np.ndarray = self._matrix.matvec(x)
        return y

    def _rmatvec(self, y: np.ndarray) -> np.ndarray:
        x: np.ndarray = self._adjoint_matrix.matvec(y)
        return x

    def _matmat(self, x: np.ndarray) -> np.ndarray:
        y: np.ndarray = self._matrix.matmat(x)
        return y

    def _rmatmat(self, y: np.ndarray) -> np.ndarray:
        x: np.ndarray = self._adjoint_matrix.matmat(y)
        return x


def _within(matrix: LinearOperator, basis: Shaped[np.ndarray, "columns j"]) -> Triplets:
    """Return singular vectors and values of A on the span of orthonormal columns."""
    u, values, turned = np.linalg.svd(matrix @ basis, full_matrices=False)
    return Triplets(u, values, basis @ turned.conj().T)


def _leading(
    matrix: LinearOperator,
    known: Shaped[np.ndarray, "columns j"],
    wanted: int,
    draw: np.random.Generator,
    tolerance: float = 0,
) -> Shaped[np.ndarray, "columns i"]:
    """Return the leading right singular vectors of A beside known ones; none if A is 0 there."""
    beside = Beside(matrix, known)
    start = beside.start(draw)
    if not (matrix @ start).any():
        return known[:, :0]
    if matrix.shape[1] <= max(2 * wanted + 1, 20):  # what SciPy has ARPACK span: all there is
        return beside.of(np.eye(matrix.shape[1], dtype=matrix.dtype))
    gram = LinearOperator((matrix.shape[1],) * 2, matvec=beside.squared, dtype=matrix.dtype)
    # Where the iteration closes early, ARPACK draws a vector; older versions have their own seed.
    seed = {"rng": draw} if "rng" in inspect.signature(eigsh).parameters else {}
    try:
        span = min(max(2 * wanted + 1, SPAN), matrix.shape[1])
        _, vectors = eigsh(gram, k=wanted, ncv=span, which="LA", v0=start, tol=tolerance, **seed)
    except ArpackError:  # where few values differ it may close before there are that many
        if wanted > 1:
            return _leading(matrix, known, wanted // 2, draw, tolerance)
        if tolerance >= EQUAL:
            raise
        return _leading(matrix, known, 1, draw, EQUAL)  # in a cluster, all but equal
    return beside.of(vectors)
