"""One task after another, in this process."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing

from convlin.errors import Refused
from convlin.scanning.engines.jobs import Failure, Job, Note

__all__ = ["run_serial"]


def run_serial(job: Job, tasks: Iterable[int], note: Note, threads: int = 1) -> None:
    """Do tasks in order; the first that fails ends the run, by `InputError` that names it.

    A refusal is raised as it is.
    """
    with closing(job.open(threads)) as worker:
        for index in tasks:
            note("started", index, worker="serial")
            began = time.monotonic()
            try:
                worker.do(index)
            except Exception as error:
                failure = Failure.of(index, error)
                note("failed", index, error=failure.text)
                if isinstance(error, Refused):
                    raise
                raise failure.error() from error
            note("done", index, worker="serial", seconds=time.monotonic() - began)
