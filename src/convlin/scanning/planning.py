"""How a scan is cut so that it fits the memory, and what it takes then."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace

import numpy as np
import torch

from convlin.errors import Refusal, Refused
from convlin.models.cells import SlidingWindow
from convlin.models.trace import sample
from convlin.scanning.asked import Asked
from convlin.scanning.blanks import AT_ONCE
from convlin.scanning.masks import Mask
from convlin.scanning.methods.choice import Chosen, method_of
from convlin.scanning.plan.budget import (
    COPIES,
    Limit,
    Memory,
    fitting,
    settings_in_bands,
    settings_of_cells,
)
from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.method_contract import Box
from convlin.scanning.plan.scan_plan import ScanPlan
from convlin.scanning.plan.settings import Settings
from convlin.scanning.plan.task_grid import TaskGrid
from convlin.scanning.sources import Source

__all__ = ["Planning"]

# Bytes of a pixel besides, where a mask or pixels without data are looked for: flags, and sums.
FLAGS = 12


@dataclass(frozen=True)
class Planning:
    """A model chosen and a source opened; a process takes `base` bytes before it runs anything."""

    asked: Asked
    chosen: Chosen
    grid: CellGrid
    source: Source
    mask: Mask | None
    base: int
    limit: Limit

    def planned(self, settings: Settings) -> tuple[Settings, ScanPlan]:
        """Return settings that fit the memory; those that are given already stay as they are."""
        self._require_band(settings.band)
        settings = replace(settings, task=tuple(map(min, settings.task, self.grid.counts)))
        if self.chosen.method == "bands":
            trials = settings_in_bands(self.grid, self._cell_bytes, settings)
        else:
            room = max(1, self.limit.each - self.base - self.source.memory)
            trials = settings_of_cells(
                self.grid, self._cell_bytes, settings, room, self._one_window()
            )
        made, memory = fitting(trials, self._memory, self.limit)
        return made, self._plan(made, memory)

    @property
    def _cell_bytes(self) -> int:
        """Bytes of a cell of the result, as the model gives it."""
        item = 8 if self._dtype == torch.float64 else 4
        return item * sum(math.prod(output.shape) for output in self.chosen.outputs)

    @property
    def _written(self) -> int:
        """Bytes of the whole result, as it is stored before it is packed."""
        outputs = self.asked.selection.of(self.chosen.outputs)
        numbers = self.grid.windows * sum(math.prod(output.shape) for output in outputs)
        return numbers * np.dtype(self.asked.selection.dtype).itemsize

    def _one_window(self) -> int:
        """Return the bytes that one window of its own takes."""
        net = self.chosen.net
        assert isinstance(net, SlidingWindow)
        return net.within(sys.maxsize).plan(self.grid.window).memory

    @property
    def _dtype(self) -> torch.dtype:
        return sample(self.chosen.module, (0,)).dtype

    def _require_band(self, band: int) -> None:
        step = self.chosen.stride[0]
        if band and (self.chosen.method == "cells" or band % step):
            allowed = f"a multiple of the stride, {step}"
            if self.chosen.method == "cells":
                allowed = "None: windows of their own are not read in bands"
            raise Refused(Refusal("scan", "band", band, allowed))

    def _memory(self, settings: Settings) -> Memory:
        """Return what one process takes while it runs its largest task."""
        method = method_of(self.chosen, self.grid, settings)
        tasks = [task for task, _ in TaskGrid(self.grid.cells, settings.task).kinds().values()]
        boxes = [tuple(b - a for a, b in method.reads(task)) for task in tasks]
        if settings.band:
            boxes = [(min(settings.band, size[0]), *size[1:]) for size in boxes]
        widest = max(boxes, key=math.prod)
        box = math.prod(widest)
        raw = self.source.shape[0] * self.source.dtype.itemsize
        flags = FLAGS * box if self.source.nodata is not None else 0
        if self.mask is not None:
            row = self.grid.window[0] * math.prod(widest[1:])
            flags += FLAGS * max(row, AT_ONCE)
        cells = math.prod(settings.task)
        in_memory = 0 if self.asked.out is not None else self._written
        return Memory(
            base=self.base,
            decoding=self.source.memory
            + self.source.held(widest)
            + (0 if self.mask is None else self.mask.memory),
            pixels=box * raw + flags,
            run=max(method.cost(task).memory for task in tasks),
            result=COPIES * cells * self._cell_bytes + in_memory,
        )

    def _plan(self, settings: Settings, memory: Memory) -> ScanPlan:
        method = method_of(self.chosen, self.grid, settings)
        tasks = TaskGrid(self.grid.cells, settings.task)
        outputs = self.asked.selection.of(self.chosen.outputs)
        if settings.band:  # what a task takes depends on where it lies
            costs = [(method.cost(task), 1) for task in tasks]
        else:
            costs = [(method.cost(task), many) for task, many in tasks.kinds().values()]
        pixels = sum(cost.pixels * many for cost, many in costs)
        field: Box = ()
        if self.asked.semantics == "image":
            field = self.chosen.net.field.reads((0,) * len(self.grid.size))
        processes = max(1, self.asked.workers)
        return ScanPlan(
            source=self.source.description,
            size=self.source.shape[1:],
            window=self.grid.window,
            stride=self.grid.stride,
            semantics=self.asked.semantics,
            method=settings.method,
            why=self.chosen.why,
            cells=self.grid.counts,
            unreached=self.grid.unreached,
            task=settings.task,
            tasks=len(tasks),
            band=settings.band,
            threads=settings.threads,
            processes=processes,
            multiply_adds=sum(cost.multiply_adds * many for cost, many in costs),
            pixels=pixels,
            cold=max(cost.cold for cost, _ in costs),
            read=pixels * self.source.shape[0] * self.source.dtype.itemsize,
            outputs=outputs,
            dtype=self.asked.selection.dtype,
            written=self._written,
            memory=memory,
            limit=self.asked.memory,
            field=field,
            seen=self.chosen.seen,
        )
