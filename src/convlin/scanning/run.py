"""The run: what is not done yet is handed to an engine, and what it wrote is exported."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from convlin.arguments import Progress, shown
from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.scanning.engines import run_dask, run_processes, run_serial
from convlin.scanning.exports import write_export
from convlin.scanning.plan.method_contract import Task
from convlin.scanning.prepared import Prepared
from convlin.scanning.store import InMemory, Store
from convlin.scanning.worker import Worker

__all__ = ["run"]


def run(prepared: Prepared, progress: Progress | None) -> tuple[Store | InMemory, int]:
    """Run the tasks that are not done; return the store, and how many there were.

    Raises whatever ended the run; what is done stays, to be gone on with.
    """
    store = _opened(prepared)
    mine = _share(len(prepared.tasks), prepared.asked.shard)
    if prepared.where.goes_on:
        _clean(store, mine, alone=prepared.asked.shard is None)
    done = store.done()
    left = [index for index in mine if index not in done]
    if left:
        _compute(prepared, store, left, len(mine), progress)
        if isinstance(store, Store) and prepared.asked.shard is None:
            store.clean()  # of workers that were lost meanwhile
        done = store.done()
    missing = [index for index in mine if index not in done]
    if missing:
        raise InputError(
            f"{store.path}: {len(missing)} tasks are not marked as done, the first of them "
            f"{missing[0]}; go on with --resume"
        )
    return store, len(left)


def export(prepared: Prepared, store: Store | InMemory) -> None:
    """Write the file that was asked for, and take the folder away that it is made of."""
    asked, where = prepared.asked, prepared.where
    if where.exported is not None and where.store is not None:
        write_export(
            store.arrays, prepared.places, where.exported, threshold=asked.threshold,
            top=asked.top, classes=asked.selection.classes, names=asked.names,
            shape="centre" if asked.points else "box",
        )  # fmt: skip
        shutil.rmtree(where.store)


def _opened(prepared: Prepared) -> Store | InMemory:
    """Return the store: made, or the one that is gone on with."""
    path, manifest = prepared.where.store, prepared.manifest
    if path is None:
        return InMemory(prepared.arrays, manifest)
    if prepared.where.goes_on:
        store = Store.open(path)
        store.require_same(manifest)
        return store
    shared = prepared.asked.shard is not None
    return Store.create(path, prepared.arrays, manifest, shared=shared)


def _clean(store: Store | InMemory, mine: range, *, alone: bool) -> None:
    """Take tasks for not done whose shards are not what was written; remove what was left half."""
    assert isinstance(store, Store)
    if alone:  # others may be writing
        store.clean()
    for problem in store.verify(index for index in store.marked() if index in mine):
        if problem.index is not None:
            store.discard(problem.index)


def _share(tasks: int, shard: tuple[int, int] | None) -> range:
    """Return the tasks of one share of several: as many as of any other, one after another.

    >>> _share(10, (2, 3)), _share(10, None)
    (range(3, 6), range(0, 10))
    """
    number, many = shard or (1, 1)
    return range(tasks * (number - 1) // many, tasks * number // many)


def _compute(
    prepared: Prepared,
    store: Store | InMemory,
    left: list[int],
    mine: int,
    progress: Progress | None,
) -> None:
    """Hand tasks to the engine that was asked for."""
    asked, settings = prepared.asked, prepared.job.settings
    note = Speed(prepared, mine - len(left), mine, progress)
    if asked.engine == "serial":
        with threads(settings.threads):
            run_serial(Here(prepared, store), left, note)
    elif asked.engine == "processes":
        run_processes(prepared.job, left, note, asked.workers, settings.threads)
    else:
        address = None if asked.engine == "dask" else asked.engine
        run_dask(
            prepared.job, left, note, address=address, workers=asked.workers,
            threads=settings.threads, stall=asked.stall, memory=prepared.plan.memory.total,
            finished=store.is_done,
        )  # fmt: skip


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let PyTorch use so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Here:
    """The job in this process, where everything is open already."""

    def __init__(self, prepared: Prepared, store: Store | InMemory) -> None:
        self._prepared = prepared
        self._store = store

    def open(self, threads: int) -> Worker:
        """Return a worker on what is open."""
        its = self._prepared
        return Worker(its.job, its.chosen, its.source, its.mask, self._store)


class Speed:
    """Tells a progress callback how many tasks are done, and how many megapixels a second."""

    def __init__(
        self, prepared: Prepared, done: int, total: int, progress: Progress | None
    ) -> None:
        self._prepared = prepared
        self._done, self._total = done, total
        self._progress = progress
        self._started = time.monotonic()
        self._pixels = 0

    def __call__(self, kind: str, index: int, **facts: Any) -> None:
        """Take note of what an engine tells of a task."""
        if kind != "done":
            return
        self._done += 1
        self._pixels += self._reached(self._prepared.tasks[index])
        if self._progress is not None:
            speed = self._pixels / max(1e-9, time.monotonic() - self._started) / 1e6
            try:
                self._progress(f"{speed:.3g} megapixels/s", self._done, self._total)
            except Exception as error:
                allowed, why = "a function of (what, done, total)", one_line(error)
                raise Refused(
                    Refusal("scan", "progress", shown(self._progress), allowed, why)
                ) from error

    def _reached(self, task: Task) -> int:
        """Return the pixels that a task goes on by: its cells times the stride."""
        pixels = 1
        for (a, b), step in zip(task.cells, self._prepared.job.grid.stride, strict=True):
            pixels *= (b - a) * step
        return pixels
