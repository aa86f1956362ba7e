"""Windows worth listing: above a threshold, or the best of each class, over a whole scan.

Scores are read piece by piece. What is wanted of them is held as records of 20 bytes, a million at
most: more are sorted, cut to the best of each class, and if they are still as many put into a file
without a name. In the end the sorted runs are merged. So the list is that of a sort of everything,
whatever the pieces are, and the memory is the same for a list of any length.
"""

from __future__ import annotations

import heapq
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convlin.arguments import shown, whole
from convlin.errors import Refusal, Refused
from convlin.scanning.exports.in_pieces import pieces

__all__ = ["Hit", "hits"]

AT_ONCE = 2**24  # bytes of scores that are in memory at once, or one chunk if that is more
MOST = 2**20  # records in memory
READ = 2**16  # records of all runs together that are read ahead
RECORD = np.dtype([("kind", "<i4"), ("score", "<f8"), ("cell", "<i8")])


class Hit(NamedTuple):
    """A window's score in a class (its place among those stored), and its cell."""

    score: float
    kind: int
    cell: tuple[int, ...]


def hits(
    scores: Any, ndim: int, threshold: float | None, top: int | None, beside: Path | None = None
) -> Iterator[Hit]:
    """Yield the windows of scores (K, *cells), class by class, the highest score first.

    Those of `threshold` or more, compared as exact numbers; the `top` best of each class; windows
    of equal score in order of their cells. NaN is no score. beside: a folder that has room.

    >>> found = hits(np.array([[1.0, 3.0, 2.0]]), 1, None, 2)
    >>> [(hit.score, hit.cell) for hit in found]
    [(3.0, (1,)), (2.0, (2,))]
    """
    if threshold is not None and math.isnan(threshold):
        raise Refused(Refusal("hits", "threshold", shown(threshold), "a number"))
    if top is not None:
        whole("hits", "top", top, 1)
    cells = tuple(scores.shape)[len(scores.shape) - ndim :]
    with Sorted(top, beside) as found:
        for place in pieces(scores, AT_ONCE):
            part = np.asarray(scores[place])
            part = part.reshape(-1, *part.shape[part.ndim - ndim :])
            first = place[0].start if len(place) > ndim else 0
            sides = place[len(place) - ndim :]
            for kind, one in enumerate(part, first):
                found.add(_wanted(one, sides, cells, kind, threshold, found.least(kind), top))
        for kind, score, number in found.merged():
            cell = []
            for size in reversed(cells):
                number, i = divmod(number, size)
                cell.append(i)
            yield Hit(score, kind, tuple(reversed(cell)))


def _wanted(
    scores: np.ndarray, sides: tuple[slice, ...], cells: tuple[int, ...], kind: int,
    threshold: float | None, least: float, top: int | None,
) -> np.ndarray:  # fmt: skip
    """Return records of a class's cells that may be listed."""
    wanted = ~np.isnan(scores)
    for bound in (threshold, least):
        if bound is not None:
            # as float64: 0.7 in float32 is less than 0.7
            wanted &= scores >= np.float64(bound)
    found = np.nonzero(wanted)
    values = scores[found].astype(np.float64)
    if top is not None and len(values) > top:
        # all that may be among the best, equal ones included
        good = values >= np.partition(values, -top)[-top]
        values, found = values[good], tuple(axis[good] for axis in found)
    records = np.empty(len(values), RECORD)
    places = tuple(axis + side.start for axis, side in zip(found, sides, strict=True))
    records["kind"], records["score"] = kind, values
    records["cell"] = np.ravel_multi_index(places, cells)
    return records


class Sorted:
    """Records by class, then score from the highest, then cell; `top` of each class at most."""

    def __init__(self, top: int | None, beside: Path | None) -> None:
        self._top = top
        self._beside = beside
        self._new: list[np.ndarray] = []
        self._count = 0
        self._least: dict[int, float] = {}
        self._file: Any = None
        self._runs: list[tuple[int, int]] = []

    def __enter__(self) -> Sorted:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def least(self, kind: int) -> float:
        """Return a score that what is still to come of a class must have, to be listed."""
        return self._least.get(kind, -math.inf)

    def add(self, records: np.ndarray) -> None:
        """Take records in any order."""
        for start in range(0, len(records), MOST):
            self._new.append(records[start : start + MOST])
            self._count += len(self._new[-1])
            if self._count > MOST:
                self._settle()

    def merged(self) -> Iterator[tuple[int, float, int]]:
        """Yield all of them in order, as (class, score, cell)."""
        rest = self._in_order()
        self._new, self._count = [], 0
        # the more runs there are, the less of each
        step = max(16, READ // (len(self._runs) + 1))
        runs = [self._read(*run, step) for run in self._runs]
        runs.append(row for n in range(0, len(rest), step) for row in rest[n : n + step].tolist())
        rows = heapq.merge(*runs, key=_key) if len(runs) > 1 else runs[0]
        kind, many = -1, 0
        for row in rows:
            many = many + 1 if row[0] == kind else 1
            kind = row[0]
            if self._top is None or many <= self._top:
                yield row

    def _settle(self) -> None:
        """Sort what is in memory and leave out what is not among the best; make room."""
        records = self._in_order()
        if self._top is not None:
            kinds, ends = np.unique(records["kind"][::-1], return_index=True)
            counts = np.bincount(records["kind"], minlength=int(kinds[-1]) + 1)
            for kind, end in zip(kinds.tolist(), ends.tolist(), strict=True):
                if counts[kind] == self._top:
                    last = float(records["score"][len(records) - 1 - end])
                    self._least[kind] = max(self.least(kind), last)
        if len(records) > MOST // 2:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._beside)  # noqa: SIM115 - see exit
            self._runs.append((self._file.seek(0, 2), len(records)))
            self._file.write(records.tobytes())
            records = records[:0]
        self._new, self._count = [records], len(records)

    def _in_order(self) -> np.ndarray:
        records = np.concatenate([np.empty(0, RECORD), *self._new])
        order = np.lexsort((records["cell"], -records["score"], records["kind"]))
        records = records[order]
        if self._top is not None:
            begins = np.searchsorted(records["kind"], records["kind"])  # of each one's class
            records = records[np.arange(len(records)) - begins < self._top]
        return records

    def _read(self, offset: int, many: int, step: int) -> Iterator[tuple[int, float, int]]:
        """Yield the records of a run, some at a time: others read the same file meanwhile."""
        for start in range(0, many, step):
            self._file.seek(offset + start * RECORD.itemsize)
            count = min(step, many - start)
            content = self._file.read(count * RECORD.itemsize)
            yield from np.frombuffer(content, RECORD).tolist()


def _key(row: tuple[int, float, int]) -> tuple[int, float, int]:
    kind, score, cell = row
    return kind, -score, cell
