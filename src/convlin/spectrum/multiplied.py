"""Which way products with the matrix run: as a convolution, or as the sparse matrix.

A convolution that is one matrix product copies every window, taps·channels of it, and reads the
copy once for all output channels; the sparse matrix has an entry for each of these. So the matrix
is the faster one where a group has few outputs: depthwise layers, and images of one channel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from scipy.sparse.linalg import LinearOperator

from convlin.matrix import ConvMatrix

__all__ = ["Products", "multiplied"]

Products: TypeAlias = Callable[[ConvMatrix], LinearOperator]

# Outputs of a group up to which the sparse matrix is as fast, measured from 1 to 64.
FEW = 4


def multiplied(matrix: ConvMatrix, products: Products) -> LinearOperator:
    """Return a matrix as the operator that is faster, of the sparse matrix and `products`."""
    geometry = matrix.geometry
    outputs = geometry.in_channels if geometry.transposed else geometry.out_channels
    if outputs > FEW * geometry.groups or matrix.needed_bytes > matrix.memory_limit:
        return products(matrix)
    stored: Any = matrix.tocsr()
    turned = stored.conj().T
    return LinearOperator(
        matrix.shape, lambda x: stored @ x, lambda y: turned @ y,
        lambda x: stored @ x, dtype=matrix.dtype, rmatmat=lambda y: turned @ y,
    )  # fmt: skip
