"""One task after another, in this process."""

from __future__ import annotations

from collections.abc import Sequence

from convlin.scan.engines.engine import Job, Note

__all__ = ["run_serial"]


def run_serial(job: Job, tasks: Sequence[int], note: Note, threads: int = 0) -> None:
    """Run the tasks in order; the first error ends it, and what is done stays."""
    worker = job.open(threads)
    try:
        for index in tasks:
            note("started", index)
            worker.do(index)
            note("done", index)
    finally:
        worker.close()
