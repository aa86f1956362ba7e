"""Where the stored entries of the matrix stand, and which tap each one holds: index arithmetic.

One output reads, along each dimension, a short list of pixels, each through one tap (or, where
padding repeats pixels, through several). The row of an output is the product of these lists over
the dimensions, times the input channels of its group::

    row (o, p)  =  channels  ×  list(p₁)  ×  list(p₂)  × …      sorted by column, as lists are

Most outputs have the same list but for a shift. So the outputs of a dimension fall into *runs* of
even steps that share their taps, and where rows are stored is even too: one strided block of the
array per combination of runs, whatever the number of pixels. Filling such a block is one copy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int, Shaped
from numpy.lib.stride_tricks import as_strided

from convlin.geometry import ConvGeometry
from convlin.matrix.kernel_taps import by_group
from convlin.matrix.taps import sources

__all__ = ["Entries", "index_bytes"]


@dataclass(frozen=True)
class Run:
    """Outputs of one dimension, evenly spaced, that read by the same taps.

    `taps` are sorted by the pixel they read, then by number; `pixels` (outputs, taps) tells which.
    Taps from `heads[i]` up to the next head read the same pixel. The first output's taps stand
    behind `before` others of this dimension, its pixels behind `before_merged`, and each further
    output's `step` (`step_merged`) later.
    """

    taps: Int[np.ndarray, " taps"]
    pixels: Int[np.ndarray, "outputs taps"]
    heads: Int[np.ndarray, " merged"]
    before: int
    before_merged: int
    step: int
    step_merged: int


class Axis:
    """One dimension: how many taps each output reads through, and the outputs as runs."""

    def __init__(self, table: Int[np.ndarray, "outputs taps"]) -> None:
        missing = np.iinfo(table.dtype).max
        order = np.argsort(np.where(table < 0, missing, table), axis=1, kind="stable")
        pixels = np.take_along_axis(table, order, axis=1)
        read = pixels >= 0
        head = read.copy()
        head[:, 1:] &= pixels[:, 1:] != pixels[:, :-1]
        self.counts = read.sum(axis=1)
        self.merged = head.sum(axis=1)
        self.runs = list(_runs(np.where(read, order, -1), pixels, head, self.counts, self.merged))


def _runs(
    taps: Int[np.ndarray, "outputs taps"],
    pixels: Int[np.ndarray, "outputs taps"],
    head: Shaped[np.ndarray, "outputs taps"],
    counts: Int[np.ndarray, " outputs"],
    merged: Int[np.ndarray, " outputs"],
) -> Iterator[Run]:
    """Yield the runs; outputs that read nothing are in none."""
    before = np.stack([np.cumsum(counts) - counts, np.cumsum(merged) - merged], axis=1)
    for alike in _alike(np.concatenate([taps, head], axis=1)):
        size = int(counts[alike[0]])
        if not size:
            continue
        places = before[alike]
        for start, stop in _even(places):
            step = places[start + 1] - places[start] if stop - start > 1 else np.zeros(2, int)
            first = alike[start]
            yield Run(
                taps[first, :size],
                pixels[alike[start:stop], :size],
                np.flatnonzero(head[first]),
                *places[start].tolist(),
                *step.tolist(),
            )


def _alike(
    signature: Int[np.ndarray, "outputs marks"],
) -> Iterator[Int[np.ndarray, " some_outputs"]]:
    """Yield the outputs of each signature, ascending; signatures in the order they first appear.

    Most outputs have the signature of the one before, so only those where it changes are looked up.
    """
    changes = np.ones(len(signature), dtype=bool)
    changes[1:] = (signature[1:] != signature[:-1]).any(axis=1)
    starts = np.flatnonzero(changes)
    numbers: dict[bytes, int] = {}
    kinds = [numbers.setdefault(signature[start].tobytes(), len(numbers)) for start in starts]
    of_output = np.repeat(kinds, np.diff(starts, append=len(signature)))
    yield from np.split(
        np.argsort(of_output, kind="stable"), np.cumsum(np.bincount(of_output))[:-1]
    )


def _even(places: Int[np.ndarray, "outputs 2"]) -> Iterator[tuple[int, int]]:
    """Yield the ranges [start, stop) within which places lie evenly spaced."""
    steps = np.diff(places, axis=0)
    start, total = 0, len(places)
    breaks = iter((np.flatnonzero((steps[1:] != steps[:-1]).any(axis=1)) + 2).tolist())
    for stop in breaks:
        if stop - start < 2:  # the step from here on is the next range's
            continue
        yield start, stop
        start = stop
    yield start, total


def index_bytes(geometry: ConvGeometry, input_size: Sequence[int]) -> int:
    """Return about how many bytes `Entries` takes: six tables of (output, tap) a dimension."""
    lengths = map(geometry.output_length, range(geometry.ndim), input_size)
    return sum(48 * max(n, 0) * k for n, k in zip(lengths, geometry.kernel, strict=True))


class Entries:
    """The stored entries of a geometry's matrix at one input size; weights apart.

    There is one entry per output, input and tap, row by row. *Merged*, those of one position are
    one, and sorted by column; that makes a difference only where a padding mode repeats pixels.
    """

    def __init__(self, geometry: ConvGeometry, input_size: Sequence[int]) -> None:
        self.geometry = geometry
        self.input_size = tuple(input_size)
        self.output_size = geometry.output_size(input_size)
        self.axes = [Axis(sources(geometry, dim, n)) for dim, n in enumerate(self.input_size)]

    @property
    def rows(self) -> int:
        """Number of outputs."""
        return self.geometry.out_channels * math.prod(self.output_size)

    @property
    def columns(self) -> int:
        """Number of inputs."""
        return self.geometry.in_channels * math.prod(self.input_size)

    @property
    def overlap(self) -> bool:
        """Whether some output reads one input through several taps."""
        return self.count(merged=True) != self.count(merged=False)

    def count(self, merged: bool) -> int:
        """Return how many entries there are."""
        return self.geometry.out_channels * self._row_block(merged)

    def index_dtype(self, merged: bool) -> np.dtype:
        """Return int32 while every index and the number of entries fit, else int64."""
        largest = max(self.rows, self.columns, self.count(merged))
        return np.dtype(np.int32 if largest <= np.iinfo(np.int32).max else np.int64)

    @cached_property
    def row_pointers(self) -> Int[np.ndarray, " rows_1"]:
        """Where each row of the merged entries starts, and the end; read-only."""
        pointers = self._pointers(merged=True)
        pointers.flags.writeable = False
        return pointers

    @cached_property
    def column_indices(self) -> Int[np.ndarray, " stored"]:
        """The column of every merged entry; read-only, as matrices share it."""
        columns = self._columns(merged=True)
        columns.flags.writeable = False
        return columns

    def coordinates(self) -> tuple[Int[np.ndarray, " entries"], Int[np.ndarray, " entries"]]:
        """Return row and column of every entry, one per (output, input, tap).

        Each call makes both arrays: they are the caller's to write to.
        """
        lengths = np.diff(self._pointers(merged=False))
        rows = np.repeat(np.arange(self.rows, dtype=lengths.dtype), lengths)
        return rows, self._columns(merged=False)

    def members(self) -> tuple[Int[np.ndarray, " stored_1"], Int[np.ndarray, " entries"] | None]:
        """Return where each merged entry's members start, and the entries in that order.

        The order is None where it is that of the entries: nothing was merged.
        """
        if not self.overlap:
            return np.arange(self.count(merged=True) + 1, dtype=self.index_dtype(False)), None
        rows, columns = self.coordinates()
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
        return np.append(np.flatnonzero(first), len(order)).astype(rows.dtype), order

    def weight_index(self) -> Int[np.ndarray, " entries"]:
        """Return which weight every entry holds: its place in the flattened kernel."""
        shape = self.geometry.weight_shape
        places = np.arange(math.prod(shape), dtype=self.index_dtype(merged=False))
        return self.values(places.reshape(shape), merged=False)

    def values(
        self, weight: Shaped[np.ndarray, "a b *kernel"], merged: bool
    ) -> Shaped[np.ndarray, " entries"]:
        """Return the weight of every entry; merged, the sum of its taps' weights."""
        g = self.geometry
        kernel = by_group(g, weight)
        target = np.empty(self.count(merged), dtype=weight.dtype)
        for view, runs in self._blocks(target, merged):
            block = _taken(kernel, runs, merged)
            groups, outputs, *rest = block.shape
            view[...] = block.reshape(groups, outputs, *(1,) * len(runs), *rest)
        return target

    def frobenius(self, weight: Shaped[np.ndarray, "a b *kernel"]) -> float:
        """Return the root of the sum of all squared entries; nothing of their number is allocated.

        All outputs of a combination of runs hold the same numbers, so one of them is squared.
        """
        kernel = by_group(self.geometry, weight)
        kernel = kernel.astype(np.complex128 if kernel.dtype.kind == "c" else np.float64)
        largest = float(abs(kernel).max(initial=0)) or 1.0  # its square may be too large, or small
        total = 0.0
        for runs in itertools.product(*(axis.runs for axis in self.axes)):
            block = abs(_taken(kernel / largest, runs, merged=True))
            total += math.prod(len(run.pixels) for run in runs) * float((block * block).sum())
        return math.sqrt(total) * largest

    def _row_block(self, merged: bool) -> int:
        """Return how many entries the rows of one output channel have."""
        totals = [int((a.merged if merged else a.counts).sum()) for a in self.axes]
        return self.geometry.in_channels // self.geometry.groups * math.prod(totals)

    def _pointers(self, merged: bool) -> Int[np.ndarray, " rows_1"]:
        lengths = np.array([self.geometry.in_channels // self.geometry.groups])
        for axis in self.axes:
            lengths = np.outer(lengths, axis.merged if merged else axis.counts).ravel()
        pointers = np.zeros(self.rows + 1, dtype=self.index_dtype(merged))
        np.cumsum(np.tile(lengths, self.geometry.out_channels), out=pointers[1:])
        return pointers

    def _columns(self, merged: bool) -> Int[np.ndarray, " entries"]:
        g = self.geometry
        dtype = self.index_dtype(merged)
        channels = g.in_channels // g.groups
        pixels = math.prod(self.input_size)
        columns = np.empty(self.count(merged), dtype=dtype)
        by_channel = columns.reshape(g.groups, g.out_channels // g.groups, -1)
        channel = (np.arange(channels, dtype=dtype) * dtype.type(pixels)).reshape(
            -1, *(1,) * len(self.axes)
        )
        for view, runs in self._blocks(by_channel[:1, :1].reshape(-1), merged, one=True):
            place = np.zeros((1,) * (2 * len(runs) + 1), dtype=dtype)
            for dim, run in enumerate(runs):
                read = run.pixels[:, run.heads] if merged else run.pixels
                step = math.prod(self.input_size[dim + 1 :])
                shape = [1] * place.ndim
                shape[dim], shape[len(runs) + 1 + dim] = read.shape
                place = place + (read * step).astype(dtype).reshape(shape)
            np.add(place, channel, out=view[0, 0])
        for group in range(g.groups):
            shift = dtype.type(group * channels * pixels)
            if group:
                np.add(by_channel[0, 0], shift, out=by_channel[group, 0])
            by_channel[group, 1:] = by_channel[group, 0]
        return columns

    def _blocks(
        self, flat: Shaped[np.ndarray, " entries"], merged: bool, one: bool = False
    ) -> Iterator[tuple[Shaped[np.ndarray, "*shape"], tuple[Run, ...]]]:
        """Yield, per combination of runs, its entries in `flat` as a view, and the runs.

        The view has axes (groups, out/groups, *outputs, in/groups, *taps); with `one`, `flat`
        holds one output channel only.
        """
        g = self.geometry
        groups, outputs = (1, 1) if one else (g.groups, g.out_channels // g.groups)
        channels = g.in_channels // g.groups
        block = self._row_block(merged)
        totals = [int((a.merged if merged else a.counts).sum()) for a in self.axes]
        for runs in itertools.product(*(axis.runs for axis in self.axes)):
            sizes = [len(run.heads) if merged else len(run.taps) for run in runs]
            offset, steps = 0, []
            for dim, run in enumerate(runs):
                scale = channels * math.prod(sizes[:dim]) * math.prod(totals[dim + 1 :])
                offset += scale * (run.before_merged if merged else run.before)
                steps.append(scale * (run.step_merged if merged else run.step))
            inner = [math.prod(sizes[dim:]) for dim in range(len(sizes) + 1)]
            shape = (groups, outputs, *(len(run.pixels) for run in runs), channels, *sizes)
            strides = (outputs * block, block, *steps, *inner)
            yield (
                as_strided(flat[offset:], shape, [flat.itemsize * step for step in strides]),
                runs,
            )


def _taken(
    kernel: Shaped[np.ndarray, "groups out in *kernel"], runs: tuple[Run, ...], merged: bool
) -> Shaped[np.ndarray, "groups out in *taps"]:
    """Return the weights that the outputs of these runs hold; merged, those of one pixel added."""
    for axis, run in enumerate(runs, 3):
        kernel = kernel.take(run.taps, axis=axis)
        if merged and len(run.heads) < len(run.taps):
            kernel = np.add.reduceat(kernel, run.heads, axis=axis, dtype=kernel.dtype)
    return kernel
