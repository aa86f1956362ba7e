"""One tensor's elements as another's, with their axes split, merged and put in another order.

An axis of the one is a row of *digits* of the other's indices, the outermost first: the digit of
size n above `inner` of an index i is (i // inner) % n, as hours are (seconds // 3600) % 24. Chains
of transposes, reshapes and singleton axes of any length are one such relabelling:

| | axes over (2, 6, 5) |
|---|---|
| the tensor itself | (2) (6) (5) |
| `.transpose(1, 2)` | (2) (5) (6) |
| `.transpose(1, 2).unsqueeze(2)` | (2) (5) () (6) |
| `.unflatten(1, (2, 3)).transpose(1, 2)` | (2) (the 3 below) (the 2 above) (5) |
| `.flatten(0, 1)` | (2, 6) (5) |

Rows hold no digit of size 1, and no two neighbours that are one digit: equal relabellings are equal
as data. Sizes are positive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from math import gcd, prod
from typing import NamedTuple

__all__ = ["Digit", "Relabelling"]


class Digit(NamedTuple):
    """The digit (i // inner) % size of the index i along an axis."""

    axis: int
    size: int
    inner: int = 1


Row = tuple[Digit, ...]


@dataclass(frozen=True)
class Relabelling:
    """A tensor whose axes are rows of digits of the axes of another, of shape `source`."""

    source: tuple[int, ...]
    axes: tuple[Row, ...]

    @classmethod
    def identity(cls, shape: tuple[int, ...]) -> Relabelling:
        """Return the tensor of this shape, relabelled as itself."""
        return cls(shape, tuple(_merged([Digit(axis, n)]) for axis, n in enumerate(shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return tuple(map(_size, self.axes))

    def permuted(self, order: tuple[int, ...]) -> Relabelling:
        """Return this tensor with its axes in another order."""
        return Relabelling(self.source, tuple(self.axes[axis] for axis in order))

    def reshaped(self, shape: tuple[int, ...]) -> Relabelling | None:
        """Return this tensor in another shape; None if that cuts a digit unevenly.

        >>> split = Relabelling.identity((4, 5)).reshaped((2, 10))
        >>> [[tuple(digit) for digit in row] for row in split.axes]
        [[(0, 2, 2)], [(0, 2, 1), (1, 5, 1)]]
        >>> Relabelling.identity((4, 6)).reshaped((6, 4))  # a row of 4 begins within one of 6
        """
        flat = _merged(chain.from_iterable(self.axes))
        inner = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
        rows = [_part(flat, n, below) for n, below in zip(shape, inner, strict=True)]
        return _made(self.source, rows)

    def after(self, first: Relabelling) -> Relabelling | None:
        """Return this relabelling of what `first` gives; None if that cuts a digit unevenly."""
        rows: list[Row | None] = []
        for row in self.axes:
            parts = [_part(first.axes[axis], size, inner) for axis, size, inner in row]
            known = [part for part in parts if part is not None]
            rows.append(_merged(chain.from_iterable(known)) if len(known) == len(parts) else None)
        return _made(first.source, rows)

    def inverse(self) -> Relabelling:
        """Return the source, relabelled as a tensor that this one is the source of."""
        above = {}  # where each digit of the source is among this tensor's
        for axis, row in enumerate(self.axes):
            for place, digit in enumerate(row):
                below = prod(other.size for other in row[place + 1 :])
                above[digit.axis, digit.inner] = Digit(axis, digit.size, below)
        rows = []
        for axis, size in enumerate(self.source):
            digits: list[Digit] = []
            while (inner := _size(digits)) < size:
                digits.insert(0, above[axis, inner])
            rows.append(_merged(digits))
        return Relabelling(self.shape, tuple(rows))

    def broadcast(self, shape: tuple[int, ...]) -> Relabelling | None:
        """Return the same of a tensor of this shape that is broadcast to the source's.

        None if an axis would merge one that is repeated with one that is not.

        >>> columns_first = Relabelling.identity((2, 6, 5)).permuted((0, 2, 1))
        >>> columns_first.broadcast((5,)).shape  # so that it can be added to (2, 5, 6)
        (1, 5, 1)
        """
        missing = len(self.source) - len(shape)
        whole = (1,) * missing + shape
        if any(n not in (1, size) for n, size in zip(whole, self.source, strict=True)):
            return None
        rows = []
        for row in self.axes:
            own = [d._replace(axis=d.axis - missing) for d in row if whole[d.axis] != 1]
            rows.append(tuple(own) if len(own) in (0, len(row)) else None)
        return _made(shape, rows)

    @property
    def moves(self) -> bool:
        """Whether elements come in another order, and not only under other indices."""
        return self.reshaped(self.source) != Relabelling.identity(self.source)

    @property
    def runs(self) -> Relabelling:
        """The tensor with an axis for each longest run of digits that stay neighbours."""
        flat = _merged(chain.from_iterable(self.axes))
        return Relabelling(self.source, tuple((digit,) for digit in flat))

    @property
    def split(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """How it is made: the shape to split the source into, and the order that gives `runs`."""
        digits = [row[0] for row in self.runs.axes]
        before = sorted(digits, key=lambda digit: (digit.axis, -digit.inner))
        return tuple(digit.size for digit in before), tuple(map(before.index, digits))


def _size(row: Iterable[Digit]) -> int:
    return prod(digit.size for digit in row)


def _made(source: tuple[int, ...], rows: Iterable[Row | None]) -> Relabelling | None:
    axes = list(rows)
    known = tuple(row for row in axes if row is not None)
    return Relabelling(source, known) if len(known) == len(axes) else None


def _merged(digits: Iterable[Digit]) -> Row:
    """Return digits as a row: without size 1, and neighbours that are one digit as one."""
    row: list[Digit] = []
    for digit in digits:
        if row and row[-1].axis == digit.axis and row[-1].inner == digit.size * digit.inner:
            row[-1] = Digit(digit.axis, row[-1].size * digit.size, digit.inner)
        elif digit.size != 1:
            row.append(digit)
    return tuple(row)


def _part(row: Row, size: int, inner: int) -> Row | None:
    """Return the digits that are the digit of `size` above `inner` of a row; None if it cuts one.

    Two numbers of which neither divides the other have no common digits.
    """
    part: list[Digit] = []
    for axis, n, below in reversed(row):
        skipped = gcd(inner, n)
        taken = gcd(size, n // skipped)
        if (skipped != n and skipped != inner) or taken not in (size, n // skipped):
            return None
        inner //= skipped
        size //= taken
        part.insert(0, Digit(axis, taken, below * skipped))
        if inner == size == 1:
            break
    return _merged(part)
