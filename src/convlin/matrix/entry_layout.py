"""Where entries stand and which taps each one holds, whatever counts as one entry.

The row of an output is the product of what it reads along each dimension (`runs.py`), times the
input channels of its group::

    row (o, p)  =  channels  ×  list(p₁)  ×  list(p₂)  × …      sorted by column, as lists are

As rows are stored one after another, output (o, p) starts behind

    o·B  +  C·( before₁(p₁)·T₂·T₃  +  c₁(p₁)·before₂(p₂)·T₃  +  c₁(p₁)·c₂(p₂)·before₃(p₃) )

entries: C channels of the group, c_d(p) entries at position p of dimension d, T_d of them at all
positions together, B = C·T₁·T₂·T₃. Within one run of every dimension the c are constant and the
before rise by even steps: all its entries are one strided block, filled by one copy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Int, Shaped
from numpy.lib.stride_tricks import as_strided

from convlin.geometry import ConvGeometry
from convlin.matrix.kernel_taps import by_group
from convlin.matrix.runs import Axis, Run
from convlin.numerics.scaling import Scale

__all__ = ["EntryLayout"]


class EntryLayout:
    """One way to store a geometry's matrix at one input size, row by row, weights apart."""

    def __init__(
        self, geometry: ConvGeometry, input_size: tuple[int, ...], axes: Sequence[Axis]
    ) -> None:
        self.geometry = geometry
        self.input_size = input_size
        self.axes = axes
        self.rows = geometry.out_channels * math.prod(len(axis.counts) for axis in axes)
        self.columns = geometry.in_channels * math.prod(input_size)
        self._channels = geometry.in_channels // geometry.groups
        self._per_output_channel = self._channels * math.prod(axis.total for axis in axes)

    @property
    def count(self) -> int:
        """How many entries there are."""
        return self.geometry.out_channels * self._per_output_channel

    @property
    def index_dtype(self) -> np.dtype:
        """int32 while every index and the number of entries fit, else int64."""
        largest = max(self.rows, self.columns, self.count)
        return np.dtype(np.int32 if largest <= np.iinfo(np.int32).max else np.int64)

    @cached_property
    def row_pointers(self) -> Int[np.ndarray, " rows_1"]:
        """Where each row's entries start, and the end; read-only, as matrices share it."""
        lengths = np.array([self._channels])
        for axis in self.axes:
            lengths = np.outer(lengths, axis.counts).ravel()
        pointers = np.zeros(self.rows + 1, dtype=self.index_dtype)
        np.cumsum(np.tile(lengths, self.geometry.out_channels), out=pointers[1:])
        pointers.flags.writeable = False
        return pointers

    @cached_property
    def column_indices(self) -> Int[np.ndarray, " entries"]:
        """The column of every entry; read-only, as matrices share it."""
        columns = self.new_column_indices()
        columns.flags.writeable = False
        return columns

    def new_column_indices(self) -> Int[np.ndarray, " entries"]:
        """Return the column of every entry, as an array of the caller's own."""
        g, dtype, channels = self.geometry, self.index_dtype, self._channels
        pixels = math.prod(self.input_size)
        columns = np.empty(self.count, dtype=dtype)
        by_channel = columns.reshape(g.groups, g.out_channels // g.groups, -1)
        channel = (np.arange(channels, dtype=dtype) * dtype.type(pixels)).reshape(
            -1, *(1,) * len(self.axes)
        )
        # Of the first output channel; the others of its group read the same pixels, and those of
        # group number i the same but for i·channels·pixels columns.
        for view, runs in self.blocks(by_channel[0, 0], one_channel=True):
            column = np.zeros((1,) * (2 * len(runs) + 1), dtype=dtype)
            for dim, run in enumerate(runs):
                step = math.prod(self.input_size[dim + 1 :])
                shape = [1] * column.ndim
                shape[dim], shape[len(runs) + 1 + dim] = run.pixels.shape
                column = column + (run.pixels * step).astype(dtype).reshape(shape)
            np.add(column, channel, out=view[0, 0])
        for group in range(g.groups):
            if group:
                shift = dtype.type(group * channels * pixels)
                np.add(by_channel[0, 0], shift, out=by_channel[group, 0])
            by_channel[group, 1:] = by_channel[group, 0]
        return columns

    def values(self, weight: Shaped[np.ndarray, "a b *kernel"]) -> Shaped[np.ndarray, " entries"]:
        """Return what stands in every entry: the weight of its tap, or the sum of its taps'."""
        kernel = by_group(self.geometry, weight)
        target = np.empty(self.count, dtype=weight.dtype)
        for view, runs in self.blocks(target):
            block = _weights(kernel, runs)
            groups, outputs, *rest = block.shape
            view[...] = block.reshape(groups, outputs, *(1,) * len(runs), *rest)
        return target

    def frobenius(self, weight: Shaped[np.ndarray, "a b *kernel"]) -> float:
        """Return the root of the sum of all squared entries; nothing of their number is allocated.

        All outputs of a combination of runs hold the same numbers, so one of them is squared.
        """
        kernel = by_group(self.geometry, weight)
        kernel = kernel.astype(np.complex128 if kernel.dtype.kind == "c" else np.float64)
        scale = Scale.of(float(abs(kernel).max(initial=0)))  # its square may be too large, or small
        kernel, total = scale.down(kernel), 0.0
        for runs in itertools.product(*(axis.runs for axis in self.axes)):
            block = abs(_weights(kernel, runs))
            total += math.prod(len(run.pixels) for run in runs) * float((block * block).sum())
        norm: float = scale.back(math.sqrt(total))
        return norm

    def blocks(
        self, flat: Shaped[np.ndarray, " entries"], one_channel: bool = False
    ) -> Iterator[tuple[Shaped[np.ndarray, "*shape"], tuple[Run, ...]]]:
        """Yield, per combination of runs, its entries in `flat` as a view, and the runs.

        The view has axes (groups, out/groups, *outputs, in/groups, *entries); with `one_channel`,
        `flat` holds one output channel only.
        """
        g, per_channel = self.geometry, self._per_output_channel
        groups, outputs = (1, 1) if one_channel else (g.groups, g.out_channels // g.groups)
        for runs in itertools.product(*(axis.runs for axis in self.axes)):
            sizes = [len(run.heads) for run in runs]
            offset, steps = 0, []
            for dim, run in enumerate(runs):
                behind = math.prod(axis.total for axis in self.axes[dim + 1 :])
                scale = self._channels * math.prod(sizes[:dim]) * behind
                offset += scale * run.before
                steps.append(scale * run.step)
            # Within a row, channels and then entries of each dimension, the last one fastest.
            inner = [math.prod(sizes[dim:]) for dim in range(len(sizes) + 1)]
            shape = (groups, outputs, *(len(run.pixels) for run in runs), self._channels, *sizes)
            strides = (outputs * per_channel, per_channel, *steps, *inner)
            yield (
                as_strided(flat[offset:], shape, [flat.itemsize * step for step in strides]),
                runs,
            )


def _weights(
    kernel: Shaped[np.ndarray, "groups out in *kernel"], runs: tuple[Run, ...]
) -> Shaped[np.ndarray, "groups out in *entries"]:
    """Return the weights that the outputs of these runs hold, those of one entry added up."""
    for axis, run in enumerate(runs, 3):
        kernel = kernel.take(run.taps, axis=axis)
        if len(run.heads) < len(run.taps):
            kernel = np.add.reduceat(kernel, run.heads, axis=axis, dtype=kernel.dtype)
    return kernel
