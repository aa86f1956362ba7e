"""The stored entries of a geometry's matrix at one input size, in two layouts, weights apart.

*By tap* there is one entry per output, input and tap; *by position* those of one output and input
are one. That makes a difference only where a padding mode repeats pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Int

from convlin.geometry import ConvGeometry
from convlin.matrix.entry_layout import EntryLayout
from convlin.matrix.runs import Axis
from convlin.matrix.taps import tables

__all__ = ["Entries", "index_bytes"]

TABLES = 9  # of numbers of 8 bytes, as `index_bytes` says


def index_bytes(geometry: ConvGeometry, input_size: Sequence[int]) -> int:
    """Return about how many bytes making `Entries` takes: nine tables of (output, tap) a dimension.

    Pixels as read and by pixel, taps, their order, heads and signatures, and what sorts them. With
    half as much, more than the memory limit would be taken before it is refused; with twice as
    much, matrices refused that there is room for.
    """
    lengths = map(geometry.output_length, range(geometry.ndim), input_size)
    tables = sum(max(n, 0) * k for n, k in zip(lengths, geometry.kernel, strict=True))
    return TABLES * 8 * tables


class Entries:
    """The stored entries of a geometry's matrix at one input size, in both layouts."""

    def __init__(self, geometry: ConvGeometry, input_size: Sequence[int]) -> None:
        self.geometry = geometry
        self.input_size = tuple(input_size)
        self.output_size = geometry.output_size(input_size)
        axes = [Axis.by_position(table) for table in tables(geometry, input_size)]
        self.by_position = EntryLayout(geometry, self.input_size, axes)
        self.rows, self.columns = self.by_position.rows, self.by_position.columns

    @cached_property
    def by_tap(self) -> EntryLayout:
        """The layout with one entry per (output, input, tap); that by position if none is shared.

        Entries of one position stand side by side or apart, and add up.
        """
        if not self.overlap:
            return self.by_position
        axes = [Axis.by_tap(table) for table in tables(self.geometry, self.input_size)]
        return EntryLayout(self.geometry, self.input_size, axes)

    @property
    def overlap(self) -> bool:
        """Whether some output reads one input through several taps."""
        runs = (run for axis in self.by_position.axes for run in axis.runs)
        return any(len(run.heads) < len(run.taps) for run in runs)

    def coordinates(self) -> tuple[Int[np.ndarray, " entries"], Int[np.ndarray, " entries"]]:
        """Return row and column of every entry by tap; both arrays are the caller's to write to."""
        lengths = np.diff(self.by_tap.row_pointers)
        rows = np.repeat(np.arange(self.rows, dtype=lengths.dtype), lengths)
        return rows, self.by_tap.new_column_indices()

    def members(self) -> tuple[Int[np.ndarray, " stored_1"], Int[np.ndarray, " entries"] | None]:
        """Return where each position's entries by tap start, and these in that order.

        The order is None where it is that of the entries: each stands by itself.
        """
        if not self.overlap:
            return np.arange(self.by_tap.count + 1, dtype=self.by_tap.index_dtype), None
        rows, columns = self.coordinates()
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
        return np.append(np.flatnonzero(first), len(order)).astype(rows.dtype), order

    def weight_index(self) -> Int[np.ndarray, " entries"]:
        """Return which weight every entry by tap holds: its number in the flattened kernel."""
        shape = self.geometry.weight_shape
        numbers = np.arange(math.prod(shape), dtype=self.by_tap.index_dtype)
        return self.by_tap.values(numbers.reshape(shape))
