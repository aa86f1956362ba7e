"""A Dask cluster, that is there or local: who it is, and how a run on it ends."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from convlin.errors import InputError
from convlin.scanning.engines.dask_client import quiet
from convlin.scanning.engines.dask_run import DaskRun, Finished
from convlin.scanning.engines.interrupts import told_of_interrupts
from convlin.scanning.engines.jobs import Job, Note
from convlin.scanning.engines.local_cluster import local_cluster

__all__ = ["run_dask"]


def run_dask(
    job: Job, tasks: Iterable[int], note: Note, *, finished: Finished, address: str | None = None,
    workers: int = 1, threads: int = 1, stall: float = 60.0, memory: int = 0,
) -> None:  # fmt: skip
    """Do tasks on the cluster of a scheduler, or on a local one of so many workers.

    finished: says whether the store has a task's marker. address: as Dask writes it, or a scheduler
    file (.json). threads: of each task. stall: seconds without a scheduler, or without a worker,
    after which the run is given up; what is done stays. memory: bytes that a task needs; refused
    where a worker has less than 4/3 of it. Raises `InputError`, as `run_processes` does.
    """
    todo = list(tasks)
    if not todo:
        return
    with quiet(), ExitStack() as stack:
        if address is None:
            many = min(workers, len(todo))
            address = stack.enter_context(local_cluster(many, threads))
        _run(DaskRun(job, todo, note, finished, address, threads, stall, memory))


def _run(run: DaskRun) -> None:
    try:
        with told_of_interrupts(run.interrupt):
            run.work()
    finally:
        run.close()
    if run.failure is not None:
        raise run.failure
    if run.interrupted:
        raise KeyboardInterrupt
    if run.lost.given_up:
        raise InputError("; ".join(run.lost.given_up.values()))
