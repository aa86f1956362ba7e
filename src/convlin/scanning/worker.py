"""One task after another, wherever it runs: read, compute, leave out, store, mark as done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError
from convlin.scanning.blanks import Blanks
from convlin.scanning.masks import Mask
from convlin.scanning.methods.choice import Chosen, choose, method_of
from convlin.scanning.model_recipe import Classifier
from convlin.scanning.pixels import Pixels
from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.method_contract import Semantics, Task
from convlin.scanning.plan.settings import Settings
from convlin.scanning.plan.task_grid import TaskGrid
from convlin.scanning.reading import Reading
from convlin.scanning.sources import Source
from convlin.scanning.store import InMemory, Store
from convlin.scanning.stored_outputs import Selection

__all__ = ["Job", "Worker"]

# Tasks before one whose rows it may read again: more than a receptive field spans of whole tasks.
LOOK_BACK = 8
# Seconds between two looks at whether the source is still the one that was opened.
LOOK = 1.0


@dataclass(frozen=True)
class Job:
    """All that a worker needs, to be pickled: what is opened there is named by a recipe."""

    key: str
    classifier: Classifier
    source: Any
    mask: Any
    grid: CellGrid
    window: tuple[int, ...]
    semantics: Semantics
    settings: Settings
    pixels: Pixels
    selection: Selection
    out: Path
    identity: Mapping[str, Any]
    skip_unreadable: bool = False

    def open(self, threads: int) -> Worker:
        """Open everything once, in this process."""
        import torch

        torch.set_num_threads(threads)
        source: Source = self.source.open()
        mask = None if self.mask is None else self.mask.open()
        chosen = choose(
            self.classifier.open(), self.window, self.grid.stride, self.semantics,
            method=self.settings.method, check=False,
        )  # fmt: skip
        return Worker(self, chosen, source, mask, Store.open(self.out))


class Worker:
    """One process's part in a job."""

    def __init__(
        self,
        job: Job,
        chosen: Chosen,
        source: Source,
        mask: Mask | None,
        store: Store | InMemory,
    ) -> None:
        self._job = job
        self._method = method_of(chosen, job.grid, job.settings)
        self._tasks = TaskGrid(job.grid.cells, job.settings.task)
        self._source = source
        self._store = store
        self._blanks = Blanks(job.grid, mask)
        self._looked = 0.0

    def do(self, index: int) -> None:
        """Compute a task and store it; what was stored of it before is written over."""
        task = self._tasks[index]
        self._require_same_source()
        reading = Reading(
            self._source, self._job.pixels, self._blanks, task,
            skip_unreadable=self._job.skip_unreadable, earlier=self._earlier(task),
        )  # fmt: skip
        outside = self._blanks.outside(task.cells)
        outputs = {} if outside.all() else self._method.run(task, reading)
        blank = outside | self._blanks.without_data(task.cells)
        stored = {
            output.name: self._stored(output.name, output.shape, outputs, blank)
            for output in self._job.selection.of(self._method.outputs)
        }
        self._require_same_source(after=True)
        place = tuple(slice(a, b) for a, b in self._tasks.place(task))
        self._store.write(index, place, stored, self._notes(reading, outside, blank))
        self._blanks.forget(task)

    def close(self) -> None:
        """Let go of what is open."""
        self._source.close()

    def _stored(
        self, name: str, shape: tuple[int, ...], outputs: Mapping[str, np.ndarray],
        blank: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Return what is stored of an output: NaN where a window has no score."""
        if name not in outputs:
            return np.full((*shape, *blank.shape), np.nan, self._job.selection.dtype)
        made = np.array(self._job.selection(name, outputs[name]))
        if blank.any():
            made[..., blank] = np.nan
        return made

    def _notes(self, reading: Reading, outside: np.ndarray, blank: np.ndarray) -> dict[str, Any]:
        return {
            "windows": int(blank.size),
            "outside": int(outside.sum()),
            "no_data": int((blank & ~outside).sum()),
            "unreadable": [list(map(list, box)) for box in reading.holes],
            "read": reading.checksums,
        }

    def _earlier(self, task: Task) -> dict[str, int]:
        """Return the checksums of what the tasks just before this one have read, of its rows."""
        found: dict[str, int] = {}
        if task.first or not self._job.settings.band:  # it reads nothing that is not its own
            return found
        for index in range(max(0, task.index - LOOK_BACK), task.index):
            marker = self._store.marker(index)
            if marker is not None:
                found |= marker["notes"]["read"]
        return found

    def _require_same_source(self, after: bool = False) -> None:
        """Raise `InputError` if the source is no longer what it was."""
        now = time.monotonic()
        if not after and now - self._looked < LOOK:
            return
        self._looked = now
        found = self._source.identity()
        for field, value in self._job.identity.items():
            if found.get(field) != value:
                raise InputError(
                    f"{self._source.description}: {field} is {found.get(field)}, expected {value}: "
                    "the source has changed since the scan began; scan it anew"
                )
