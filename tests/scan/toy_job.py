"""A job of numbers alone: what each task computes is known, and how long it takes is chosen.

Every cell is a number of its own; task 3 has no value at all, so that its shard is not stored. A
task may be told to fail, or to end its process, so often.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convlin.scanning.store import Store, StoredArray

SIZE, SHARD, CHUNK = (3, 26, 29), (3, 6, 7), (3, 3, 7)
ROWS, COLUMNS = -(-SIZE[1] // SHARD[1]), -(-SIZE[2] // SHARD[2])
TASKS = ROWS * COLUMNS
EMPTY = 3
ARRAYS = [
    StoredArray("scores", SIZE, SHARD, CHUNK, "float32"),
    StoredArray("boxes", (2, *SIZE[1:]), (2, *SHARD[1:]), (2, *SHARD[1:]), "float64"),
]
MANIFEST = {"what": "numbers", "sizes": [list(SIZE), list(SHARD)]}


@dataclass(frozen=True)
class ToyJob:
    out: Path
    seconds: float = 0.0
    key: str = "toy"
    fails: int = -1
    kills: int = -1  # the task that ends its process …
    how_often: int = 0  # … so often
    unopened: bool = False
    together: int = 1  # processes that open it before any begins

    def open(self, threads: int) -> ToyWorker:
        if self.unopened:
            raise RuntimeError("cannot be opened")
        opened = self.out.parent / "opened"
        with opened.open("a") as file:
            file.write(f"{os.getpid()} {threads}\n")
        until = time.monotonic() + 60
        while len(opened.read_text().splitlines()) < self.together and time.monotonic() < until:
            time.sleep(0.01)
        return ToyWorker(self, Store.open(self.out))


class ToyWorker:
    def __init__(self, job: ToyJob, store: Store):
        self._job = job
        self._store = store

    def do(self, index: int) -> None:
        job = self._job
        with (job.out.parent / "began").open("a") as file:
            file.write(f"{index}\n")
        time.sleep(job.seconds)
        if index == job.fails:
            raise ValueError(f"task {index} was told to fail")
        if index == job.kills and self._attempts(index) <= job.how_often:
            os.kill(os.getpid(), signal.SIGKILL)
        place, outputs = computed(index)
        self._store.write(index, place, outputs, {"windows": int(outputs["scores"][0].size)})

    def close(self) -> None:
        pass

    def _attempts(self, index: int) -> int:
        return (self._job.out.parent / "began").read_text().split().count(str(index))


def computed(index: int):
    """Return the place of a task, and its outputs."""
    row, column = divmod(index, COLUMNS)
    rows = slice(row * SHARD[1], min((row + 1) * SHARD[1], SIZE[1]))
    columns = slice(column * SHARD[2], min((column + 1) * SHARD[2], SIZE[2]))
    return (rows, columns), {name: full(name)[:, rows, columns] for name in ("scores", "boxes")}


def full(name: str) -> np.ndarray:
    """Return the whole array as it is to be."""
    array = ARRAYS[0] if name == "scores" else ARRAYS[1]
    numbers = np.arange(1, 1 + np.prod(array.shape)).reshape(array.shape)
    values = np.sin(numbers).astype(array.dtype)
    row, column = divmod(EMPTY, COLUMNS)
    values[
        :, row * SHARD[1] : (row + 1) * SHARD[1], column * SHARD[2] : (column + 1) * SHARD[2]
    ] = np.nan
    return values


def make(out: Path) -> Store:
    return Store.create(out, ARRAYS, MANIFEST)


def files(out: Path) -> dict[str, bytes]:
    """Return every file of a store."""
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def whole_files(out: Path) -> dict[str, bytes]:
    """Return every file of a store, less what killed writers left half written, as a run does."""
    Store.open(out).clean()
    return files(out)


def uninterrupted(out: Path) -> dict[str, bytes]:
    """Return every file of a store that one process wrote, from the first task to the last."""
    store = make(out)
    for index in range(TASKS):
        place, outputs = computed(index)
        store.write(index, place, outputs, {"windows": int(outputs["scores"][0].size)})
    return files(out)


class Events(list):
    """What an engine told."""

    def __call__(self, kind, index, **facts):
        self.append((kind, index, facts))

    def of(self, kind):
        return [index for told, index, _ in self if told == kind]
