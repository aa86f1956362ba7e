"""A run of consecutive tasks for each worker: what one task leaves behind serves the next.

Who has done all of its share takes the second half of the longest share that is left. A share
whose worker is gone is taken whole by the next who asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence

__all__ = ["Shares"]


class Shares:
    """The tasks that nobody has begun, by the worker that is to do them.

    >>> shares = Shares(range(7), ["a", "b"])
    >>> [shares.next("a") for _ in range(4)], shares.next("b")
    ([0, 1, 2, 5], 3)
    >>> shares.put_back("b", 3)
    >>> shares.drop("b")
    >>> shares.next("c"), shares.next("c"), len(shares)
    (3, 4, 1)
    """

    def __init__(self, tasks: Sequence[int], workers: Iterable[Hashable]) -> None:
        names = list(workers)
        self._of: dict[Hashable, deque[int]] = {}
        self._left: list[deque[int]] = []  # of workers that are gone
        for number, name in enumerate(names):
            first, last = (len(tasks) * n // len(names) for n in (number, number + 1))
            self._of[name] = deque(tasks[first:last])
        if not names:
            self._left.append(deque(tasks))

    def __len__(self) -> int:
        return sum(map(len, self._of.values())) + sum(map(len, self._left))

    def next(self, worker: Hashable) -> int | None:
        """Return the task that a worker is to do now; None if nothing is left."""
        share = self._of.setdefault(worker, deque())
        if not share:
            share.extend(self._taken())
        return share.popleft() if share else None

    def put_back(self, worker: Hashable, index: int) -> None:
        """Give a task back that was not done: it is this worker's next."""
        self._of.setdefault(worker, deque()).appendleft(index)

    def drop(self, worker: Hashable) -> None:
        """Leave what a worker had to others."""
        share = self._of.pop(worker, None)
        if share:
            self._left.append(share)

    def _taken(self) -> list[int]:
        """Take tasks from whoever has most."""
        if self._left:
            return list(self._left.pop(0))
        longest: deque[int] = max(self._of.values(), key=len, default=deque())
        many = (len(longest) + 1) // 2
        return [longest.pop() for _ in range(many)][::-1]
