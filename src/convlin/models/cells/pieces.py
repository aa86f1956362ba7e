"""Where the cells that a group reads come from: rectangles of other groups, and of padding.

What a run reads is a row of cells. Rows that take the same columns from the same group are one
piece; where its runs and places follow each other, it is a slice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

from convlin.models.cells.chains import Group, Lattice, Reads, Windows
from convlin.models.cells.names import Name, Padding

__all__ = ["Fill", "Line", "Piece", "Pieces", "cut", "line_of", "rows_read"]

Entry = Name | None  # None: beyond the map, where the reader pads


@dataclass(frozen=True)
class Fill:
    """Cells without a source: of the model's own padding, or, None, what the reader pads with."""

    padding: Padding | None


@dataclass(frozen=True)
class Piece:
    """Some rows and columns of what a group reads, and where they are.

    source: a group of what is read; runs and places: one for each row, and one for each of its
    columns. In a slice they count up by one.
    """

    rows: tuple[int, ...]
    columns: tuple[int, int]  # from, to
    source: int | Fill
    runs: tuple[tuple[int, ...], ...] = ()
    places: tuple[tuple[int, ...], ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns."""
        return len(self.rows), self.columns[1] - self.columns[0]

    @cached_property
    def slices(self) -> tuple[slice, slice] | None:
        """The runs and the places of the source as slices, if they are such."""
        if isinstance(self.source, Fill):
            return None
        first, start = self.runs[0][0], self.places[0][0]
        wide = self.shape[1]
        alike = all(places == self.places[0] for places in self.places)
        upwards = self.places[0] == tuple(range(start, start + wide))
        rows = all(set(runs) == {first + row} for row, runs in enumerate(self.runs))
        if not (alike and upwards and rows):
            return None
        return slice(first, first + len(self.rows)), slice(start, start + wide)


@dataclass(frozen=True)
class Pieces:
    """All that a group reads along an axis: `count` rows of `length` cells, piece by piece."""

    count: int
    length: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Line:
    """Rows that lie side by side in a group, seen as one: cell i reads from first + i·step on.

    apart: how far apart neighbours lie there; length: how many of its cells are read.
    """

    source: int
    first: int
    step: int
    apart: int
    length: int


def line_of(pieces: Pieces, groups: Sequence[Group], reads: Reads, length: int) -> Line | None:
    """Return what a group of runs of this length reads as one row, if it lies so.

    Runs r of a group lie side by side, cell j of run r at j·count + r; so do those that they read.

    >>> runs, places = ((0, 0, 0), (0, 0, 0)), ((0, 1, 2), (1, 2, 3))
    >>> pieces = Pieces(2, 3, (Piece((0, 1), (0, 3), 0, runs, places),))
    >>> groups = [Group((((0, 0), (0, 1), (0, 2), (0, 3)),))]
    >>> line_of(pieces, groups, Reads.of(kernel=1, stride=2), 2)
    Line(source=0, first=0, step=1, apart=1, length=4)
    """
    (piece, *others) = pieces.pieces
    if others or isinstance(piece.source, Fill):
        return None
    apart = groups[piece.source].count
    for runs, places in zip(piece.runs, piece.places, strict=True):
        upwards = places == tuple(range(places[0], places[0] + len(places)))
        if len(set(runs)) > 1 or not upwards:
            return None
    firsts = [places[0] * apart + runs[0]
              for runs, places in zip(piece.runs, piece.places, strict=True)]  # fmt: skip
    step, left = divmod(reads.step * apart, pieces.count)
    if left or any(b - a != step for a, b in pairwise(firsts)):
        return None
    cells = (length * pieces.count - 1) * step + (reads.span - 1) * apart + 1
    return Line(piece.source, firsts[0], step, apart, cells)


def rows_read(
    group: Group, reads: Reads, names: tuple[Name, ...], windows: Windows
) -> list[list[Entry]]:
    """Return the cells that each run of a group reads, in order; `names` are those of the map.

    Cells between taps are whatever lies there in a window.
    """
    length = (group.length - 1) * reads.step + reads.span
    rows: list[list[Entry]] = []
    for run in group.runs:
        row: list[Entry] = []
        for place in range(length):
            near = min(place // reads.step, group.length - 1)
            row.append(_cell(run[near], place - near * reads.step, reads, names, windows))
        for number, cell in enumerate(run):
            for tap in reads.taps:
                row[number * reads.step + tap] = _cell(cell, tap, reads, names, windows)
        rows.append(row)
    return rows


def _cell(
    cell: tuple[int, int], tap: int, reads: Reads, names: tuple[Name, ...], windows: Windows
) -> Entry:
    """Return what a cell reads at a tap."""
    window, number = cell
    place = reads.start(number) + tap
    return windows.absolute(names[place], window) if 0 <= place < len(names) else None


def cut(
    rows: Sequence[Sequence[Entry]], lattice: Lattice, paddings: Mapping[Name, Padding]
) -> Pieces:
    """Return rows of cells as pieces of the lattice's groups."""
    found = [[_source(entry, lattice, paddings) for entry in row] for row in rows]
    alike: dict[tuple[tuple[int, int, int | Fill], ...], list[int]] = defaultdict(list)
    for number, row in enumerate(found):
        alike[tuple(_segments([source for source, _, _ in row]))].append(number)
    pieces = []
    for segments, numbers in alike.items():
        for first, stop, source in segments:
            if isinstance(source, Fill):
                pieces.append(Piece(tuple(numbers), (first, stop), source))
                continue
            taken = [found[number][first:stop] for number in numbers]
            runs = tuple(tuple(run for _, run, _ in row) for row in taken)
            places = tuple(tuple(place for _, _, place in row) for row in taken)
            pieces.append(Piece(tuple(numbers), (first, stop), source, runs, places))
    return Pieces(len(rows), len(rows[0]), tuple(pieces))


def _source(
    entry: Entry, lattice: Lattice, paddings: Mapping[Name, Padding]
) -> tuple[int | Fill, int, int]:
    if entry is None or entry in paddings:
        return Fill(None if entry is None else paddings[entry]), 0, 0
    return lattice.where[entry]


def _segments(sources: Sequence[int | Fill]) -> Iterator[tuple[int, int, int | Fill]]:
    """Yield [first, stop) and the source of each range that has one source."""
    first = 0
    for source, same in groupby(sources):
        stop = first + len(list(same))
        yield first, stop, source
        first = stop
