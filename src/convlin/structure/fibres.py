"""What a matrix reads, seen along one dimension: its support, and its fibres."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Int, Num
from scipy.sparse import csr_array

from convlin.structure.axis_support import AxisSupport
from convlin.structure.canonical import look_up, rows_of
from convlin.structure.occurring import occurring

__all__ = ["Layout", "groups"]


class Layout:
    """A matrix whose rows are (out, *output_size) and columns (in, *input_size), in C order."""

    def __init__(
        self, matrix: csr_array, input_shape: Sequence[int], output_shape: Sequence[int]
    ) -> None:
        self.matrix = matrix
        self.input_shape = tuple(input_shape)
        self.output_shape = tuple(output_shape)

    @property
    def _full(self) -> bool:
        """Whether no entry is 0: every output then reads every pixel, in this order."""
        return bool(self.matrix.nnz == math.prod(self.matrix.shape))

    def support(self) -> tuple[Bool[np.ndarray, "out in"], list[AxisSupport]]:
        """Return which channels meet, and per dimension which outputs read which pixels."""
        shapes = list(zip(self.output_shape, self.input_shape, strict=True))
        if self._full:
            pairs = [np.arange(math.prod(shape)) for shape in shapes]
        else:
            pairs = list(self._pairs(shapes))
        channels = np.zeros(math.prod(shapes[0]), dtype=bool)
        channels[pairs[0]] = True
        supports = [AxisSupport.of_keys(*shape, p) for shape, p in zip(shapes, pairs, strict=True)]
        return channels.reshape(shapes[0]), supports[1:]

    def _pairs(self, shapes: Sequence[tuple[int, int]]) -> Iterator[Int[np.ndarray, " pairs"]]:
        """Yield which keys output·pixels + pixel there are, per axis and sorted."""
        rows, columns = rows_of(self.matrix), self.matrix.indices
        row_index = np.unravel_index(np.arange(self.matrix.shape[0]), self.output_shape)
        column_index = np.unravel_index(np.arange(self.matrix.shape[1]), self.input_shape)
        for of_row, of_column, (outputs, n) in zip(row_index, column_index, shapes, strict=True):
            keys = (of_row * n)[rows] + of_column[columns]
            if outputs * n <= len(keys):  # a table of all pairs is no larger than the list
                read = np.zeros(outputs * n, dtype=bool)
                read[keys] = True
                yield np.flatnonzero(read)
            else:
                yield occurring(keys)[0]

    def fibre(
        self, axis: int, support: AxisSupport, row: int, column: int
    ) -> Num[np.ndarray, " pairs"]:
        """Return the fibre along axis 1, 2, … through one entry, on the support."""
        rows = _line(row, axis, self.output_shape)
        columns = _line(column, axis, self.input_shape)
        if self._full:
            everything = self.matrix.data.reshape(self.matrix.shape)
            whole: np.ndarray = everything[np.ix_(rows, columns)]
            return whole.ravel()
        fibre: np.ndarray = look_up(self.matrix[rows], support.output, columns[support.pixel])
        return fibre

    def lines(
        self, axis: int, row: int, column: int
    ) -> tuple[Num[np.ndarray, "outputs pixels"], int]:
        """Return the fibre through one entry at its output and those next to it, and its pixel."""
        step = math.prod(self.output_shape[axis + 1 :])
        output = row // step % self.output_shape[axis]
        near = _line(row, axis, self.output_shape)[max(0, output - 1) : output + 2]
        columns = _line(column, axis, self.input_shape)
        lines = np.zeros((len(near), len(columns)), dtype=self.matrix.dtype)
        for line, at in zip(lines, near, strict=True):
            start, stop = self.matrix.indptr[at : at + 2]
            held = self.matrix.indices[start:stop]
            place = np.minimum(np.searchsorted(held, columns), len(held) - 1)
            if len(held):
                line[:] = np.where(held[place] == columns, self.matrix.data[start:stop][place], 0)
        return lines, column // math.prod(self.input_shape[axis + 1 :]) % self.input_shape[axis]


def _line(index: int, axis: int, shape: tuple[int, ...]) -> Int[np.ndarray, " n"]:
    """Return the flat indices along one axis through `index`."""
    # In C order, one step along an axis is a step over all that later axes hold; what is taken off
    # is the index's own position on the axis.
    step = math.prod(shape[axis + 1 :])
    start = index - index // step % shape[axis] * step
    return start + step * np.arange(shape[axis])


def groups(channels: Bool[np.ndarray, "out in"]) -> int:
    """Return the largest number of groups into which the channels fall.

    >>> groups(np.array([[1, 1, 0, 0], [0, 0, 0, 1]], dtype=bool))
    2
    """
    outputs, inputs = channels.shape
    out, into = np.nonzero(channels)
    for count in range(math.gcd(outputs, inputs), 1, -1):
        if outputs % count or inputs % count:
            continue
        if np.array_equal(out // (outputs // count), into // (inputs // count)):
            return count
    return 1
