"""The windows of an image: where they lie, which of them a region holds, what none reaches.

Window i of a dimension begins at pixel i·S whatever the region is, so that a region's scores are
those of the full scan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from convlin.errors import Refusal, Refused
from convlin.scanning.plan.contract import Box

__all__ = ["CellGrid", "Edges"]

Edges = Literal["inside", "pad"]


@dataclass(frozen=True)
class CellGrid:
    """Windows `window` every `stride` pixels of an image of `size`, those within `region`.

    edges: "inside" takes the windows that lie in the image; "pad" goes on until every pixel is
    reached, with zeros beyond the image.

    >>> grid = CellGrid((21, 20), (8, 6), (4, 5))
    >>> grid.cells, grid.unreached, grid.pixels_of(((1, 3), (0, 1)))
    (((0, 4), (0, 3)), 100, ((4, 16), (0, 6)))
    >>> CellGrid((21, 20), (8, 6), (4, 5), edges="pad").cells
    ((0, 5), (0, 4))
    >>> CellGrid((21, 20), (8, 6), (4, 5), region=((5, 21), (0, 16))).cells
    ((2, 4), (0, 3))
    """

    size: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]
    edges: Edges = "inside"
    region: Box | None = None

    def __post_init__(self) -> None:
        """Raise `Refused` where there is no window."""
        smaller = any(n < p for n, p in zip(self.size, self.window, strict=True))
        if smaller and self.edges == "inside":
            allowed = f"{self.window} or more, the window, or edges='pad'"
            raise Refused(Refusal("source", "size", self.size, allowed))
        if self.region is not None:
            for axis, ((start, stop), n) in enumerate(zip(self.region, self.size, strict=True)):
                if not 0 <= start < stop <= n:
                    allowed = f"start < stop within 0 to {n} along axis {axis}"
                    raise Refused(Refusal("scan", "region", self.region, allowed))
        if any(start >= stop for start, stop in self.cells):
            allowed = f"at least one window of {self.window} every {self.stride} from pixel 0 on"
            raise Refused(Refusal("scan", "region", self.region, allowed))

    @cached_property
    def all_cells(self) -> tuple[int, ...]:
        """How many windows the whole image has along each axis."""
        sides = zip(self.size, self.window, self.stride, strict=True)
        if self.edges == "pad":
            # the last one begins in the image, even where windows leave gaps
            return tuple(min(max(0, -(-(n - p) // s)), (n - 1) // s) + 1 for n, p, s in sides)
        return tuple((n - p) // s + 1 for n, p, s in sides)

    @cached_property
    def cells(self) -> Box:
        """The windows [first, stop) along each axis that are scanned: those within the region."""
        if self.region is None:
            return tuple((0, n) for n in self.all_cells)
        found = []
        for axis, (start, stop) in enumerate(self.region):
            n, p, s = self.size[axis], self.window[axis], self.stride[axis]
            last = self.all_cells[axis] if stop == n else (stop - p) // s + 1
            found.append((-(-start // s), last))
        return tuple(found)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many windows are scanned along each axis."""
        return tuple(stop - start for start, stop in self.cells)

    @property
    def windows(self) -> int:
        """How many windows are scanned."""
        return math.prod(self.counts)

    @property
    def padded(self) -> tuple[int, ...]:
        """The image's size with the zeros that its last windows read."""
        sides = zip(self.size, self.all_cells, self.window, self.stride, strict=True)
        return tuple(max(n, (c - 1) * s + p) for n, c, p, s in sides)

    def pixels_of(self, cells: Box) -> Box:
        """Return the pixels of these windows, which may lie beyond the image."""
        sides = zip(cells, self.window, self.stride, strict=True)
        return tuple((a * s, (b - 1) * s + p) for (a, b), p, s in sides)

    @property
    def unreached(self) -> int:
        """How many pixels of the region no window reaches."""
        region = self.region or tuple((0, n) for n in self.size)
        reached, whole = 1, 1
        for (first, stop), (start, end), p, s in zip(
            self.cells, region, self.window, self.stride, strict=True
        ):
            last = min((stop - 1) * s + p, end)
            one = last - first * s if s <= p else (stop - 1 - first) * p + last - (stop - 1) * s
            reached, whole = reached * one, whole * (end - start)
        return whole - reached
