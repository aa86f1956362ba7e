"""What engines are given and what they tell: jobs, workers, events, and failures in one line.

Events are `note(kind, index, **facts)`:

==============  ====================================================  =====================
kind            what happened to the task                             facts
==============  ====================================================  =====================
"started"       a worker has it                                       worker
"done"          it is stored                                          worker, seconds
"failed"        it cannot be done; the run will end with it           error
"lost worker"   its worker is gone; -1 where that had none            worker, error
"retried"       another worker will do it again
"finishing"     Ctrl-C: it is still waited for
==============  ====================================================  =====================
"""

from __future__ import annotations

import importlib
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from convlin.errors import ConvlinError, InputError, Refused, one_line

__all__ = ["NO_TASK", "Failure", "Job", "Note", "Worker", "pickled"]

# The index of an event that is about no task.
NO_TASK = -1

Note: TypeAlias = Callable[..., None]


class Worker(Protocol):
    """One process's part in a job."""

    def do(self, index: int) -> None:
        """Compute a task and store it; twice is as good as once."""

    def close(self) -> None:
        """Let go of what is open."""


class Job(Protocol):
    """All that a worker needs; it can be pickled."""

    def open(self, threads: int) -> Worker:
        """Open everything once in this process, which may use so many threads."""


@dataclass(frozen=True)
class Failure:
    """What an exception said in the process where it was raised.

    index: the task, or `NO_TASK`. refused: what was raised, if that was a refusal.
    """

    index: int
    text: str
    trace: str = ""
    refused: Refused | None = None

    @classmethod
    def of(cls, index: int, error: BaseException) -> Failure:
        """Return it; what convlin says itself as it is, of others the kind and the first line."""
        text = str(error) if isinstance(error, ConvlinError) else one_line(error)
        refused = error if isinstance(error, Refused) and _can_be_sent(error) else None
        return cls(index, text, "".join(traceback.format_exception(error)), refused)

    def error(self) -> ConvlinError:
        """Return what to raise for it here: a refusal as it is, or else what names the task.

        Its cause is the trace from there.
        """
        if self.refused is not None:
            return self.refused
        error = InputError(
            self.text if self.index == NO_TASK else f"task {self.index}: {self.text}"
        )
        error.__cause__ = _There(self.trace) if self.trace else None
        return error


class _There(Exception):
    """A trace of another process: shown where traces are."""

    def __str__(self) -> str:
        return f"\n{super().__str__()}"


def _can_be_sent(error: Refused) -> bool:
    """Return whether all that a refusal names can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return True


def pickled(job: Any) -> bytes:
    """Return a job for other processes, classes of scripts and notebooks included."""
    try:
        library: Any = importlib.import_module("cloudpickle")  # Dask needs it too
    except ImportError:
        library = pickle
    try:
        content: bytes = library.dumps(job)
    except Exception as error:
        raise InputError(f"this cannot be handed to other processes: {one_line(error)}") from error
    return content
