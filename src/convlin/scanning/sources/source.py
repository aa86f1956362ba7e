"""`Source`: an image as (C, *spatial), whatever it lies in, read box by box.

What a format stores as one piece (a tile, a chunk, a strip) is decoded as a whole. Bands are lower
than tiles, so the row of pieces that the last box ended in is kept until boxes have gone past it:
each is decoded once.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convlin.display.numbers import times
from convlin.errors import Refusal, Refused, one_line
from convlin.scanning.places import Place
from convlin.scanning.plan.method_contract import Box
from convlin.scanning.sources.dimensions import Dimensions
from convlin.scanning.sources.reader import Facts, Reader, Unreadable

__all__ = ["Source"]


class Source:
    """An image (C, *spatial) of a reader; `channels` are those that are read.

    description: in a line; block: pixels along each dimension that are stored as one piece; memory:
    bytes that are held or taken beside what is read, see `held`; place: where pixels lie; nodata:
    what pixels without data hold; notes: what is worth knowing; stored_channels: how many there
    are, read or not; recipe: opens the same elsewhere, None where nothing does.
    """

    def __init__(
        self, reader: Reader, window: tuple[int, ...], *, axes: str | None = None,
        channels: Sequence[int] | None = None, nodata: float | None = None,
        recipe: Any = None,
    ) -> None:  # fmt: skip
        facts = reader.facts
        self._reader = reader
        if facts.dtype.kind not in "buif":
            allowed = "truth values, whole numbers or floats"
            raise Refused(Refusal(facts.name, "dtype", facts.dtype, allowed))
        ndim = len(window) - 1
        letters = facts.axes if axes is None else axes
        self._axes = Dimensions.of(facts.shape, letters, ndim, asked=axes is not None)
        there = 1 if self._axes.channels is None else facts.shape[self._axes.channels]
        self.stored_channels = there
        self._channels = _channels(facts.name, there, channels, window[0])
        space = self._axes.space
        self.shape = (len(self._channels), *(facts.shape[place] for place in space))
        if 0 in self.shape:
            raise Refused(Refusal(facts.name, "shape", facts.shape, "at least one pixel"))
        self.dtype = facts.dtype.newbyteorder("=")
        self._pixel = self.shape[0] * self.dtype.itemsize
        block = facts.block or (1,) * len(facts.shape)
        self.block = tuple(min(block[place], facts.shape[place]) for place in space)
        self.memory = facts.memory
        self.place: Place | None = _placed(facts, space)
        self.nodata = facts.nodata if nodata is None else nodata
        self.full = facts.full
        self.notes = facts.notes
        pieces = f", in pieces of {times(self.block)}" if max(self.block) > 1 else ""
        size = times(facts.shape)
        self.description = f"{facts.name}: {facts.kind}, {size}, {facts.dtype}{pieces}"
        self.name = facts.name
        self.recipe = recipe
        self._rows: dict[int, np.ndarray] = {}
        self._columns: Box = ()
        self._lock = threading.Lock()
        first = () if self._axes.channels is None else (self._axes.channels,)
        stays = [place for place in (*first, *space) if facts.shape[place] > 1]
        in_order = stays == sorted(stays) and len(_runs(self._channels)) == 1
        # what a reader gives is copied where it is not (C, *spatial) in the machine's own bytes
        self._copied = not in_order or not facts.dtype.isnative

    def held(self, sizes: tuple[int, ...]) -> int:
        """Return the bytes that reading boxes of this size takes beside them and `memory`.

        A row of pieces is kept while the next one is decoded; what is not stored as it is read is
        decoded first and copied then.
        """
        (rows, *others), n = sizes, self.shape[1]
        kept = 0
        if self.block[0] > 1:
            rows = self.block[0]
            kept = min(2 * rows, n)
        copied = min(rows, n) if self._copied else 0
        return math.prod((kept + copied, *others, self._pixel))

    def read(self, box: Box) -> np.ndarray:
        """Return exactly the pixels (C, *box); raise `Unreadable` if they cannot be read."""
        sizes = self.shape[1:]
        inside = len(box) == len(sizes) and all(
            0 <= start < stop <= n for (start, stop), n in zip(box, sizes, strict=True)
        )
        if not inside:
            allowed = f"start < stop within {sizes}"
            raise Refused(Refusal(self.name, "box", box, allowed))
        if self.block[0] == 1:
            return self._decoded(box)
        with self._lock:
            return self._from_pieces(box)

    def identity(self) -> Mapping[str, Any]:
        """Return what changes if the source does."""
        return self._reader.identity()

    def close(self) -> None:
        """Let go of files."""
        self._rows.clear()
        self._reader.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _from_pieces(self, box: Box) -> np.ndarray:
        """Return a box of rows of pieces, each of which is decoded once as boxes go down."""
        (start, stop), *columns = box
        tall = self.block[0]
        first, last = start // tall, (stop - 1) // tall
        if tuple(columns) != self._columns:
            self._rows, self._columns = {}, tuple(columns)
        self._rows = {row: kept for row, kept in self._rows.items() if first <= row <= last}
        shape = (self.shape[0], *(b - a for a, b in box))
        made: np.ndarray | None = None
        for row in range(first, last + 1):
            begin, end = row * tall, min((row + 1) * tall, self.shape[1])
            piece = self._rows.pop(row, None)
            if piece is None:
                piece = self._decoded(((begin, end), *columns))
            if (start, stop) == (begin, end):
                return piece
            if made is None:
                made = np.empty(shape, self.dtype)
            a, b = max(start, begin), min(stop, end)
            made[:, a - start : b - start] = piece[:, a - begin : b - begin]
            if stop < end:  # the next box begins in it
                self._rows[row] = piece
        assert made is not None
        return made

    def _decoded(self, box: Box) -> np.ndarray:
        """Return a box as the reader decodes it, channels first, in the machine's own bytes."""
        facts, axes = self._reader.facts, self._axes
        whole: list[tuple[int, int]] = [(0, 1)] * len(facts.shape)
        for place, side in zip(axes.space, box, strict=True):
            whole[place] = side
        runs = _runs(self._channels)
        found: np.ndarray | None = None
        done = 0
        for first, stop in runs:
            if axes.channels is not None:
                whole[axes.channels] = (first, stop)
            try:
                part = self._arranged(np.asarray(self._reader.read(tuple(whole))), box)
            except MemoryError:
                raise
            except Exception as error:  # of damaged files: whatever their decoders stumble over
                raise Unreadable(facts.name, box, one_line(error)) from error
            # what is read-only is not ours to hand on
            ours = part.flags.c_contiguous and part.flags.writeable and part.dtype == self.dtype
            if len(runs) == 1 and ours:
                return part
            if found is None:
                found = np.empty((len(self._channels), *part.shape[1:]), self.dtype)
            found[done : done + len(part)] = part
            done += len(part)
        assert found is not None
        return found

    def _arranged(self, made: np.ndarray, box: Box) -> np.ndarray:
        """Return what a reader gave as (channels, *box)."""
        axes = self._axes
        front = (*(() if axes.channels is None else (axes.channels,)), *axes.space)
        others = [place for place in range(made.ndim) if place not in front]
        moved = made.transpose(*front, *others)
        channels = 1 if axes.channels is None else moved.shape[0]
        shape = (channels, *(stop - start for start, stop in box))
        if moved.size != math.prod(shape):
            raise ValueError(f"{made.shape} numbers were read for {shape}")
        return moved.reshape(shape)


