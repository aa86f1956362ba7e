"""Tasks that were lost with their worker: done again, then alone, then given up.

A worker has two tasks at a time, and which of them it was lost with is not known. So one that was
lost twice waits until all others are done, and is tried when no other can be at fault.
"""

from __future__ import annotations

from collections import Counter

from convlin.scanning.engines.jobs import Note
from convlin.scanning.engines.shares import Shares

__all__ = ["LostTasks"]

# How often a task may be cancelled by whoever else uses the cluster, until it counts as lost.
CANCELLED = 5


class LostTasks:
    """What is to be done about tasks that were lost. alone: those to be tried alone."""

    def __init__(self, shares: Shares, note: Note) -> None:
        self._shares = shares
        self._note = note
        self._lost: Counter[int] = Counter()
        self._cancelled: Counter[int] = Counter()
        self.alone: list[int] = []
        self.given_up: dict[int, str] = {}

    def lose(self, index: int, worker: str, how: str, several: bool = False) -> None:
        """Decide about a task whose worker was lost, or several workers one after another."""
        self._note("lost worker", index, worker=worker, error=how)
        self._lost[index] = max(self._lost[index], int(several)) + 1
        if self._lost[index] > 2:
            self.given_up[index] = f"task {index}: its worker was lost again and again: {how}"
            self._note("failed", index, error=self.given_up[index])
            return
        self._note("retried", index)
        if self._lost[index] == 2:
            self.alone.append(index)
        else:
            self._shares.put_back(worker, index)
            self._shares.drop(worker)

    def cancel(self, index: int, worker: str) -> None:
        """Decide about a task that was cancelled: with its scheduler, or by somebody else."""
        self._cancelled[index] += 1
        if self._cancelled[index] % CANCELLED == 0:
            self.lose(index, worker, "it was cancelled, again and again")
        else:
            self._note("retried", index)
            self._shares.put_back(worker, index)
