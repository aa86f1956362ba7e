"""What a matrix reads, seen along one dimension: its support, and samples of its fibres."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Int, Num
from scipy.sparse import csr_array

from convlin.structure.axis_support import AxisSupport
from convlin.structure.canonical import look_up, place_of

__all__ = ["Layout", "groups", "spread"]

CHUNK = 1 << 22
TABLE = 1 << 26  # bytes of a table of what is read; larger ones are kept as sorted keys


class Layout:
    """A matrix whose rows are (out, *output_size) and columns (in, *input_size), in C order."""

    def __init__(
        self, matrix: csr_array, input_shape: Sequence[int], output_shape: Sequence[int]
    ) -> None:
        self.matrix = matrix
        self.input_shape = tuple(input_shape)
        self.output_shape = tuple(output_shape)

    def support(self) -> tuple[Bool[np.ndarray, "out in"], list[AxisSupport]]:
        """Return which channels meet, and per dimension which outputs read which pixels."""
        shapes = list(zip(self.output_shape, self.input_shape, strict=True))
        if self.matrix.nnz == math.prod(self.matrix.shape):
            keys = [np.arange(math.prod(shape)) for shape in shapes]
        else:
            keys = self._keys(shapes)
        channels = np.zeros(math.prod(shapes[0]), dtype=bool)
        channels[keys[0]] = True
        supports = [AxisSupport.of_keys(*shape, k) for shape, k in zip(shapes, keys, strict=True)]
        return channels.reshape(shapes[0]), supports[1:]

    def _keys(self, shapes: Sequence[tuple[int, int]]) -> list[Int[np.ndarray, " pairs"]]:
        """Return which keys output·pixels + pixel there are, per axis and sorted."""
        seen = [_Keys(math.prod(shape)) for shape in shapes]
        rows_index = np.unravel_index(np.arange(self.matrix.shape[0]), self.output_shape)
        column_index = np.unravel_index(np.arange(self.matrix.shape[1]), self.input_shape)
        bases = [index * n for index, (_, n) in zip(rows_index, shapes, strict=True)]
        for rows, columns in self._chunks():
            for keys, base, of_column in zip(seen, bases, column_index, strict=True):
                keys.add(base[rows] + of_column[columns])
        return [keys.sorted() for keys in seen]

    def _chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows and columns of the entries, some millions at a time."""
        pointers, indices = self.matrix.indptr, self.matrix.indices
        for start in range(0, len(indices), CHUNK):
            stop = min(start + CHUNK, len(indices))
            first, last = np.searchsorted(pointers, [start, stop - 1], side="right") - 1
            bounds = np.clip(pointers[first : last + 2], start, stop)
            yield np.repeat(np.arange(first, last + 1), np.diff(bounds)), indices[start:stop]

    def fibre(
        self, axis: int, support: AxisSupport, row: int, column: int
    ) -> Num[np.ndarray, " pairs"]:
        """Return the fibre along axis 1, 2, … through one entry, on the support."""
        rows = _line(row, axis, self.output_shape)
        columns = _line(column, axis, self.input_shape)
        fibre: np.ndarray = look_up(self.matrix[rows], support.output, columns[support.pixel])
        return fibre

    def fibres(
        self, axis: int, support: AxisSupport, entries: Iterable[int]
    ) -> Num[np.ndarray, "fibres pairs"]:
        """Return the fibres along an axis through these entries, each once."""
        through: dict[tuple[int, int], tuple[int, int]] = {}
        for entry in entries:
            place = place_of(self.matrix, entry)
            shapes = zip(place, (self.output_shape, self.input_shape), strict=True)
            lines = [int(_line(index, axis, shape)[0]) for index, shape in shapes]
            through.setdefault((lines[0], lines[1]), place)
        found = [self.fibre(axis, support, *place) for place in through.values()]
        empty = np.zeros((0, len(support)), dtype=self.matrix.dtype)
        return np.stack(found) if found else empty


class _Keys:
    """A set of whole numbers below a limit: a table, or a sorted list where that is too large."""

    def __init__(self, limit: int) -> None:
        self._table = np.zeros(limit, dtype=bool) if limit <= TABLE else None
        self._list = np.zeros(0, dtype=np.int64)

    def add(self, keys: Int[np.ndarray, " keys"]) -> None:
        if self._table is not None:
            self._table[keys] = True
        else:
            self._list = np.union1d(self._list, keys)

    def sorted(self) -> Int[np.ndarray, " keys"]:
        return self._list if self._table is None else np.flatnonzero(self._table)


def _line(index: int, axis: int, shape: tuple[int, ...]) -> Int[np.ndarray, " n"]:
    """Return the flat indices along one axis through `index`."""
    step = math.prod(shape[axis + 1 :])
    start = index - index // step % shape[axis] * step
    return start + step * np.arange(shape[axis])


def spread(entries: int, count: int) -> list[int]:
    """Return about `count` entries, evenly spread from the first to the last."""
    return sorted(set(np.linspace(0, entries - 1, min(count, entries)).astype(int).tolist()))


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
