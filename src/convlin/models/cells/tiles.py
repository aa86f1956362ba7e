"""A grid of windows, cut into tiles that fit the memory, each with its layout."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from convlin.display.numbers import bytes_of
from convlin.errors import Description, Refusal, Refused
from convlin.models.cells.analysis import Analysis
from convlin.models.cells.chains import Windows
from convlin.models.cells.laid_out import Layout, laid_out, worth_sharing
from convlin.models.cells.peak_memory import Sizes

__all__ = ["Tiles", "planned"]

# Windows in one batch. Of small ones, a quarter takes 1.2 times as long (95 × 95 pixels, stride 1),
# four times as many no less.
AT_ONCE = 4096
# Bytes that a batch of larger windows may hold: half and twice take as long for ResNet-18.
NEAR = 2**27
# Tiles are tried that are smaller and smaller by this factor: one that just fits is at most so much
# smaller than it could be, and 2048² at stride 1 takes 40 trials; at 0.9, twice as many.
SMALLER = 0.8


@dataclass(frozen=True)
class Tiles:
    """A grid of windows in tiles: how many windows the tiles have along each axis, and layouts.

    images: how many are run together; at_once: how many of their windows are one batch.
    """

    counts: tuple[tuple[int, ...], ...]
    layouts: dict[tuple[int, ...], Layout]
    images: int
    at_once: int
    memory: int

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], Layout]]:
        """Yield each tile's first window, and its layout."""
        starts = [list(itertools.accumulate(its, initial=0)) for its in self.counts]
        for place in itertools.product(*(range(len(its)) for its in self.counts)):
            first = tuple(starts[axis][n] for axis, n in enumerate(place))
            yield first, self.layouts[tuple(self.counts[axis][n] for axis, n in enumerate(place))]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many tiles there are along each axis."""
        return tuple(map(len, self.counts))

    @property
    def largest(self) -> Layout:
        """The layout of the largest tile."""
        return self.layouts[tuple(map(max, self.counts))]


def planned(
    analysis: Analysis, counts: tuple[int, ...], stride: tuple[int, ...], dtype: torch.dtype,
    images: int, limit: int,
) -> Tiles:  # fmt: skip
    """Return the grid as it fits into so many bytes: few images at once, then in few tiles.

    Images share nothing with each other, so that to run them one after another costs nothing.
    Raises `Refused` if not even one window fits.
    """
    shared = worth_sharing(analysis, _windows(counts, stride))
    most = counts
    while True:
        sizes = Sizes(analysis, dtype, images)
        parts = [-(-n // m) for n, m in zip(counts, most, strict=True)]
        most = tuple(-(-n // p) for n, p in zip(counts, parts, strict=True))
        last = images <= 1 and max(most) == 1
        if last or sizes.least(shared, _windows(most, stride)) <= limit:
            layout = laid_out(analysis, _windows(most, stride), shared)
            kinds = math.prod(2 - (n % p == 0) for n, p in zip(counts, parts, strict=True))
            once, (steps, left) = sizes.once(layout, kinds), sizes.shared(layout)
            each = sizes.window(layout)
            room = limit - once - left
            at_once = max(1, min(AT_ONCE, math.prod(most), NEAR // each or 1, room // each))
            memory = once + max(steps, left + at_once * each)
            if memory <= limit:
                break
        if last:
            least, why = f"{bytes_of(memory)} or more", "PyTorch and one window take it"
            value = Description(bytes_of(limit))
            raise Refused(Refusal("sliding_window", "memory", value, least, why))
        images, most = (-(-images // 2), most) if images > 1 else (images, _smaller(most))
    tiles = tuple(tuple(_even(n, p)) for n, p in zip(counts, parts, strict=True))
    layouts = {
        its: layout if its == most else laid_out(analysis, _windows(its, stride), shared)
        for its in itertools.product(*(set(axis) for axis in tiles))
    }
    return Tiles(tiles, layouts, max(images, 1), at_once, memory)


def _windows(counts: Sequence[int], stride: Sequence[int]) -> tuple[Windows, ...]:
    return tuple(map(Windows, counts, stride))


def _smaller(most: tuple[int, ...]) -> tuple[int, ...]:
    """Return fewer windows along the axis that has most."""
    axis = max(range(len(most)), key=most.__getitem__)
    fewer = max(1, int(SMALLER * most[axis]))
    return (*most[:axis], fewer, *most[axis + 1 :])


def _even(number: int, parts: int) -> Iterator[int]:
    """Yield a number in parts that differ by one at most, the larger first."""
    least, more = divmod(number, parts)
    yield from (least + (part < more) for part in range(parts))
