"""The largest singular value with its vectors, which its gradient is made of."""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped
from scipy.sparse.linalg import aslinearoperator

from convlin.arguments import fraction
from convlin.errors import Refused
from convlin.matrix import ConvMatrix
from convlin.spectrum.lanczos import triplets
from convlin.spectrum.multiplied import Products, multiplied, no_room, vector_bytes
from convlin.spectrum.near_one import near_one

__all__ = ["largest"]


def largest(
    matrix: ConvMatrix,
    *,
    tolerance: float | None = None,
    products: Products = aslinearoperator,
) -> tuple[float, Shaped[np.ndarray, " rows"], Shaped[np.ndarray, " columns"]]:
    """Return the largest singular value σ and unit vectors u, v with A·v = σ·u; zeros for A = 0.

    See `spectrum`.

    >>> from convlin.geometry import ConvGeometry
    >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,), stride=2), np.array([[[3.0, 4.0]]]), (6,))
    >>> value, u, v = largest(A)
    >>> round(value, 9), bool(np.allclose(A @ v, value * u))
    (5.0, True)
    """
    kind = matrix.geometry.kind
    within = 0 if tolerance is None else fraction(kind, "tolerance", tolerance)
    if (needed := vector_bytes(matrix)) > matrix.memory_limit:
        raise Refused(no_room(matrix, needed))
    weight, scale = near_one(matrix.geometry, matrix.weight, matrix.input_size)
    u, values, v = triplets(multiplied(matrix.with_kernel(weight), products), 1, within)
    if not len(values):
        return 0.0, np.zeros(matrix.shape[0]), np.zeros(matrix.shape[1])
    return scale.back(float(values[0])), u[:, 0], v[:, 0]
