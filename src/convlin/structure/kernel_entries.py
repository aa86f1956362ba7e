"""The kernel that a matrix holds, for a form that is known to fit, bit for bit.

A weight that some output reads alone, along every dimension, stands in the matrix as it is. Any
other is 0: the search knows no form that needs one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
from jaxtyping import Shaped
from scipy.sparse import csr_array

from convlin.geometry import ConvGeometry
from convlin.structure.axis_space import AxisSpace
from convlin.structure.canonical import look_up

__all__ = ["agreed_by_vote", "extract"]


def extract(
    matrix: csr_array,
    geometry: ConvGeometry,
    input_size: Sequence[int],
    spaces: Sequence[AxisSpace],
    fraction: float = 0.0,
) -> Shaped[np.ndarray, "out in *kernel"]:
    """Return the kernel, each weight from where its tap stands alone.

    fraction: from which of these positions, 0 the first and 1 the last.
    """
    output_size = geometry.output_size(input_size)
    area, image = math.prod(output_size), math.prod(input_size)
    inputs = geometry.in_channels // geometry.groups
    outputs = geometry.out_channels // geometry.groups
    cells, pixels, lone = zip(*(_lone(space, fraction) for space in spaces), strict=True)
    cell = np.ravel_multi_index(np.ix_(*cells), output_size)
    pixel = np.ravel_multi_index(np.ix_(*pixels), tuple(input_size))
    kernel = np.empty(geometry.weight_shape, dtype=matrix.dtype)
    used, row = np.unique(cell, return_inverse=True)
    row = row.reshape(cell.shape)
    for channel in range(geometry.out_channels):
        rows = matrix[channel * area + used]
        start = (channel // outputs * inputs + np.arange(inputs)) * image
        columns = start.reshape(-1, *(1,) * cell.ndim) + pixel
        kernel[channel] = look_up(rows, np.broadcast_to(row, columns.shape), columns)
    kernel[:, :, ~reduce(np.logical_and.outer, lone)] = 0
    return kernel


def agreed_by_vote(
    first: Shaped[np.ndarray, "out in *kernel"],
    matrix: csr_array,
    geometry: ConvGeometry,
    input_size: Sequence[int],
    spaces: Sequence[AxisSpace],
) -> Shaped[np.ndarray, "out in *kernel"]:
    """Return the kernel that two of three extracts agree on: one wrong entry is outvoted."""
    middle, last = (
        extract(matrix, geometry, input_size, spaces, fraction) for fraction in (0.5, 1.0)
    )
    return np.where(middle == last, middle, first)


def _lone(space: AxisSpace, fraction: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for every tap an output that reads by it alone, the pixel, and if there is one."""
    outputs, counts = space.lone
    # All taps' outputs stand one after another; a tap with none takes the first, and is masked.
    place = np.cumsum(counts) - counts + np.rint(fraction * (counts - 1)).astype(int)
    chosen = np.where(counts > 0, np.append(outputs, 0)[np.minimum(place, len(outputs))], 0)
    pixels = np.maximum(0, space.table[chosen, np.arange(len(counts))])
    return chosen, pixels, counts > 0
