"""In which order the cells of an axis are kept: runs of neighbours, so that dense operations do.

| cells | lie in |
|---|---|
| that no other window has | one strip for each window: `windows` runs of equal length |
| that windows share | chains, through one window after another, as long as they go |

Runs of equal length are a group: one batch. A cell's neighbours in its run are its neighbours in a
window, and what it reads lies as it does there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from convlin.models.cells.names import Name, absolute, distinct

__all__ = ["Cell", "Group", "Lattice", "Reads", "Rows", "Windows", "grouped"]

Cell = tuple[int, int]  # a window, and which of its cells


@dataclass(frozen=True)
class Windows:
    """The windows along one axis: window w starts at pixel w·stride."""

    count: int
    stride: int

    def absolute(self, name: Name, window: int) -> Name:
        """Return the name of this window's cell among those of all windows."""
        return absolute(name, window * self.stride)


@dataclass(frozen=True)
class Reads:
    """What cell j reads along an axis: cells j·step + first + tap, `span` of them from end to end.

    >>> Reads.of(kernel=3, stride=2, before=1, dilation=4)
    Reads(first=-1, step=2, taps=(0, 4, 8))
    """

    first: int = 0
    step: int = 1
    taps: tuple[int, ...] = (0,)

    @classmethod
    def of(cls, kernel: int, stride: int = 1, before: int = 0, dilation: int = 1) -> Reads:
        """Return what a layer reads, by its kernel size, stride, padding before and dilation."""
        return cls(-before, stride, tuple(range(0, dilation * kernel, dilation)))

    @property
    def span(self) -> int:
        """How many cells lie between the first and the last that is read, both counted."""
        return self.taps[-1] + 1

    def start(self, cell: int) -> int:
        """Return the first cell that this one reads; outside of the map, it is padding."""
        return cell * self.step + self.first


@dataclass(frozen=True)
class Group:
    """Runs of equal length, each a row of cells, by a window that has them."""

    runs: tuple[tuple[Cell, ...], ...]

    @property
    def count(self) -> int:
        """How many runs there are."""
        return len(self.runs)

    @property
    def length(self) -> int:
        """How many cells each of them has."""
        return len(self.runs[0])


