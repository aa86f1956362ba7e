"""The kernel that a matrix holds, for a form that is known to fit.

A weight that some output reads alone stands in the matrix as it is, and is taken from there, bit
for bit. Where padding repeats pixels, others are known only from sums: along each dimension, as
many independent positions are chosen as there are independent taps, lone ones first, and the small
system between the two is solved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Num, Shaped
from scipy.sparse import csr_array

from convlin.geometry import ConvGeometry
from convlin.structure.axis_space import AxisSpace
from convlin.structure.canonical import look_up

__all__ = ["agreed_by_vote", "extract"]


@dataclass(frozen=True)
class Positions:
    """Independent positions of one dimension: output and pixel.

    The first ones are those where a tap stands alone, `lone` which taps these are. At the others
    several taps meet, `sums` tells which.
    """

    outputs: Int[np.ndarray, " positions"]
    pixels: Int[np.ndarray, " positions"]
    sums: Int[np.ndarray, "meeting taps"]
    lone: Int[np.ndarray, " lone"]

    def solve(
        self, values: Num[np.ndarray, "*others positions"]
    ) -> Shaped[np.ndarray, "*others taps"]:
        """Return the taps from what stands at the positions: lone ones as they are."""
        count, taps = len(self.lone), self.sums.shape[1]
        if count == taps:
            return values
        others = np.setdiff1d(np.arange(taps), self.lone)
        solved = np.zeros((*values.shape[:-1], taps), np.result_type(values.dtype, np.float64))
        solved[..., self.lone] = values[..., :count]
        left = values[..., count:] - values[..., :count] @ self.sums[:, self.lone].T
        solved[..., others] = left @ np.linalg.pinv(self.sums[:, others]).T
        return solved


def extract(
    matrix: csr_array,
    geometry: ConvGeometry,
    input_size: Sequence[int],
    spaces: Sequence[AxisSpace],
    place: float = 0.0,
) -> Shaped[np.ndarray, "out in *kernel"]:
    """Return the kernel in the matrix's own dtype, where that holds what was solved for.

    place: which of a tap's lone positions are read, 0 the first and 1 the last. Where taps cannot
    be told apart it is the kernel of least norm.
    """
    chosen = [_independent(space, place) for space in spaces]
    values = _values(matrix, geometry, input_size, chosen)
    kernel = values
    for axis, positions in enumerate(chosen, 2):
        kernel = np.moveaxis(positions.solve(np.moveaxis(kernel, axis, -1)), -1, axis)
    kernel = np.ascontiguousarray(kernel)
    if kernel.dtype.kind == "f" and not np.mod(values.real, 1).any():
        whole = np.round(kernel)
        if np.abs(kernel - whole).max(initial=0) < 1e-6:  # sums of whole numbers, solved exactly
            return whole.astype(values.dtype)
    return kernel if values.dtype.kind in "iu" else kernel.astype(values.dtype)


def agreed_by_vote(
    matrix: csr_array,
    geometry: ConvGeometry,
    input_size: Sequence[int],
    spaces: Sequence[AxisSpace],
) -> Shaped[np.ndarray, "out in *kernel"]:
    """Return the kernel that two of three extracts agree on: one wrong entry is outvoted."""
    first, middle, last = (
        extract(matrix, geometry, input_size, spaces, place) for place in (0.0, 0.5, 1.0)
    )
    return np.where(middle == last, middle, first)


def _independent(space: AxisSpace, place: float) -> Positions:
    """Choose positions whose sums tell all that can be told of the taps."""
    table, alone = space.table, space.alone()
    lone = np.flatnonzero(alone.any(axis=0))
    at = [np.flatnonzero(alone[:, tap]) for tap in lone]
    outputs = [int(found[round(place * (len(found) - 1))]) for found in at]
    pixels = [int(table[output, tap]) for output, tap in zip(outputs, lone, strict=True)]
    sums: list[np.ndarray] = []
    if len(lone) < space.rank:
        rows = [np.arange(table.shape[1]) == tap for tap in lone]
        reached = space.reached
        for output, pixel in zip(reached.output.tolist(), reached.pixel.tolist(), strict=True):
            row = table[output] == pixel
            if np.linalg.matrix_rank(np.array([*rows, *sums, row], dtype=float)) > len(outputs):
                outputs.append(output)
                pixels.append(pixel)
                sums.append(row)
            if len(outputs) == space.rank:
                break
    return Positions(
        np.array(outputs, dtype=int), np.array(pixels, dtype=int),
        np.array(sums, dtype=int).reshape(-1, table.shape[1]), lone,
    )  # fmt: skip


def _values(
    matrix: csr_array,
    geometry: ConvGeometry,
    input_size: Sequence[int],
    chosen: Sequence[Positions],
) -> Num[np.ndarray, "out in *positions"]:
    """Return what stands at the chosen positions, for every pair of channels that meet."""
    output_size = geometry.output_size(input_size)
    inputs = geometry.in_channels // geometry.groups
    outputs = geometry.out_channels // geometry.groups
    cells = np.ravel_multi_index(np.ix_(*(p.outputs for p in chosen)), output_size)
    pixels = np.ravel_multi_index(np.ix_(*(p.pixels for p in chosen)), tuple(input_size))
    held = np.empty((geometry.out_channels, inputs, *cells.shape), dtype=matrix.dtype)
    area, image = math.prod(output_size), math.prod(input_size)
    used, place = np.unique(cells, return_inverse=True)
    place = place.reshape(cells.shape)
    for channel in range(geometry.out_channels):
        rows = matrix[channel * area + used]
        start = (channel // outputs * inputs + np.arange(inputs)) * image
        columns = start.reshape(-1, *(1,) * cells.ndim) + pixels
        held[channel] = look_up(rows, np.broadcast_to(place, columns.shape), columns)
    return held
