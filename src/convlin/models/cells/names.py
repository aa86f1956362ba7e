"""Which cells of a layer are the same in two windows, along one axis: integers alone.

A cell of a window is named by what it reads: (signature, position). The signature is everything it
reads, seen from the first of its pixels; the position is that pixel's, in the window. Window w
begins at pixel w·stride, so that there the cell is (signature, w·stride + position): two cells of
two windows are one iff these are equal, and the names of one window say it of all.

| a cell that reads | is named by |
|---|---|
| a few neighbours | their names, in order; `OUTSIDE` for those beyond the map |
| the same cell of several maps | the names in all of them |
| padding alone, or numbers of the model | its signature alone: one cell for all windows |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Name", "Names", "Padding", "absolute", "distinct"]

Name = tuple[int, int | None]


@dataclass(frozen=True)
class Padding:
    """Cells that a model pads with: all hold `value`; where two paddings meet, the later counts."""

    order: int
    value: float


@dataclass
class Names:
    """The names of one model's cells; equal signatures have equal numbers.

    >>> names = Names()
    >>> a, b, c = (names.pixel(i) for i in range(3))
    >>> names.of([a, b]) == names.of([b, c]), names.of([a, b])[0] == names.of([b, c])[0]
    (False, True)
    """

    _numbers: dict[Hashable, int] = field(default_factory=dict)
    paddings: dict[Name, Padding] = field(default_factory=dict)

    def pixel(self, position: int) -> Name:
        """Return the name of a pixel of the window."""
        return self._number("pixel"), position

    def mark(self, *what: Hashable) -> Name:
        """Return the name of what is the same in every window, such as a weight's index."""
        return self._number(("mark", *what)), None

    @property
    def outside(self) -> Name:
        """The name of what lies beyond a map, where a layer pads."""
        return self.mark("outside")

    def padding(self, value: float) -> Name:
        """Return the name of cells that hold this value, of one padding more than there are."""
        padding = Padding(len(self.paddings), value)
        name = self.mark("padding", padding.order)
        self.paddings[name] = padding
        return name

    def of(self, parts: Sequence[Name]) -> Name:
        """Return the name of a cell that reads these, in this order."""
        if len(parts) == 1:
            return parts[0]
        first = next((position for _, position in parts if position is not None), None)
        seen = tuple(
            (signature, None if position is None or first is None else position - first)
            for signature, position in parts
        )
        return self._number(seen), first

    def _number(self, what: Hashable) -> int:
        return self._numbers.setdefault(what, len(self._numbers))


def absolute(name: Name, start: int) -> Name:
    """Return the name of a window's cell among those of all windows; it starts at that pixel."""
    signature, position = name
    return signature, None if position is None else start + position


def distinct(names: Iterable[Name], windows: int, stride: int) -> int:
    """Return how many cells so many windows have, of which each has one of each name.

    Positions that are equal modulo the stride are the same cell in other windows: positions
    r + q·stride take the places r + [q, q + windows)·stride.

    >>> names = Names()
    >>> distinct([names.pixel(i) for i in range(5)], windows=4, stride=2)
    11
    """
    places: dict[tuple[int, int | None], set[int]] = defaultdict(set)
    for signature, position in names:
        if position is None:
            places[signature, None].add(0)
        else:
            places[signature, position % stride].add(position // stride)
    total = 0
    for (_, residue), starts in places.items():
        if residue is None:
            total += 1
            continue
        ordered = sorted(starts)
        total += windows + sum(min(windows, b - a) for a, b in pairwise(ordered))
    return total
