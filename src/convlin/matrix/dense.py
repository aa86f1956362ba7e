"""The dense matrix A(w) of a convolution at one input size.

A is linear in the kernel: A(w) = Σ_t w_t ⊗ P_t over taps t, where the 0/1 matrix P_t has a one
where an output reads an input through t. Rows are outputs (out, *output_size), columns inputs
(in, *input_size), both in C order. Where padding repeats pixels, P_t overlap and weights add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from array_api_compat import array_namespace, device
from jaxtyping import Shaped

from convlin.geometry import ConvGeometry
from convlin.matrix.kernel_taps import by_tap
from convlin.matrix.taps import connected

__all__ = ["dense", "dense_shape"]


def dense_shape(geometry: ConvGeometry, input_size: Sequence[int]) -> tuple[int, int]:
    """Return (rows, columns) of the matrix: all outputs by all inputs.

    >>> dense_shape(ConvGeometry(3, 8, kernel=(3, 3)), (5, 6))
    (96, 90)
    """
    outputs = math.prod(geometry.output_size(input_size))
    return geometry.out_channels * outputs, geometry.in_channels * math.prod(input_size)


def dense(
    geometry: ConvGeometry, weight: Shaped[Any, "a b *kernel"], input_size: Sequence[int]
) -> Shaped[Any, "rows columns"]:
    """Return A(w) as a new array of the weight's kind, dtype and device.

    `weight` has `geometry.weight_shape`, `input_size` is in pixels. Raises `GeometryError` where
    the input is too small.

    >>> import numpy as np
    >>> dense(ConvGeometry(1, 1, kernel=(2,), padding=1), np.array([[[5, 7]]]), (2,))
    array([[7, 0],
           [5, 7],
           [0, 5]])
    """
    xp, on = array_namespace(weight), device(weight)
    rows, columns = dense_shape(geometry, input_size)
    groups = geometry.groups
    outputs, inputs = geometry.out_channels // groups, geometry.in_channels // groups
    cells, pixels = rows // (groups * outputs), columns // (groups * inputs)
    matrix = xp.zeros((rows, columns), dtype=weight.dtype, device=on)
    blocks = xp.reshape(matrix, (groups, outputs, cells, groups, inputs, pixels))
    blocks = xp.permute_dims(blocks, (2, 5, 0, 3, 1, 4))
    diagonal = xp.arange(groups, device=on)
    taps = by_tap(geometry, weight)
    for tap, (reading, read) in enumerate(connected(geometry, input_size)):
        cell = xp.asarray(reading, device=on)[:, None]
        pixel = xp.asarray(read, device=on)[:, None]
        blocks[cell, pixel, diagonal, diagonal] += taps[tap, ...]
    return matrix
