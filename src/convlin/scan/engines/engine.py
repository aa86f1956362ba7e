"""What a job is, and what an engine tells of it."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Job", "Note", "Worker"]


class Worker(Protocol):
    """A job opened in one process."""

    def do(self, index: int) -> None:
        """Compute and store a task; doing it again gives the same."""

    def close(self) -> None:
        """Let go of what is open."""


class Job(Protocol):
    """All that a worker needs; other processes unpickle it."""

    def open(self, threads: int) -> Worker:
        """Open it in this process, for so many threads."""


class Note(Protocol):
    """Hears of tasks: "started", "done", "lost worker", "retried"."""

    def __call__(self, kind: str, index: int, **facts: Any) -> None:
        """Take note."""
