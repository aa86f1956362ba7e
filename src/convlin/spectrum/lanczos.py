"""The largest singular values from products with A and Aᴴ alone.

ARPACK's Lanczos iteration finds eigenvectors of AᴴA; singular values come from A on the space that
they span, so that squaring costs no digits. An iteration from one vector sees one of several equal
singular values, and finds the others by rounding or not at all: the same kernel in every group, and
kernels that look the same turned, have many. So what was found is taken out of A, and the iteration
runs again from another vector, until nothing larger than the last one kept is left.

How good the values are is checked by products: for unit vectors u and v, a singular value lies
within::

    residual = √((‖A·v - σ·u‖² + ‖Aᴴ·u - σ·v‖²) / 2)

of σ, as [0 A; Aᴴ 0] has eigenvalues ±σ (Parlett, "The Symmetric Eigenvalue Problem", theorem
4.5.1). That no larger one was missed is certain only as far as `norm_bound` goes.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from scipy.sparse.linalg import ArpackError, LinearOperator, aslinearoperator, eigsh

__all__ = ["lanczos"]

EQUAL = 1e-12
"""Larger by less than that many times the norm is no larger. Half of it and less is where rounding
of some thousand summands lies: iterations for nothing. Twice misses values that differ by that."""


def lanczos(matrix: Any, k: int) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Return the `k` largest singular values of an operator, largest first, and their residuals.

    `k` is less than either side of the matrix. Vectors are drawn from a fixed seed.

    >>> values, residuals = lanczos(np.diag([3.0, 1.0, 2.0, 5.0, 5.0]), 3)
    >>> values.round(6), bool(residuals.max() < 1e-12)
    (array([5., 5., 3.]), True)
    """
    A: LinearOperator = aslinearoperator(matrix)
    A = A if A.shape[1] <= A.shape[0] else A.H
    draw = np.random.default_rng(0)
    u, values, v = _within(A, np.zeros((A.shape[1], 0), A.dtype))
    wanted = k
    while True:
        # Beside the v in hand A has only values that they missed. If one is larger than the last of
        # theirs, it may stand for as many equal ones as there are smaller ones to replace.
        fresh = _leading(A, v, wanted, draw)
        largest = np.linalg.norm(A @ fresh, axis=0).max(initial=0)
        if largest == 0 or (len(values) == k and largest <= values[-1] + EQUAL * values[0]):
            break
        smaller = int(np.sum(values < largest))
        before = values
        u, values, v = _within(A, np.linalg.qr(np.hstack([v, fresh]))[0])
        u, values, v = u[:, :k], values[:k], v[:, :k]
        if len(before) == k and np.sum(values - before) <= EQUAL * values[0]:
            break  # only rounding was left
        wanted = max(1, smaller, k - len(values))
    ahead = np.linalg.norm(A @ v - u * values, axis=0)
    back = np.linalg.norm(A.H @ u - v * values, axis=0)
    zeros = (0, k - len(values))  # of the matrix of zeros nothing is found
    return np.pad(values, zeros), np.pad(np.hypot(ahead, back) / np.sqrt(2), zeros)


def _within(
    matrix: LinearOperator, basis: Shaped[np.ndarray, "columns j"]
) -> tuple[Shaped[np.ndarray, "rows j"], Float[np.ndarray, " j"], Shaped[np.ndarray, "columns j"]]:
    """Return singular vectors and values of A on the span of orthonormal columns."""
    u, values, turned = np.linalg.svd(matrix @ basis, full_matrices=False)
    return u, values, basis @ turned.conj().T


def _leading(
    matrix: LinearOperator,
    known: Shaped[np.ndarray, "columns j"],
    wanted: int,
    draw: np.random.Generator,
    tolerance: float = 0,
) -> Shaped[np.ndarray, "columns i"]:
    """Return the leading right singular vectors of A beside known ones; none if A is 0 there."""

    def beside(x: np.ndarray) -> np.ndarray:
        rest: np.ndarray = x - known @ (known.conj().T @ x)
        return rest

    def squared(x: np.ndarray) -> np.ndarray:
        return beside(matrix.H @ (matrix @ beside(x)))

    start = beside(draw.standard_normal(matrix.shape[1]).astype(matrix.dtype))
    if not (matrix @ start).any():
        return known[:, :0]
    if matrix.shape[1] <= max(2 * wanted + 1, 20):  # what SciPy has ARPACK span: all there is
        return beside(np.eye(matrix.shape[1], dtype=matrix.dtype))
    gram = LinearOperator((matrix.shape[1],) * 2, matvec=squared, dtype=matrix.dtype)
    # Where the iteration closes early, ARPACK draws a vector; older versions have their own seed.
    seed = {"rng": draw} if "rng" in inspect.signature(eigsh).parameters else {}
    try:
        _, vectors = eigsh(gram, k=wanted, which="LA", v0=start, tol=tolerance, **seed)
    except ArpackError:  # where few values differ it may close before there are that many
        if wanted > 1:
            return _leading(matrix, known, wanted // 2, draw)
        if tolerance:
            raise
        return _leading(matrix, known, 1, draw, EQUAL)  # in a cluster, all but equal
    return beside(vectors)
