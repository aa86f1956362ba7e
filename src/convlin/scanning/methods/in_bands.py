"""One network on the whole image, in bands of rows: nothing is computed twice.

Strips of columns and tasks that begin in the middle of an image are images of their own, cut so
that every cell that is kept reads no pixel across the cut. They begin at a multiple of the stride,
so that cells lie as in the whole image. In rows a strip begins one band earlier than its cells
read: what its layers hand on from there on comes in the very pieces in which it comes from the
image's first row on, so that it makes no difference where a run began, to the last bit.

A cell i of a network reads the rows [i·S + o, i·S + o + F) of its receptive field; o is negative
where it is padded, and its window is [i·S, i·S + P).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from convlin.models.trace import sample
from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.method_contract import Box, Cost, Output, Read, Task

if TYPE_CHECKING:
    from convlin.models.bands import BandCosts, BandedNetwork, BandRun

__all__ = ["InBands"]


class InBands:
    """A `BandedNetwork` run task by task; it goes on where the task before it ended.

    band: rows that are read at once, a multiple of the stride.
    """

    name = "bands"

    def __init__(
        self, banded: BandedNetwork, grid: CellGrid, outputs: tuple[Output, ...], band: int
    ) -> None:
        self.banded = banded
        self.grid = grid
        self.band = band
        self._like = sample(banded.network, (0,))
        self.outputs = outputs
        self._costs: dict[tuple[int, ...], BandCosts] = {}
        self._strip: Strip | None = None

    def cost(self, task: Task) -> Cost:
        """Return what a task takes after the one before it."""
        (first, last), *_ = self.grid.cells
        (a, b), *_ = task.cells
        box = self.reads(task)
        size = (self.grid.padded[0], *(stop - start for start, stop in box[1:]))
        if size not in self._costs:  # one for each width of a strip
            self._costs[size] = self.banded.costs(size, self.band, self._like.dtype)
        costs = self._costs[size]
        width, rows = math.prod(size[1:]), self._last_row(b)
        products = costs.multiply_adds * (self._last_row(last) - self._start(first)) // size[0]
        share = (products * (n - first) // (last - first) for n in (b, a))
        begun = self._start(a) if task.first else self._last_row(a)
        image = 2 * self.band * width * self.banded.network.window[0] * self._like.element_size()
        return Cost(
            next(share) - next(share), (rows - begun) * width, costs.peak_bytes + image,
            0 if task.first else (begun - self._start(a)) * width,
        )  # fmt: skip

    def reads(self, task: Task) -> Box:
        """Return the pixels that a task reads, of whole bands."""
        (a, b), *others = task.cells
        sides = enumerate(others, 1)
        columns = (self._columns(axis, first, stop) for axis, (first, stop) in sides)
        return ((self._start(a), self._last_row(b)), *columns)

    def run(self, task: Task, read: Read) -> dict[str, Any]:
        """Return the outputs of a task's cells, band by band."""
        (a, b), *others = task.cells
        box = self.reads(task)
        strip, self._strip = self._strip, None
        if strip is None or (strip.next, strip.columns) != (a, box[1:]):
            strip = self._begun(a, box)
        while strip.ready < b:
            stop = min(strip.row + self.band, self.grid.padded[0])
            pixels = read(((strip.row, stop), *strip.columns), owned=task.first or strip.ready >= a)
            image = torch.from_numpy(pixels)[None].to(self._like)
            del pixels
            strip.push(image)
        places: list[Any] = [..., slice(None)]
        for axis, (first, last) in enumerate(others, 1):
            begun = box[axis][0] // self.grid.stride[axis]
            places.append(slice(first - begun, last - begun))
        made = strip.taken(a, b)
        self._strip = strip
        return {name: array[tuple(places)] for name, array in made.items()}

    def _begun(self, row: int, box: Box) -> Strip:
        """Return a strip of columns that begins early enough for this row of cells."""
        start = box[0][0]
        size = (self.grid.padded[0] - start, *(stop - first for first, stop in box[1:]))
        names = [output.name for output in self.outputs]
        begun = start // self.grid.stride[0]
        return Strip(self.banded.start(size), names, box[1:], start, row, begun)

    def _start(self, row: int) -> int:
        """Return the first pixel row that is read for a row of cells and those below it."""
        reads = row * self.grid.stride[0] + min(0, self.banded.field.offset[0])
        return max(0, (reads - self.band) // self.band * self.band)

    def _last_row(self, row: int) -> int:
        """Return where the band ends behind which a row of cells, and all before it, are known."""
        step, ends = self.grid.stride[0], self.grid.padded[0]
        offset, size = self.banded.field.offset[0], self.banded.field.size[0]
        last = (row - 1) * step + max(offset + size, self.grid.window[0])
        return min(ends, -(-last // self.band) * self.band)

    def _columns(self, axis: int, first: int, stop: int) -> tuple[int, int]:
        """Return the pixels along an axis that these cells read, from a multiple of the stride."""
        step, window = self.grid.stride[axis], self.grid.window[axis]
        offset, size = self.banded.field.offset[axis], self.banded.field.size[axis]
        begin = (first * step + min(0, offset)) // step * step
        end = (stop - 1) * step + max(offset + size, window)
        return max(0, begin), min(end, self.grid.padded[axis])


@dataclass
class Strip:
    """A run of the network on some columns, and the rows of cells that nobody has taken yet.

    row: the next row of pixels; next: the next row of cells; begun: the first row of cells of the
    run, whose rows count from there.
    """

    run: BandRun
    names: list[str]
    columns: Box
    row: int
    next: int
    begun: int
    made: dict[str, list[np.ndarray]] = field(default_factory=dict)

    @property
    def ready(self) -> int:
        """Rows of cells up to which every output is known."""
        known = (
            [rows.shape[self._axis(rows)] for rows in self.made.get(name, ())]
            for name in self.names
        )
        return self.begun + min(map(sum, known))

    def push(self, image: torch.Tensor) -> None:
        """Take the next rows (1, C, h, *columns)."""
        self.row += image.shape[2]
        exact = torch.float64 if image.dtype == torch.float64 else torch.float32
        with torch.inference_mode():
            outputs = self.run.push(image)
        for name, tensor in zip(self.names, outputs, strict=True):
            self.made.setdefault(name, []).append(tensor[0].to("cpu", exact).numpy())

    def taken(self, first: int, stop: int) -> dict[str, np.ndarray]:
        """Return the rows [first, stop) of cells, and keep those behind them."""
        found = {}
        for name, rows in self.made.items():
            axis = self._axis(rows[0])
            whole = np.concatenate(rows, axis)
            before = (slice(None),) * axis
            found[name] = whole[(*before, slice(first - self.begun, stop - self.begun))]
            self.made[name] = [whole[(*before, slice(stop - self.begun, None))].copy()]
        self.begun = self.next = stop
        return found

    def _axis(self, rows: np.ndarray) -> int:
        return rows.ndim - 1 - len(self.columns)
