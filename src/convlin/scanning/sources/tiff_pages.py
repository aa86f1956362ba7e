"""Tiles and strips of TIFF pages: only those are decoded that a box reaches into.

A page is laid out in five axes, (planes, depth, rows, columns, samples): planes are samples that
are stored apart. Its segments are numbered plane by plane, then by depth, row and column of the
grid of tiles; a strip is as wide as the image. A segment without bytes stands for the page's value
of no data; one that the file does not hold, or that does not decode to its own size, is an error.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlin.scanning.plan.contract import Box
from convlin.scanning.sources.open_file import OpenFile

__all__ = ["Pages", "grid_of"]

JPEGS = (6, 7, 34892, 33007)  # whose tables may stand in the page instead of in each tile


@dataclass(frozen=True)
class SegmentGrid:
    """How a page is cut: sizes of the page, and of a segment, in (depth, rows, columns)."""

    planes: int
    size: tuple[int, int, int]
    piece: tuple[int, int, int]
    samples: int

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """The page in its five axes."""
        return (self.planes, *self.size, self.samples)

    @property
    def counts(self) -> tuple[int, ...]:
        """Segments along depth, rows and columns."""
        return tuple(-(-n // p) for n, p in zip(self.size, self.piece, strict=True))

    def near(self, box: Box) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """Yield (number, plane, first pixel) of the segments that a box of five axes reaches."""
        plane, *space, _ = box
        ranges = [
            range(start // p, -(-stop // p))
            for (start, stop), p in zip(space, self.piece, strict=True)
        ]
        depth, rows, columns = self.counts
        for number, *at in itertools.product(range(*plane), *ranges):
            index = ((number * depth + at[0]) * rows + at[1]) * columns + at[2]
            yield index, number, tuple(n * p for n, p in zip(at, self.piece, strict=True))


def grid_of(page: Any) -> SegmentGrid:
    """Return how a page of tifffile is cut."""
    planes, depth, rows, columns, samples = page.shaped
    piece = (1, max(1, min(page.rowsperstrip, rows)), columns)
    if page.is_tiled:
        piece = (page.tiledepth, page.tilelength, page.tilewidth)
    return SegmentGrid(planes, (depth, rows, columns), piece, samples)


class Pages:
    """Pages of one file that are laid out alike."""

    def __init__(self, path: Path, pages: Sequence[Any], first: Any) -> None:
        self._pages = pages
        self._first = first
        self.grid = grid_of(first)
        self._file = OpenFile(path)
        self.segment = math.prod((*self.grid.piece, self.grid.samples)) * first.dtype.itemsize
        # the lists of segments are read here, while tifffile has the file open
        listed = [each for each in pages if each is not None]
        packed = max((max(each.databytecounts, default=0) for each in listed), default=0)
        tables = sum(len(each.dataoffsets) + len(each.databytecounts) for each in listed)
        # a segment packed, unpacked and put in order; whole numbers of Python's
        self.memory = 2 * self.segment + min(packed, self._file.size) + 40 * tables
        self._decode = first.decode

    def read(self, number: int, box: Box, made: np.ndarray) -> None:
        """Put a box of a page, in five axes, into an array of its size."""
        page = self._pages[number]
        _, *space, samples = box
        for index, plane, first in self.grid.near(box):
            segment = None if page is None else self._decoded(page, index)
            here, there = [slice(plane - box[0][0], plane - box[0][0] + 1)], []
            sides = zip(first, self.grid.piece, self.grid.size, space, strict=True)
            for axis, (begin, piece, n, (start, stop)) in enumerate(sides):
                a, b = max(begin, start), min(begin + piece, stop, n)
                here.append(slice(a - start, b - start))
                there.append(slice(a - begin, b - begin))
                if segment is not None and segment.shape[axis] < b - begin:
                    raise ValueError(f"segment {index} decodes to {segment.shape}")
            if segment is None:
                made[tuple(here)] = self._first.nodata
            else:
                made[tuple(here)] = segment[(*there, slice(*samples))]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _decoded(self, page: Any, index: int) -> np.ndarray | None:
        """Return a segment (depth, rows, columns, samples); None of one without bytes."""
        offsets, counts = page.dataoffsets, page.databytecounts
        if index >= min(len(offsets), len(counts)):
            raise ValueError(f"segment {index} is none of the {len(offsets)} that the page lists")
        if not offsets[index] or not counts[index]:
            return None
        packed = bytes(self._file.read(offsets[index], counts[index]))
        tables = {}
        if self._first.compression in JPEGS:
            tables = {"jpegtables": page.jpegtables, "jpegheader": self._first.jpegheader}
        segment, _, _ = self._decode(packed, index, **tables)
        return None if segment is None else np.asarray(segment)
