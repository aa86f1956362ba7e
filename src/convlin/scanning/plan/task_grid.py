"""Windows cut into tasks: a regular grid of boxes, each of them one shard of every output.

Tasks are counted down the first axis first, strip by strip: what one leaves behind of its last
rows, the next one begins with.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from convlin.scanning.plan.contract import Box, Task

__all__ = ["TaskGrid", "divisor"]


@dataclass(frozen=True)
class TaskGrid:
    """Cells [first, stop) along each axis in boxes of `shape` cells, the last ones smaller.

    >>> tasks = TaskGrid(((2, 7), (0, 4)), (2, 3))
    >>> len(tasks), tasks[4]
    (6, Task(index=4, cells=((4, 6), (3, 4)), first=False))
    >>> tasks.place(tasks[4])
    ((2, 4), (3, 4))
    """

    cells: Box
    shape: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """How many tasks there are along each axis."""
        pairs = zip(self.cells, self.shape, strict=True)
        return tuple(-(-(stop - first) // n) for (first, stop), n in pairs)

    def __len__(self) -> int:
        """How many tasks there are."""
        return math.prod(self.counts)

    def __getitem__(self, index: int) -> Task:
        """Return a task by its number."""
        rows, *others = self.counts
        strip, row = divmod(index, rows)
        at = [row]
        for n in reversed(others):
            strip, place = divmod(strip, n)
            at.insert(1, place)
        cells = []
        for place, (first, stop), n in zip(at, self.cells, self.shape, strict=True):
            begin = first + place * n
            cells.append((begin, min(begin + n, stop)))
        return Task(index, tuple(cells), first=row == 0)

    def __iter__(self) -> Iterator[Task]:
        """Yield the tasks in order."""
        return map(self.__getitem__, range(len(self)))

    def place(self, task: Task) -> Box:
        """Return where a task's cells lie in the stored arrays."""
        pairs = zip(task.cells, self.cells, strict=True)
        return tuple((a - first, b - first) for (a, b), (first, _) in pairs)

    def kinds(self) -> dict[tuple[int, ...], tuple[Task, int]]:
        """Return of each size that tasks have its first task, and how many there are."""
        sizes = []
        for (first, stop), n in zip(self.cells, self.shape, strict=True):
            whole, rest = divmod(stop - first, n)
            sizes.append(
                [*([(n, whole, 0)] if whole else []), *([(rest, 1, whole)] if rest else [])]
            )
        found = {}
        for chosen in itertools.product(*sizes):
            rows = self.counts[0]
            strip = 0
            for (_, _, place), n in zip(chosen[1:], self.counts[1:], strict=True):
                strip = strip * n + place
            task = self[strip * rows + chosen[0][2]]
            found[tuple(n for n, _, _ in chosen)] = (task, math.prod(many for _, many, _ in chosen))
        return found


def divisor(number: int, most: int, least: int = 1) -> int:
    """Return the largest divisor of a number up to `most`; the number if that is below `least`.

    >>> divisor(1000, 64), divisor(331, 128, 8)
    (50, 331)
    """
    found = next(d for d in range(min(number, most), 0, -1) if number % d == 0)
    return found if found >= least or number == found else number