@dataclass(frozen=True, eq=False)
class Lattice:
    """All cells of an axis: the groups that they lie in, and where each of them is.

    where: the group, the run and the place in it, by the cell's name among all windows.
    """

    names: tuple[Name, ...]
    groups: tuple[Group, ...]
    where: dict[Name, tuple[int, int, int]]

    @classmethod
    def row(cls, names: tuple[Name, ...], windows: Windows) -> Lattice:
        """Return cells of a window, each the next one's neighbour, in one row over all windows.

        Pixels between windows are in it too, as nobody's cells.
        """
        if names[0][1] is None:
            run = tuple((0, cell) for cell in range(len(names)))
            return cls.of(names, windows, (Group((run,)),))
        pixels = range((windows.count - 1) * windows.stride + len(names))
        where: dict[Name, tuple[int, int, int]] = {
            (names[0][0], pixel): (0, 0, pixel) for pixel in pixels
        }
        starts = [min(pixel // windows.stride, windows.count - 1) for pixel in pixels]
        run = tuple(
            (w, pixel - w * windows.stride) for pixel, w in zip(pixels, starts, strict=True)
        )
        return cls(names if windows.stride <= len(names) else (), (Group((run,)),), where)

    @classmethod
    def of(cls, names: tuple[Name, ...], windows: Windows, groups: tuple[Group, ...]) -> Lattice:
        """Return the cells of these groups; `names` are those of one window."""
        return cls(names, groups, {
            windows.absolute(names[cell], window): (number, row, place)
            for number, group in enumerate(groups)
            for row, run in enumerate(group.runs)
            for place, (window, cell) in enumerate(run)
        })  # fmt: skip

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return sum(group.count * group.length for group in self.groups)


Rows = Sequence[tuple[tuple[Name, ...], Reads]]  # of each map that is read: names, and how


def grouped(names: tuple[Name, ...], windows: Windows, rows: Rows) -> Lattice:
    """Return the cells of an axis in groups; `rows` are what they read, whose order they keep."""
    own = _own(names, windows)
    strips: dict[int, list[tuple[Cell, ...]]] = defaultdict(list)
    for first, stop in _ranges(own):
        strips[stop - first] += [
            tuple((window, cell) for cell in range(first, stop)) for window in range(windows.count)
        ]
    chains: dict[int, list[tuple[Cell, ...]]] = defaultdict(list)
    for chain in _chains(names, windows, own):
        for run in _consistent(chain, windows, rows):
            chains[len(run)].append(run)
    groups = (Group(tuple(runs)) for kind in (strips, chains) for runs in kind.values())
    return Lattice.of(names, windows, tuple(groups))


def _own(names: tuple[Name, ...], windows: Windows) -> list[bool]:
    """Return for each cell of a window whether no other window has it, nor this one twice."""
    if windows.count == 1 and len(set(names)) == len(names):
        return [True] * len(names)
    alike: dict[int, list[Name]] = defaultdict(list)
    for name in names:
        alike[name[0]].append(name)
    shared = {
        signature for signature, same in alike.items()
        if distinct(same, windows.count, windows.stride) < len(same) * windows.count
    }  # fmt: skip
    return [name[0] not in shared for name in names]


def _ranges(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yield [first, stop) of each range in which all flags are set."""
    first = None
    for place, flag in enumerate((*flags, False)):
        if flag and first is None:
            first = place
        elif not flag and first is not None:
            yield first, place
            first = None


def _chains(names: tuple[Name, ...], windows: Windows, own: Sequence[bool]) -> Iterator[list[Cell]]:
    """Yield chains of shared cells: each the neighbour of the one before, in some window."""
    seen: dict[Name, Cell] = {}
    after: dict[Name, Name] = {}
    led: set[Name] = set()
    ranges = list(_ranges([not flag for flag in own]))
    for window in range(windows.count):
        for first, stop in ranges:
            before: Name | None = None
            for cell in range(first, stop):
                name = windows.absolute(names[cell], window)
                seen.setdefault(name, (window, cell))
                free = before not in after and name not in led
                if before is not None and free and name != before:
                    after[before] = name
                    led.add(name)
                before = name
    # a chain that bites its own tail has no first cell; any will do
    for start in sorted(seen, key=led.__contains__):
        following: Name | None = start
        chain: list[Cell] = []
        while following in seen:
            chain.append(seen.pop(following))
            following = after.get(following)
        if chain:
            yield chain


def _consistent(chain: list[Cell], windows: Windows, rows: Rows) -> Iterator[tuple[Cell, ...]]:
    """Yield the parts of a chain whose cells read one and the same row of cells, shifted."""
    if all(len(reads.taps) == 1 for _, reads in rows):
        yield tuple(chain)
        return
    run: list[Cell] = []
    read: list[dict[int, Name | None]] = [{} for _ in rows]
    for cell in chain:
        new = [_read(names, reads, cell, windows, len(run)) for names, reads in rows]
        known = zip(read, new, strict=True)
        if any(old.get(place, name) != name for old, its in known for place, name in its.items()):
            yield tuple(run)
            run, read = [], [{} for _ in rows]
            new = [_read(names, reads, cell, windows, 0) for names, reads in rows]
        for old, its in zip(read, new, strict=True):
            old.update(its)
        run.append(cell)
    yield tuple(run)


def _read(
    names: tuple[Name, ...], reads: Reads, cell: Cell, windows: Windows, place: int
) -> dict[int, Name | None]:
    """Return what a cell reads, by where that lies in a run whose cell number `place` it is."""
    window, number = cell
    start = reads.start(number)
    return {
        place * reads.step + tap: windows.absolute(names[start + tap], window)
        if 0 <= start + tap < len(names) else None
        for tap in reads.taps
    }  # fmt: skip
