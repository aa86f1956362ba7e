"""Which windows hold a pixel of a kind: sums along one axis after the other."""

from __future__ import annotations

import numpy as np

from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.contract import Box

__all__ = ["cells_near", "windows_with"]


def windows_with(flags: np.ndarray, box: Box, grid: CellGrid, cells: Box) -> np.ndarray:
    """Return for each window of `cells` whether it holds a pixel of `box` whose flag is set.

    A window's pixels along an axis are [i·S, i·S + P): their count is the difference of two sums
    of all pixels before a place.

    >>> grid = CellGrid((9,), (3,), (2,))
    >>> windows_with(np.array([True, False]), ((4, 6),), grid, ((0, 4),))
    array([False,  True,  True, False])
    """
    counted = flags.astype(np.int32)
    for axis, ((start, stop), (a, b)) in enumerate(zip(box, cells, strict=True)):
        firsts = np.arange(a, b, dtype=np.int64) * grid.stride[axis] - start
        ends = np.clip(firsts + grid.window[axis], 0, stop - start)
        sums = np.cumsum(counted, axis=axis, dtype=np.int32)
        zero = np.zeros_like(sums.take([0], axis=axis))
        sums = np.concatenate((zero, sums), axis=axis)
        counted = sums.take(ends, axis=axis) - sums.take(
            np.clip(firsts, 0, stop - start), axis=axis
        )
    return counted > 0


def cells_near(box: Box, grid: CellGrid) -> Box:
    """Return the scanned windows that hold a pixel of a box; those of an axis may be none.

    >>> cells_near(((4, 6),), CellGrid((9,), (3,), (2,)))
    ((1, 3),)
    """
    found = []
    for axis, (start, stop) in enumerate(box):
        p, s, (first, last) = grid.window[axis], grid.stride[axis], grid.cells[axis]
        a, b = max(first, -(-(start - p + 1) // s)), min(last, (stop - 1) // s + 1)
        found.append((a, max(a, b)))
    return tuple(found)
