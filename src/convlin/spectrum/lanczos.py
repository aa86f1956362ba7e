"""The largest singular values from products with A and Aᴴ alone.

ARPACK's Lanczos iteration finds the eigenvectors of AᴴA or AAᴴ, whichever is smaller; singular
values come from A on the space that they span, so that squaring costs no digits. How good they are
is checked by products: for unit vectors u and v, a singular value lies within::

    residual = √((‖A·v - σ·u‖² + ‖Aᴴ·u - σ·v‖²) / 2)

of σ, as [0 A; Aᴴ 0] has eigenvalues ±σ (Parlett, "The Symmetric Eigenvalue Problem", theorem
4.5.1). That no larger one was missed is certain only as far as `norm_bound` goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, aslinearoperator, svds

__all__ = ["lanczos"]


def lanczos(matrix: Any, k: int) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Return the `k` largest singular values of an operator, largest first, and their residuals.

    `k` is less than either side of the matrix. The same matrix gives the same answer every time:
    the start vector is drawn from a fixed seed.

    >>> values, residuals = lanczos(np.diag([3.0, 1.0, 2.0, 5.0]), 2)
    >>> values.round(6), bool(residuals.max() < 1e-12)
    (array([5., 3.]), True)
    """
    A: LinearOperator = aslinearoperator(matrix)
    rows, columns = A.shape
    start = np.random.default_rng(0).standard_normal(min(rows, columns))
    image = A @ start if columns <= rows else A.H @ start
    if not image.any():  # no matrix but that of zeros maps a random vector to 0
        return np.zeros(k), np.zeros(k)
    u, values, vh = svds(A, k=k, v0=start, solver="arpack")
    u, values, v = u[:, ::-1], values[::-1].copy(), vh[::-1].conj().T
    ahead = np.linalg.norm(A @ v - u * values, axis=0)
    back = np.linalg.norm(A.H @ u - v * values, axis=0)
    return values, np.hypot(ahead, back) / np.sqrt(2)
