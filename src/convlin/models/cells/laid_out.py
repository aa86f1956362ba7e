"""A model's shared values for so many windows: what is shared there, and where every cell lies.

| | |
|---|---|
| `Step` | a stored value: the groups of its cells, and the pieces that each of them reads |
| `Entrance` | a shared value that is read for every window: the pieces that a window has |
| `Layout` | the steps, the entrances, and the nodes that are run for every window |
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import fx

from convlin.models.cells.analysis import Analysis
from convlin.models.cells.cell_map import CellMap, Source, Stored
from convlin.models.cells.chains import Lattice, Reads, Windows, grouped
from convlin.models.cells.names import Names, distinct
from convlin.models.cells.pieces import Line, Pieces, cut, line_of, rows_read

__all__ = [
    "PAYS",
    "Entrance",
    "Layout",
    "Step",
    "cell_share",
    "cells_of",
    "laid_out",
    "worth_sharing",
]

# Share of the windows' own cells from which sharing them no longer pays: what is shared is run in
# strips and corners, which take longer for each cell than whole windows do. AlexNet on 1024² at
# stride 32 takes as long at 0.85, and 3 % less at 0.7, where VGG-16 multiplies 4 % more.
PAYS = 0.9


@dataclass(frozen=True, eq=False)
class Step:
    """A stored value that is computed: its cells along each axis, and what each group reads.

    reads: of each source, along each axis, of each group; None: the very same cells in the same
    order. lines: along each axis, of each group, what it reads of the only source as one row.
    """

    stored: Stored
    lattices: tuple[Lattice, ...]
    reads: tuple[tuple[tuple[Pieces, ...] | None, ...], ...]
    lines: tuple[tuple[Line | None, ...], ...] = ()

    @property
    def cells(self) -> tuple[int, ...]:
        """How many cells there are along each axis."""
        return tuple(lattice.cells for lattice in self.lattices)

    @property
    def multiply_adds(self) -> int:
        """What it multiplies, for one image."""
        return math.prod(self.cells) * self.stored.multiply_adds

    def groups(self) -> Iterator[tuple[int, ...]]:
        """Yield each choice of a group along every axis: one dense operation."""
        yield from itertools.product(*(range(len(lattice.groups)) for lattice in self.lattices))


@dataclass(frozen=True, eq=False)
class Entrance:
    """A shared value that is read window by window."""

    node: fx.Node
    map: CellMap
    step: Step
    windows: tuple[Windows, ...]
    names: Names
    known: dict[tuple[int, range], Pieces] = field(default_factory=dict)

    def pieces(self, axis: int, windows: range) -> Pieces:
        """Return the cells of some windows along an axis: a row for each."""
        if (axis, windows) not in self.known:
            self.known[axis, windows] = self._pieces(axis, windows)
        return self.known[axis, windows]

    def _pieces(self, axis: int, windows: range) -> Pieces:
        names, every = self.map.axes[axis], self.windows[axis]
        rows = [[every.absolute(name, window) for name in names] for window in windows]
        return cut(rows, self.step.lattices[axis], self.names.paddings)


@dataclass(frozen=True, eq=False)
class Layout:
    """What is run for a grid of windows: steps for all of them, then `nodes` for each of them."""

    windows: tuple[Windows, ...]
    steps: tuple[Step, ...]
    entrances: tuple[Entrance, ...]
    nodes: tuple[fx.Node, ...]

    @cached_property
    def readers(self) -> Counter[Stored]:
        """How many steps read a stored value, and the windows one by one."""
        steps = (source.map.stored for step in self.steps for source in step.stored.sources)
        return Counter((*steps, *(entrance.map.stored for entrance in self.entrances)))

    @cached_property
    def last_use(self) -> dict[Stored, int]:
        """The last step that reads a stored value; those that windows read are kept to the end."""
        last = {source.map.stored: number for number, step in enumerate(self.steps)
                for source in step.stored.sources}  # fmt: skip
        return last | {entrance.map.stored: len(self.steps) for entrance in self.entrances}


def worth_sharing(analysis: Analysis, windows: tuple[Windows, ...]) -> frozenset[Stored]:
    """Return the stored values that have fewer cells than so many windows have one by one.

    What is made of others is among them only if those are; so is a transposed convolution, which
    multiplies more for each cell than in a window, only if it multiplies less in all.
    """
    pays: dict[Stored, bool] = {}

    def fewer(stored: Stored) -> bool:
        share, cells = cell_share(stored, windows), math.prod(map(len, stored.axes))
        alone = analysis.products[stored.node]
        return share < PAYS and share * cells * stored.multiply_adds <= alone

    def of(stored: Stored) -> bool:
        if stored not in pays:
            pays[stored] = all(of(source.map.stored) for source in stored.sources) and (
                not stored.sources or fewer(stored)
            )
        return pays[stored]

    values = (value for value in analysis.values.values() if value is not None)
    return frozenset(value.stored for value in values if of(value.stored)) | {
        stored for stored, worth in pays.items() if worth
    }


def cell_share(stored: Stored, windows: tuple[Windows, ...]) -> float:
    """Return how many distinct cells there are for each cell of the windows one by one."""
    axes = zip(stored.axes, windows, strict=True)
    return cells_of(stored, windows) / math.prod(len(names) * its.count for names, its in axes)


def cells_of(stored: Stored, windows: Sequence[Windows]) -> int:
    """Return how many distinct cells so many windows have."""
    axes = zip(stored.axes, windows, strict=True)
    return math.prod(distinct(names, its.count, its.stride) for names, its in axes)


class _Maker:
    """Lays values out, each once."""

    def __init__(self, analysis: Analysis, windows: tuple[Windows, ...]) -> None:
        self._analysis = analysis
        self._windows = windows
        self._lattices: dict[object, Lattice] = {}
        self._pieces: dict[object, tuple[Pieces, ...]] = {}
        self.steps: dict[Stored, Step] = {}

    def step(self, stored: Stored) -> Step:
        """Return a value laid out, behind those that it reads."""
        if stored not in self.steps:
            sources = [self.step(source.map.stored) for source in stored.sources]
            lattices = tuple(
                self._lattice(stored, axis, sources) for axis in range(len(self._windows))
            )
            reads = tuple(
                tuple(self._read(source, step.lattices[axis], lattice, axis)
                      for axis, lattice in enumerate(lattices))
                for source, step in zip(stored.sources, sources, strict=True)
            )  # fmt: skip
            lines = self._lines(stored, lattices, sources[0], reads[0]) if (
                stored.runs == "strided") else ()  # fmt: skip
            self.steps[stored] = Step(stored, lattices, reads, lines)
        return self.steps[stored]

    def _lines(
        self, stored: Stored, lattices: Sequence[Lattice], taken: Step,
        reads: Sequence[tuple[Pieces, ...] | None],
    ) -> tuple[tuple[Line | None, ...], ...]:  # fmt: skip
        """Return what each group along each axis reads as one row."""
        rows = zip(lattices, taken.lattices, stored.sources[0].reads, reads, strict=True)
        return tuple(
            tuple(line_of(pieces, source.groups, its, group.length)
                  for group, pieces in zip(made.groups, every or (), strict=bool(every)))
            for made, source, its, every in rows
        )  # fmt: skip

    def _lattice(self, stored: Stored, axis: int, sources: Sequence[Step]) -> Lattice:
        names, windows = stored.axes[axis], self._windows[axis]
        if not stored.sources:
            return Lattice.row(names, windows)
        rows = [(source.map.axes[axis], source.reads[axis]) for source in stored.sources]
        if all(reads == Reads() for _, reads in rows):
            for step in sources:  # every cell as it lies there
                if step.lattices[axis].names == names:
                    return step.lattices[axis]
            rows = []
        key = (names, windows, tuple(rows))
        if key not in self._lattices:
            self._lattices[key] = grouped(names, windows, rows)
        return self._lattices[key]

    def _read(
        self, source: Source, taken: Lattice, made: Lattice, axis: int
    ) -> tuple[Pieces, ...] | None:
        names, reads = source.map.axes[axis], source.reads[axis]
        if taken is made and reads == Reads() and names == made.names:
            return None
        key = (taken, made, names, reads)
        if key not in self._pieces:
            self._pieces[key] = tuple(
                cut(rows_read(group, reads, names, self._windows[axis]), taken,
                    self._analysis.names.paddings)
                for group in made.groups
            )  # fmt: skip
        return self._pieces[key]


def laid_out(analysis: Analysis, windows: tuple[Windows, ...], shared: frozenset[Stored]) -> Layout:
    """Return what is run for a grid of so many windows along each axis, sharing those values."""
    maker = _Maker(analysis, windows)
    entering: dict[fx.Node, CellMap] = {}
    alone: set[fx.Node] = set()
    needed = list(analysis.output.all_input_nodes)
    while needed:
        node = needed.pop()
        value = analysis.values[node]
        if node in entering or node in alone or node in analysis.constants:
            continue
        if value is not None and value.stored in shared:
            entering[node] = value
        else:
            alone.add(node)
            needed += node.all_input_nodes
    read = _read_by(value.stored for value in entering.values())
    for value in analysis.values.values():  # in order, so that what is read is laid out before
        if value is not None and value.stored in read:
            maker.step(value.stored)
    entrances = tuple(
        Entrance(node, value, maker.steps[value.stored], windows, analysis.names)
        for node, value in entering.items()
    )
    nodes = tuple(node for node in analysis.trace.graph.nodes if node in alone)
    return Layout(windows, tuple(maker.steps.values()), entrances, nodes)


def _read_by(values: Iterable[Stored]) -> set[Stored]:
    """Return these values and all that they are made of."""
    read: set[Stored] = set()
    waiting = list(values)
    while waiting:
        stored = waiting.pop()
        if stored not in read:
            read.add(stored)
            waiting += [source.map.stored for source in stored.sources]
    return read
