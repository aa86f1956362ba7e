"""Windows without a score: outside the mask, on no data, or on pixels that cannot be read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.method_contract import Box, Task
from convlin.scanning.windows_with import cells_near, windows_with

if TYPE_CHECKING:
    from convlin.scanning.masks import Mask

__all__ = ["AT_ONCE", "Blanks"]

AT_ONCE = 2**22  # pixels of a mask that are looked at together: 50 MB, sums included


class Blanks:
    """What is known so far of windows whose score will be NaN, row by row of cells.

    A row is forgotten once the tasks have gone past it, so that no map of a whole scan is kept.
    """

    def __init__(self, grid: CellGrid, mask: Mask | None) -> None:
        self._grid = grid
        self._mask = mask
        self._rows: dict[int, np.ndarray] = {}
        self._asked: tuple[Box, np.ndarray] | None = None

    def note(self, flags: np.ndarray, box: Box) -> None:
        """Take note of pixels (*box) that are no data."""
        if not flags.any():
            return
        near = cells_near(box, self._grid)
        if any(a == b for a, b in near):
            return
        (first, _), *others = near
        held = windows_with(flags, box, self._grid, near)
        place = tuple(
            slice(a - begin, b - begin)
            for (a, b), (begin, _) in zip(others, self._grid.cells[1:], strict=True)
        )
        for number, row in enumerate(held, first):
            if number not in self._rows:
                self._rows[number] = np.zeros(self._grid.counts[1:], bool)
            self._rows[number][place] |= row

    def outside(self, cells: Box) -> np.ndarray:
        """Return which of these windows hold no pixel of the mask."""
        counts = tuple(b - a for a, b in cells)
        if self._mask is None:
            return np.zeros(counts, bool)
        if self._asked is None or self._asked[0] != cells:
            rows = [self._outside(self._mask, part) for part in self._few_rows(cells)]
            self._asked = cells, np.concatenate(rows)
        return self._asked[1]

    def _outside(self, mask: Mask, cells: Box) -> np.ndarray:
        sides = zip(self._grid.pixels_of(cells), self._grid.size, strict=True)
        box = tuple((start, min(stop, n)) for (start, stop), n in sides)
        return ~windows_with(mask.read(box), box, self._grid, cells)

    def _few_rows(self, cells: Box) -> Iterator[Box]:
        """Yield cells in rows that hold at most `AT_ONCE` pixels together, or are single."""
        (first, stop), *others = cells
        (_, *columns), step = self._grid.pixels_of(cells), self._grid.stride[0]
        width = math.prod(b - a for a, b in columns)
        few = max(1, (AT_ONCE // width - self._grid.window[0]) // step)
        for row in range(first, stop, few):
            yield ((row, min(row + few, stop)), *others)

    def without_data(self, cells: Box) -> np.ndarray:
        """Return which of these windows hold a pixel of those noted."""
        (first, stop), *others = cells
        found = np.zeros(tuple(b - a for a, b in cells), bool)
        place = tuple(
            slice(a - begin, b - begin)
            for (a, b), (begin, _) in zip(others, self._grid.cells[1:], strict=True)
        )
        for row in range(first, stop):
            if row in self._rows:
                found[row - first] = self._rows[row][place]
        return found

    def forget(self, task: Task) -> None:
        """Drop what is known of a task's rows, and of all others but those that follow it."""
        _, stop = task.cells[0]
        self._rows = {row: found for row, found in self._rows.items() if row >= stop}
