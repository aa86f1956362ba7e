"""Windows without a score: outside the mask, on no data, or on pixels that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.contract import Box, Task
from convlin.scanning.windows_with import cells_near, windows_with

if TYPE_CHECKING:
    from convlin.scanning.masks import Mask

__all__ = ["Blanks"]


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
            size = self._grid.size
            pixels = self._grid.pixels_of(cells)
            box = tuple((a, min(b, n)) for (a, b), n in zip(pixels, size, strict=True))
            self._asked = cells, ~windows_with(self._mask.read(box), box, self._grid, cells)
        return self._asked[1]

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
