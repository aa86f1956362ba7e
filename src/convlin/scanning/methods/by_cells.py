"""Each window as the classifier sees it alone, padding included; what windows share, once.

A task is cut into tiles as the memory allows; each tile's pixels are read, and are gone before the
next one's. Where nothing is shared, tiles are batches of windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from convlin.models.trace import sample
from convlin.scanning.methods.output_names import named_outputs
from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.method_contract import Box, Cost, Output, Read, Task

if TYPE_CHECKING:
    from convlin.models.cells import SlidingWindow

__all__ = ["ByCells"]


class ByCells:
    """A `SlidingWindow` run task by task."""

    name = "cells"

    def __init__(self, windows: SlidingWindow, grid: CellGrid, outputs: tuple[Output, ...]) -> None:
        self.windows = windows
        self.grid = grid
        self._like = sample(windows.model, (0,))
        self.outputs = outputs
        self._costs: dict[tuple[int, ...], Cost] = {}

    def cost(self, task: Task) -> Cost:
        """Return what a task takes; its numbers depend on its size alone."""
        counts = _counts(task.cells)
        if counts not in self._costs:
            tiles = list(self._tiles(task))
            plan = self.windows.plan(_size(self.grid.pixels_of(task.cells)))
            largest = max(self._pixels(tile) for tile in tiles)
            image = largest * self.windows.window[0] * 2 * self._like.element_size()
            pixels = sum(map(self._pixels, tiles))
            self._costs[counts] = Cost(plan.multiply_adds, pixels, plan.memory + image)
        return self._costs[counts]

    def reads(self, task: Task) -> Box:
        """Return the pixels under a task's windows."""
        return self.grid.pixels_of(task.cells)

    def run(self, task: Task, read: Read) -> dict[str, Any]:
        """Return the outputs of a task's windows, tile by tile."""
        counts = _counts(task.cells)
        dtype = np.float64 if self._like.dtype == torch.float64 else np.float32
        whole = {
            output.name: np.full((*output.shape, *counts), np.nan, dtype) for output in self.outputs
        }
        for cells in self._tiles(task):
            if read.skips(cells):
                continue
            pixels = read(self.grid.pixels_of(cells))
            if read.skips(cells):  # it is no data
                continue
            image = torch.from_numpy(pixels)[None].to(self._like)
            del pixels
            with torch.inference_mode():
                made = named_outputs(self.windows(image))
            pairs = zip(cells, task.cells, strict=True)
            place: Any = (..., *(slice(a - first, b - first) for (a, b), (first, _) in pairs))
            for name, tensor in made.items():
                whole[name][place] = (
                    tensor[0]
                    .to("cpu", torch.float64 if dtype == np.float64 else torch.float32)
                    .numpy()
                )
        return whole

    def _tiles(self, task: Task) -> Iterator[Box]:
        """Yield a task's cells in tiles that fit the memory."""
        size = _size(self.grid.pixels_of(task.cells))
        for first, layout in self.windows.tiles(size, 1, self._like.dtype):
            axes = zip(task.cells, first, layout.windows, strict=True)
            yield tuple((begin + a, begin + a + its.count) for (begin, _), a, its in axes)

    def _pixels(self, cells: Box) -> int:
        return math.prod(_size(self.grid.pixels_of(cells)))


def _counts(cells: Box) -> tuple[int, ...]:
    return tuple(b - a for a, b in cells)


def _size(box: Box) -> tuple[int, ...]:
    return tuple(stop - start for start, stop in box)
