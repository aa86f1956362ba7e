"""The sparse matrix of a locally connected layer, by index arithmetic.

One wire for each (output, input, tap): A[(o, p), (c, q)] = Σ_t w[p, o, c, t] over the taps t
through which position p reads pixel q. Wires are collected tap by tap in COO form; where padding
repeats pixels, several meet in one entry and add up.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Shaped
from scipy import sparse

from convlin.geometry import ConvGeometry
from convlin.matrix import connected, dense_shape

__all__ = ["local_matrix"]


def local_matrix(
    geometry: ConvGeometry,
    weight: Shaped[np.ndarray, "*out_o_c_kernel"],
    input_size: tuple[int, ...],
) -> sparse.csr_array:
    """Return the matrix, rows (out, *output_size) by columns (in, *input_size), in C order.

    `weight` has shape (*output_size, out, in/groups, *kernel). Zero weights are stored too.

    >>> weight = np.array([[[[1, 2]]], [[[3, 4]]]])
    >>> local_matrix(ConvGeometry(1, 1, kernel=(2,)), weight, (3,)).toarray()
    array([[1, 2, 0],
           [0, 3, 4]])
    """
    rows, columns = dense_shape(geometry, input_size)
    groups, pixels = geometry.groups, math.prod(input_size)
    outputs, inputs = geometry.out_channels // groups, geometry.in_channels // groups
    cells = rows // geometry.out_channels
    own = weight.reshape(cells, groups, outputs, inputs, geometry.taps)
    # In C order output (o, p) is row o·cells + p, and input (c, q) is column c·pixels + q. Within
    # group g, o = g·outputs + i and c = g·inputs + j: `row` and `column` count whole maps.
    # Axes of the wires of one tap: (pairs, groups, outputs, inputs).
    index = np.dtype(np.int32 if max(rows, columns) <= np.iinfo(np.int32).max else np.int64)
    row = np.arange(0, rows, cells, dtype=index).reshape(groups, outputs, 1)
    column = np.arange(0, columns, pixels, dtype=index).reshape(groups, 1, inputs)
    wires = []
    for tap, (reading, read) in enumerate(connected(geometry, input_size)):
        values = own[reading, ..., tap]
        first, second = (ends.astype(index)[:, None, None, None] for ends in (reading, read))
        wire = np.broadcast_arrays(values, first + row, second + column)
        wires.append([array.ravel() for array in wire])
    values, *ends = (np.concatenate(parts) for parts in zip(*wires, strict=True))
    return sparse.coo_array((values, tuple(ends)), shape=(rows, columns)).tocsr()
