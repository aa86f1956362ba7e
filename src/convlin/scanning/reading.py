"""What a method reads while a task runs: pixels of the source, as the model takes them.

What is read is checked on its way, without a second pass: its checksum, numbers that are none, and
whether it is no data. Beyond the image, and where there is no data, the model reads zeros.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from convlin.errors import InputError
from convlin.scanning.blanks import Blanks
from convlin.scanning.pixels import Pixels
from convlin.scanning.plan.method_contract import Box, Task
from convlin.scanning.sources import Unreadable

if TYPE_CHECKING:
    from convlin.scanning.sources import Source

__all__ = ["Reading", "written"]


class Reading:
    """One task's reading of the source; `blanks` outlives it, as rows of a task are read early.

    earlier: checksums of boxes that tasks before it have read, by `written(box)`.
    """

    def __init__(
        self, source: Source, pixels: Pixels, blanks: Blanks, task: Task, *,
        skip_unreadable: bool = False, earlier: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        self._source = source
        self._pixels = pixels
        self._blanks = blanks
        self._earlier = dict(earlier or {})
        self._skip_unreadable = skip_unreadable
        self.task = task
        self.checksums: dict[str, int] = {}
        self.holes: list[Box] = []

    def __call__(self, box: Box, owned: bool = True) -> np.ndarray:
        """Return the pixels (C, *box), of which no value is NaN."""
        sizes = tuple(stop - start for start, stop in box)
        kind = np.float64 if self._pixels.exact else np.float32
        inside = tuple(
            (start, max(start, min(stop, n)))
            for (start, stop), n in zip(box, self._source.shape[1:], strict=True)
        )
        if any(start == stop for start, stop in inside):
            return np.zeros((self._source.shape[0], *sizes), kind)
        raw, unread = self._read(inside)
        self._note_checksum(inside, raw, owned)
        blank = self._no_data(raw)
        if unread is not None:
            blank = unread if blank is None else blank | unread
        self._require_numbers(raw, blank, inside)
        made = self._pixels(raw)
        if blank is not None and blank.any():
            self._blanks.note(blank, inside)
            made[:, blank] = 0
        if inside == box:
            return made
        whole = np.zeros((len(made), *sizes), kind)
        whole[(slice(None), *(slice(0, stop - start) for start, stop in inside))] = made
        return whole

    def skips(self, cells: Box) -> bool:
        """Whether none of these windows is asked for."""
        blank = self._blanks.outside(cells) | self._blanks.without_data(cells)
        return bool(blank.all())

    def _read(self, box: Box) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the pixels of a box, and which of them cannot be read."""
        try:
            return self._source.read(box), None
        except Unreadable:
            if not self._skip_unreadable:
                raise
        sizes = tuple(stop - start for start, stop in box)
        whole = np.zeros((self._source.shape[0], *sizes), self._source.dtype)
        unread = np.zeros(sizes, bool)
        for part in _blocks(box, self._source.block):
            pairs = zip(part, box, strict=True)
            place = tuple(slice(a - first, b - first) for (a, b), (first, _) in pairs)
            try:
                whole[(slice(None), *place)] = self._source.read(part)
            except Unreadable:
                unread[place] = True
                self.holes.append(part)
        return whole, unread

    def _note_checksum(self, box: Box, raw: np.ndarray, owned: bool) -> None:
        key, number = written(box), zlib.crc32(np.ascontiguousarray(raw).data)
        if owned:
            self.checksums[key] = number
        elif self._earlier.get(key, number) != number:
            raise InputError(
                f"{self._source.description}: pixels {key} are not those that an earlier task "
                "read: the source has changed; scan it anew"
            )

    def _no_data(self, raw: np.ndarray) -> np.ndarray | None:
        """Return where every channel is no data; None if nothing is."""
        none = self._source.nodata
        if none is None:
            return None
        flags = np.asarray(np.isnan(raw) if math.isnan(none) else raw == none)
        return np.asarray(flags.all(axis=0))

    def _require_numbers(self, raw: np.ndarray, blank: np.ndarray | None, box: Box) -> None:
        if raw.dtype.kind != "f":
            return
        wrong = ~np.isfinite(raw).all(axis=0)
        if blank is not None:
            wrong &= ~blank
        if not wrong.any():
            return
        at = tuple(int(n) for n in np.argwhere(wrong)[0])
        value = raw[(slice(None), *at)].tolist()  # type: ignore[arg-type]
        pixel = tuple(n + start for n, (start, _) in zip(at, box, strict=True))
        allowed = "numbers, or nodata=nan, which leaves windows with NaN out"
        raise InputError(
            f"{self._source.description}: pixel {pixel} is {value}, expected {allowed}"
        )


def written(box: Box) -> str:
    """Return a box as a marker names it.

    >>> written(((0, 64), (32, 100)))
    '0:64,32:100'
    """
    return ",".join(f"{start}:{stop}" for start, stop in box)


def _blocks(box: Box, block: tuple[int, ...]) -> Iterator[Box]:
    """Yield a box cut where the source's own blocks end."""
    axes: list[list[tuple[int, int]]] = []
    for (start, stop), n in zip(box, block, strict=True):
        ends = [start, *range(start // n * n + n, stop, n), stop]
        axes.append(list(itertools.pairwise(ends)))
    yield from itertools.product(*axes)
