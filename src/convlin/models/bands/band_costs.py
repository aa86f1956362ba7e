"""What an image costs in bands, from sizes alone: integers, and never less than its run takes.

What is kept after R rows depends on R alone, so any band can be looked at without those before it:
the first two, and the last, behind as many as it takes until bands and the network's stride come
together again. The last is the dearest: all that waits for padding is computed.

| while | there are |
|---|---|
| a band comes | what every value keeps, its own rows, and those laid out for the first layer |
| a layer runs | what it reads, side by side in new memory, what it makes, and what it copies |
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import fx

from convlin.models.bands.band_step import Step
from convlin.models.bands.network_steps import NetworkSteps
from convlin.models.cells.peak_memory import EACH, KEPT, ONCE

__all__ = ["BandCosts", "costs"]

# Bands of one round that are looked at: half leaves out some of a round of 64 strides, twice
# takes seconds for the largest networks.
ROUND = 64
# Bytes that the allocator holds for each that is used: it keeps what fits nothing else. More for
# values, of many sizes, than for what one operation takes and gives back. Measured up to 2.3
# (MobileNetV2, bands of 64 rows of 4,096).
HELD, TAKEN = 2.625, 1.5
# Copies of its largest kernel that oneDNN lays out, and more: measured 2.1 (VGG-11's head).
LAID = 2.25
NARROW = (torch.float32, torch.bfloat16, torch.float16)  # oneDNN has convolutions of these


@dataclass(frozen=True)
class BandCosts:
    """Of one image: multiply-adds in all, and the most bytes at once and kept between bands.

    `peak_bytes` is what the process grows by at most, the caller's own band not counted;
    `kept_bytes` are the rows that wait for later ones.
    """

    multiply_adds: int
    peak_bytes: int
    kept_bytes: int


def costs(network: NetworkSteps, size: tuple[int, ...], band: int, dtype: torch.dtype) -> BandCosts:
    """Return the costs of an image of this size in bands of so many rows."""
    count = _Count(network, size, dtype)
    peak = kept = 0
    shapes: set[tuple[int, int, int]] = set()
    for start, stop in _bands(network, size[0], band):
        most, left = count.band(start, stop, shapes)
        peak, kept = max(peak, most), max(kept, left)
    multiply_adds = sum(
        math.prod(count.sizes[step.node]) * step.multiply_adds for step in network.steps
    )
    weights = dtype.itemsize * max((s.kernel for s in network.steps), default=0)
    once = ONCE + EACH * min(len(shapes), KEPT) + int(LAID * weights)
    return BandCosts(multiply_adds, once + peak, kept)


def _bands(network: NetworkSteps, rows: int, band: int) -> Iterator[tuple[int, int]]:
    """Yield the bands that are looked at."""
    number = -(-rows // band)
    stride = network.field.stride[0]
    last = min(ROUND, stride // math.gcd(stride, band)) + 2
    for index in sorted({*range(min(2, number)), *range(max(0, number - last), number)}):
        yield index * band, min(rows, (index + 1) * band)


class _Count:
    """The rows that a run has of every value, and their bytes."""

    def __init__(self, network: NetworkSteps, size: tuple[int, ...], dtype: torch.dtype) -> None:
        self._network = network
        self._dtype = dtype
        self.sizes = network.sizes(size)
        self._readers: dict[fx.Node, list[Step]] = {node: [] for node in self.sizes}
        for step in network.steps:
            for read in step.reads:
                self._readers[read].append(step)
        self._outputs = {node for _, node in network.outputs}
        self._row = {network.images: self._bytes_of(network.images, (network.channels,), dtype)}
        for step in network.steps:
            kind = network.dtype_of(step.dtype, dtype)
            self._row[step.node] = self._bytes_of(step.node, step.lead, kind)

    def band(self, start: int, stop: int, shapes: set[tuple[int, int, int]]) -> tuple[int, int]:
        """Return the most bytes while a band is computed, and those that are kept then."""
        before, after = self._come(start), self._come(stop)
        done = dict(before)
        come = dict(before)
        images = self._network.images
        come[images] = done[images] = stop
        live = {node: self._held(node, come, done) for node in self.sizes}
        most = int(HELD * sum(live.values()))
        for index, step in enumerate(self._network.steps):
            new = after[step.node] - before[step.node]
            if not new:
                continue
            size = self.sizes[step.reads[0]][0]
            first, last = step.rows.rows(before[step.node], after[step.node], size)
            taken = sum(self._row[node] for node in step.reads) * (last - first)
            most = max(most, int(HELD * (sum(live.values()) + taken)))
            done[step.node] = after[step.node]
            for node in step.reads:
                live[node] = self._held(node, come, done)
            come[step.node] = after[step.node]
            live[step.node] = self._held(step.node, come, done)
            made = self._row[step.node] * new
            work = self._work(step, new, taken, made)
            there = sum(live.values()) - live[step.node] + taken + made
            most = max(most, int(HELD * there + TAKEN * work))
            if step.multiply_adds:
                shapes.add((index, last - first, new))
        return most, sum(self._held(node, after, after, given=True) for node in self.sizes)

    def _come(self, rows: int) -> dict[fx.Node, int]:
        """Return how many rows of every value are final behind so many of the image."""
        come = {self._network.images: rows}
        for step in self._network.steps:
            size = self.sizes[step.reads[0]][0]
            least = min(come[node] for node in step.reads)
            come[step.node] = min(step.rows.final(least, size), self.sizes[step.node][0])
        return come

    def _held(
        self, node: fx.Node, come: Mapping[fx.Node, int], done: Mapping[fx.Node, int],
        given: bool = False,
    ) -> int:  # fmt: skip
        """Return the bytes of a value's rows that are still read; `given`: outputs are gone."""
        size = self.sizes[node][0]
        firsts = [
            size if done[step.node] >= self.sizes[step.node][0]
            else step.rows.first_kept(done[step.node], size)
            for step in self._readers[node]
        ]  # fmt: skip
        if node in self._outputs:
            ready = min(come[output] for output in self._outputs)
            firsts.append(ready if given else min(ready, done[node]))
        return self._row[node] * max(0, come[node] - min(firsts, default=size))

    def _work(self, step: Step, new: int, taken: int, made: int) -> int:
        """Return the bytes that a step takes beside what it reads and makes."""
        work = step.copies * taken + step.twins * made
        cells = new * math.prod(self.sizes[step.node][1:])
        if step.columns:
            work += cells * step.columns * self._dtype.itemsize
        if step.multiply_adds and (self._dtype not in NARROW or self._network.ndim != 2):
            work += taken + made  # laid out anew, and back
        if step.multiply_adds and (self._dtype not in NARROW or self._network.ndim == 3):
            work += cells * step.patch * self._dtype.itemsize  # products with copied patches
        return work

    def _bytes_of(self, node: fx.Node, lead: tuple[int, ...], dtype: torch.dtype) -> int:
        return math.prod((*lead, *self.sizes[node][1:])) * dtype.itemsize
