"""Which way products with the matrix run, and what vectors to multiply by take.

A convolution that is one matrix product copies every window, taps·channels of it, and reads the
copy once for all output channels; the sparse matrix has an entry for each of these. So the matrix
is the faster one where a group has few outputs: depthwise layers, and images of one channel. Where
neither has room, products run tap by tap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from scipy.sparse.linalg import LinearOperator, aslinearoperator

from convlin.errors import Refusal
from convlin.matrix import ConvMatrix

__all__ = ["Products", "multiplied", "no_room", "vector_bytes"]

Products: TypeAlias = Callable[[ConvMatrix], LinearOperator]

# Outputs of a group up to which the sparse matrix is as fast, measured from 1 to 64.
FEW = 4


def multiplied(matrix: ConvMatrix, products: Products) -> LinearOperator:
    """Return a matrix as the operator that is fastest within its memory limit."""
    geometry = matrix.geometry
    inputs = (geometry.in_channels, matrix.input_size)
    outputs = (geometry.out_channels, matrix.output_size)
    (of, _), (to, cells) = (outputs, inputs) if geometry.transposed else (inputs, outputs)
    if to <= FEW * geometry.groups and matrix.needed_bytes <= matrix.memory_limit:
        return _stored(matrix)
    windows = 8 * of * geometry.taps * math.prod(cells)
    return products(matrix) if windows <= matrix.memory_limit else aslinearoperator(matrix)


def _stored(matrix: ConvMatrix) -> LinearOperator:
    stored: Any = matrix.tocsr()
    turned = stored.conj().T
    return LinearOperator(
        matrix.shape, lambda x: stored @ x, lambda y: turned @ y,
        lambda x: stored @ x, dtype=matrix.dtype, rmatmat=lambda y: turned @ y,
    )  # fmt: skip


def vector_bytes(matrix: ConvMatrix) -> int:
    """Return what one more value takes: two vectors of ARPACK's, and those in hand, twice."""
    return int(16 * (4 * min(matrix.shape) + 2 * max(matrix.shape)))


def no_room(matrix: ConvMatrix, needed: int) -> Refusal:
    """Return the refusal where not even one value has room."""
    return Refusal(matrix.geometry.kind, "memory_limit", matrix.memory_limit, f"≥ {needed} bytes",
                   "a singular value and its vectors take that")  # fmt: skip
