"""What runs on a worker of a Dask cluster: the job opened once a process, then task after task.

A worker may have several threads; a job has one of them at a time, since its memory is planned so.
"""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from typing import Any

from convlin.scanning.engines.jobs import Failure
from convlin.scanning.engines.thread_limits import limit

__all__ = ["NotOpened", "TaskFailed", "close_job", "open_job", "run_task"]

# Jobs that are open in this process; of scans whose coordinator was killed, few stay.
OPEN: OrderedDict[str, Any] = OrderedDict()
MOST = 2
LOCK = threading.Lock()


class NotOpened(Exception):
    """A task came to a process that was started anew since the job was opened there."""


class TaskFailed(Exception):
    """A task failed; carries the `Failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def open_job(key: str, index: int, job: bytes, threads: int) -> None:
    """Open a job in this process."""
    with LOCK:
        if key in OPEN:
            return
        while len(OPEN) >= MOST:
            OPEN.popitem(last=False)[1].close()
        try:
            limit(threads)
            worker = pickle.loads(job).open(threads)
            limit(threads)  # what the job has loaded
        except Exception as error:
            raise TaskFailed(Failure.of(index, error)) from None
        OPEN[key] = worker


def run_task(key: str, index: int) -> None:
    """Do a task of a job that is open."""
    with LOCK:
        worker = OPEN.get(key)
        if worker is None:
            raise NotOpened(key)
        OPEN.move_to_end(key)
        try:
            worker.do(index)
        except Exception as error:
            raise TaskFailed(Failure.of(index, error)) from None


def close_job(key: str, index: int) -> None:
    """Let go of what a job has open here."""
    with LOCK:
        worker = OPEN.pop(key, None)
        if worker is not None:
            worker.close()
