"""What a matrix reads, seen along one dimension: its support, and samples of its fibres."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Int, Num
from scipy.sparse import csr_array

from convlin.structure.reading import place_of

__all__ = ["Layout", "groups", "spread"]

CHUNK = 1 << 22


class Layout:
    """A matrix whose rows are (out, *output_size) and columns (in, *input_size), in C order."""

    def __init__(
        self, matrix: csr_array, input_shape: Sequence[int], output_shape: Sequence[int]
    ) -> None:
        self.matrix = matrix
        self.input_shape = tuple(input_shape)
        self.output_shape = tuple(output_shape)

    def support(
        self,
    ) -> tuple[Bool[np.ndarray, "out in"], list[Bool[np.ndarray, "outputs pixels"]]]:
        """Return which channels meet, and per dimension which outputs read which pixels."""
        shapes = zip(self.output_shape, self.input_shape, strict=True)
        tables = [np.zeros(shape, dtype=bool) for shape in shapes]
        row_index = np.unravel_index(np.arange(self.matrix.shape[0]), self.output_shape)
        column_index = np.unravel_index(np.arange(self.matrix.shape[1]), self.input_shape)
        for rows, columns in self._chunks():
            for table, of_row, of_column in zip(tables, row_index, column_index, strict=True):
                table[of_row[rows], of_column[columns]] = True
        return tables[0], tables[1:]

    def _chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows and columns of the entries, some millions at a time."""
        pointers, indices = self.matrix.indptr, self.matrix.indices
        for start in range(0, len(indices), CHUNK):
            stop = min(start + CHUNK, len(indices))
            first, last = np.searchsorted(pointers, [start, stop - 1], side="right") - 1
            bounds = np.clip(pointers[first : last + 2], start, stop)
            yield np.repeat(np.arange(first, last + 1), np.diff(bounds)), indices[start:stop]

    def fibre(self, axis: int, row: int, column: int) -> Num[np.ndarray, "outputs pixels"]:
        """Return the fibre along axis 1, 2, … through one entry, as a dense array."""
        rows = _line(row, axis, self.output_shape)
        columns = _line(column, axis, self.input_shape)
        fibre: np.ndarray = self.matrix[rows][:, columns].toarray()
        return fibre

    def fibres(self, axis: int, entries: Iterable[int]) -> Num[np.ndarray, "fibres outputs pixels"]:
        """Return the fibres along an axis through these entries."""
        found = [self.fibre(axis, *place_of(self.matrix, entry)) for entry in entries]
        shape = (0, self.output_shape[axis], self.input_shape[axis])
        return np.stack(found) if found else np.zeros(shape, dtype=self.matrix.dtype)


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