def _placed(facts: Facts, space: tuple[int, ...]) -> Place | None:
    """Return where pixels lie, in the order of axes that they are read in.

    What a file says of its axes says nothing of axes that a caller takes for space instead.
    """
    place = facts.place
    if place is None or facts.space in ((), space):
        return place
    if not set(space) <= set(facts.space):
        return Place()
    order = [facts.space.index(axis) for axis in space]
    turned: dict[str, Any] = {
        field: tuple(values[n] for n in order)
        for field in ("scale", "translation", "units", "names", "factor")
        if (values := getattr(place, field)) is not None
    }
    return Place(**turned)


def _channels(name: str, there: int, asked: Sequence[int] | None, wanted: int) -> tuple[int, ...]:
    """Return which channels are read."""
    if asked is None:
        if there != wanted:
            allowed = f"{wanted}, as the window has, or channels= to choose"
            raise Refused(Refusal(name, "channels", there, allowed))
        return tuple(range(there))
    if any(not 0 <= number < there for number in asked) or len(asked) != wanted:
        allowed = f"{wanted} number{'s' * (wanted > 1)} from 0 to {there - 1}"
        raise Refused(Refusal("scan", "channels", tuple(asked), allowed))
    return tuple(asked)


def _runs(channels: Sequence[int]) -> list[tuple[int, int]]:
    """Return numbers as runs [first, stop) of neighbours, in order.

    >>> _runs((0, 1, 2)), _runs((3, 1))
    ([(0, 3)], [(3, 4), (1, 2)])
    """
    runs = itertools.groupby(enumerate(channels), lambda pair: pair[1] - pair[0])
    return [(its[0][1], its[-1][1] + 1) for its in (list(group) for _, group in runs)]
