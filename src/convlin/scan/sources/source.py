"""`Source`: an image as (C, *spatial), whatever it lies in, read box by box.

What a format stores as one piece (a tile, a chunk, a strip) is decoded as a whole. Bands are lower
than tiles, so the rows of pieces that the last box reached into are kept until boxes have gone past
them: each is decoded once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlin.display.numbers import times
from convlin.errors import Refusal, Refused, one_line
from convlin.scan.places import Place
from convlin.scan.plan.contract import Box
from convlin.scan.sources.dimensions import Dimensions
from convlin.scan.sources.reader import Reader, Unreadable

__all__ = ["Recipe", "Source"]


@dataclass(frozen=True)
class Recipe:
    """How the same source is opened in another process."""

    source: Any
    window: tuple[int, ...]
    options: Mapping[str, Any]

    def open(self) -> Source:
        """Open it."""
        from convlin.scan.sources.opened import open_source

        return open_source(self.source, window=self.window, **self.options)


class Source:
    """An image (C, *spatial) of a reader; `channels` are those that are read.

    description: in a line; block: pixels along each dimension that are stored as one piece; memory:
    bytes held all the time; place: where pixels lie; nodata: what pixels without data hold; notes:
    what is worth knowing; recipe: None where no other process can open it.
    """

    def __init__(
        self, reader: Reader, window: tuple[int, ...], *, axes: str | None = None,
        channels: Sequence[int] | None = None, nodata: float | None = None,
        options: Mapping[str, Any] | None = None,
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
        self._channels = _channels(facts.name, there, channels, window[0])
        space = self._axes.space
        self.shape = (len(self._channels), *(facts.shape[place] for place in space))
        if 0 in self.shape:
            raise Refused(Refusal(facts.name, "shape", facts.shape, "at least one pixel"))
        self.dtype = facts.dtype.newbyteorder("=")
        block = facts.block or (1,) * len(facts.shape)
        self.block = tuple(min(block[place], facts.shape[place]) for place in space)
        self.memory = facts.memory
        self.place: Place | None = facts.place
        self.nodata = facts.nodata if nodata is None else nodata
        self.notes = facts.notes
        pieces = f", in pieces of {times(self.block)}" if max(self.block) > 1 else ""
        size = times(facts.shape)
        self.description = f"{facts.name}: {facts.kind}, {size}, {facts.dtype}{pieces}"
        self.name = facts.name
        origin = reader.reopened()
        self.recipe = None if origin is None else Recipe(origin, window, dict(options or {}))
        self._rows: dict[int, np.ndarray] = {}
        self._columns: Box = ()

    def held(self, sizes: tuple[int, ...]) -> int:
        """Return the bytes of pieces that boxes of this size reach into, and keep."""
        rows, *others = sizes
        whole = [rows + 2 * (self.block[0] - 1)] if self.block[0] > 1 else [0]
        # what is decoded of a piece lies beside what is kept of it
        reached = (n + 2 * (piece - 1) for n, piece in zip(others, self.block[1:], strict=True))
        return math.prod((*whole, *reached, self.shape[0], self.dtype.itemsize))

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
        return self._from_pieces(box)

    def identity(self) -> Mapping[str, Any]:
        """Return what changes if the source does."""
        return self._reader.identity()

    def close(self) -> None:
        """Let go of files."""
        self._rows.clear()
        self._reader.close()

    def _from_pieces(self, box: Box) -> np.ndarray:
        """Return a box of rows of pieces, each of which is decoded once as boxes go down."""
        (start, stop), *columns = box
        tall = self.block[0]
        first, last = start // tall, (stop - 1) // tall
        if tuple(columns) != self._columns:
            self._rows, self._columns = {}, tuple(columns)
        self._rows = {row: kept for row, kept in self._rows.items() if first <= row <= last}
        parts = []
        for row in range(first, last + 1):
            begin, end = row * tall, min((row + 1) * tall, self.shape[1])
            if row not in self._rows:
                self._rows[row] = self._decoded(((begin, end), *columns))
            parts.append(self._rows[row][:, max(start - begin, 0) : stop - begin])
            if stop >= end:  # the next box begins behind it
                del self._rows[row]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _decoded(self, box: Box) -> np.ndarray:
        """Return a box as the reader decodes it, channels first, in the machine's own bytes."""
        facts, axes = self._reader.facts, self._axes
        found: np.ndarray
        whole: list[tuple[int, int]] = [(0, 1)] * len(facts.shape)
        for place, side in zip(axes.space, box, strict=True):
            whole[place] = side
        parts = []
        for first, stop in _runs(self._channels):
            if axes.channels is not None:
                whole[axes.channels] = (first, stop)
            try:
                made = np.asarray(self._reader.read(tuple(whole)))
            except Exception as error:  # of damaged files: whatever their decoders stumble over
                raise Unreadable(facts.name, box, one_line(error)) from error
            parts.append(self._arranged(made, box))
        found = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return np.ascontiguousarray(found, dtype=self.dtype)

    def _arranged(self, made: np.ndarray, box: Box) -> np.ndarray:
        """Return what a reader gave as (channels, *box)."""
        axes = self._axes
        front = (*(() if axes.channels is None else (axes.channels,)), *axes.space)
        others = [place for place in range(made.ndim) if place not in front]
        moved = made.transpose(*front, *others)
        channels = 1 if axes.channels is None else moved.shape[0]
        shape = (channels, *(stop - start for start, stop in box))
        if moved.size != math.prod(shape):
            raise Unreadable(self.name, box, f"it gave {made.shape}")
        return moved.reshape(shape)


def _channels(name: str, there: int, asked: Sequence[int] | None, wanted: int) -> tuple[int, ...]:
    """Return which channels are read."""
    if asked is None:
        if there != wanted:
            allowed = f"{wanted}, as the window has, or channels= to choose"
            raise Refused(Refusal(name, "channels", there, allowed))
        return tuple(range(there))
    if any(number >= there for number in asked) or len(asked) != wanted:
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
