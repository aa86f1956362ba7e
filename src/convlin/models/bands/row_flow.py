"""Which rows of a layer are final once some rows of its input have come. Integers only.

Output o reads the rows o·stride + t·dilation - before of its input, for taps t = 0 … kernel - 1;
what lies outside is padding. The `extent` of its taps is dilation·(kernel - 1) + 1 rows. Of an
input of `size` rows in all, of which `come` have come, the outputs with

    o·stride - before + extent ≤ come,    that is  o ≤ (come + before - extent)/stride

are final, and all of them once the last row is there: what lies behind it is padding. All of this
is a function of `come` alone, however the rows came. The next output reads nothing in front of
row o·stride - before: where extent > stride, extent - stride rows or a few more are kept for it;
where extent < stride, stride - extent rows are never read, even if they are still to come.

A slice is the same with negative padding: it takes nothing of what lies `-before` rows from the
top. A reflection about the top row waits for the row `before` rows behind it; the last `after + 1`
rows wait for that about the bottom row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from convlin.geometry import ReceptiveField

__all__ = ["ALONE", "BorderMode", "Neighbours", "field_of"]

BorderMode = Literal["constant", "reflect", "replicate"]


@dataclass(frozen=True)
class Neighbours:
    """What a layer reads along one dimension.

    >>> conv = Neighbours(kernel=3, before=1, after=1)
    >>> [conv.final(come, 6) for come in range(7)]
    [0, 0, 1, 2, 3, 4, 6]
    >>> conv.first_kept(3, 6), conv.rows(3, 6, 6)
    (2, (2, 7))
    """

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil: bool = False
    mode: BorderMode = "constant"

    @property
    def extent(self) -> int:
        """Rows from the first tap to the last, both counted."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def is_alone(self) -> bool:
        """Whether every output reads the input in its own place, and no other."""
        return self.extent == self.stride == 1 and self.before == self.after == 0

    def size(self, size: int) -> int:
        """Return the number of outputs of `size` inputs."""
        # the last window that fits begins at `spare` or before
        spare = size + self.before + self.after - self.extent
        if self.ceil:  # a cut one counts, unless it begins behind the input: PyTorch drops that
            spare = min(spare + self.stride - 1, size + self.before - 1)
        return max(0, spare // self.stride + 1)

    def final(self, come: int, size: int) -> int:
        """Return how many outputs are final when `come` of `size` inputs have come.

        >>> Neighbours(kernel=1, stride=3).final(5, 100), Neighbours(before=-2).final(5, 100)
        (2, 3)
        >>> Neighbours(before=2, mode="reflect").final(2, 9)
        0
        """
        if come == size:
            return self.size(size)
        if come == 0 or (self.mode == "reflect" and come <= self.before):
            return 0
        fit = (come + self.before - self.extent) // self.stride + 1
        return min(max(0, fit), self.size(size))

    def rows(self, first: int, last: int, size: int) -> tuple[int, int]:
        """Return the rows [start, stop) that outputs first … last - 1 read, padding included."""
        start = first * self.stride - self.before
        return start, start + (last - first - 1) * self.stride + self.extent

    def first_kept(self, done: int, size: int) -> int:
        """Return the first row that is still read when `done` outputs are there; may be to come."""
        if done >= self.size(size):
            return size
        first = min(max(0, done * self.stride - self.before), size)
        if self.after > 0 and self.mode == "reflect":
            return min(first, max(0, size - 1 - self.after))
        if self.after > 0 and self.mode == "replicate":
            return min(first, size - 1)
        return first

    def source(self, row: int, size: int) -> int | None:
        """Return the row that lies at `row`, which may be padding; None for a constant."""
        if 0 <= row < size:
            return row
        if self.mode == "constant":
            return None
        if self.mode == "replicate":
            return 0 if row < 0 else size - 1
        return -row if row < 0 else 2 * (size - 1) - row


ALONE = Neighbours()


def field_of(axes: tuple[Neighbours, ...]) -> ReceptiveField:
    """Return what one output sees, along all dimensions.

    >>> field_of((Neighbours(3, 2, before=1), ALONE))
    ReceptiveField(size=(3, 1), stride=(2, 1), offset=(-1, 0))
    """
    return ReceptiveField(
        tuple(axis.extent for axis in axes),
        tuple(axis.stride for axis in axes),
        tuple(-axis.before for axis in axes),
    )
