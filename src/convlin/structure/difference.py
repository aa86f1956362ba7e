"""Where a matrix first differs from a convolution's, and in which words to say so."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from scipy.sparse import csr_array

from convlin.errors import Refusal
from convlin.matrix import ConvMatrix
from convlin.structure.axis_space import AxisSpace
from convlin.structure.canonical import look_up, rows_of

__all__ = ["Difference", "as_refusal", "differences"]


class Difference:
    """The entries in which a matrix and a convolution's differ; at least one.

    The first in order is (row, column), entries that no tap reaches before all others.
    """

    def __init__(
        self,
        matrix: csr_array,
        model: ConvMatrix,
        spaces: Sequence[AxisSpace],
        expected: csr_array,
        remainder: csr_array,
    ) -> None:
        self.matrix, self.model, self.spaces = matrix, model, spaces
        self.expected, self.remainder = expected, remainder
        self.count = remainder.nnz

    @property
    def row(self) -> int:
        """The row of the first one."""
        return self._first[0]

    @property
    def column(self) -> int:
        """The column of the first one."""
        return self._first[1]

    @cached_property
    def _first(self) -> tuple[int, int]:
        rows, columns = rows_of(self.remainder), self.remainder.indices
        first = int(np.argmax(_off_support(self.model, self.spaces, rows, columns)))
        return int(rows[first]), int(columns[first])


def differences(
    matrix: csr_array, model: ConvMatrix, spaces: Sequence[AxisSpace], unit_roundoff: float
) -> Difference | None:
    """Return where the given matrix is not the model's; None if they are equal.

    Equal is exact, but for floating-point entries that sum several taps whose weights are not 0:
    a sum of j numbers, in any order, is off by (j - 1)·u·Σ|w| at the most (Jeannerod and Rump,
    "Improved error bounds for inner products in floating-point arithmetic", 2013), and there are
    two of them, the matrix's and the model's.
    """
    expected = model.tocsr()
    remainder = csr_array(matrix - expected)
    remainder.eliminate_zeros()
    remainder.sort_indices()
    summed = any(space.overlap for space in spaces)
    if remainder.nnz and summed and matrix.dtype.kind in "fc":
        sizes = abs(model.weight).astype(matrix.real.dtype)
        terms = model.with_kernel((sizes > 0).astype(np.int64)).tocsr()
        largest = model.with_kernel(sizes).tocsr()
        rows = rows_of(remainder)
        j = look_up(terms, rows, remainder.indices)
        allowed = 2 * (j - 1) * unit_roundoff * look_up(largest, rows, remainder.indices)
        remainder.data[(j > 1) & (np.abs(remainder.data) <= allowed)] = 0
        remainder.eliminate_zeros()
    return Difference(matrix, model, spaces, expected, remainder) if remainder.nnz else None


def as_refusal(difference: Difference) -> Refusal:
    """Return the first difference as a refusal that names outputs, inputs and taps."""
    model, spaces = difference.model, difference.spaces
    output = _index(difference.row, model.output_shape)
    read = _index(difference.column, model.input_shape)
    value = _at(difference.matrix, difference.row, difference.column)
    here = f"output {output} reads input {read}"
    field = f"matrix[{difference.row}, {difference.column}]"
    taps = _taps(model, spaces, output, read)
    if not taps:
        other = _agreeing(difference, output)
        allows = f"that output {other} allows" if other else f"of this {model.geometry.kind}"
        return Refusal("recognize", field, value, "0", f"{here}, off any kernel {allows}")
    expected = _at(difference.expected, difference.row, difference.column)
    if len(taps) > 1:
        names = " and ".join(str(tap) for tap in taps)
        reason = f"{here} through taps {names}, whose weights elsewhere sum to {expected!r}"
        return Refusal("recognize", field, value, repr(expected), reason)
    reason = f"weights of tap {taps[0]} differ: {value!r} at output {output} from input {read}"
    for row, column in _sharing(model, spaces, output, read, taps[0]):
        if not difference.remainder[row, column] and (row, column) != (
            difference.row,
            difference.column,
        ):
            elsewhere = f"output {_index(row, model.output_shape)}"
            elsewhere += f" from input {_index(column, model.input_shape)}"
            reason += f", {_at(difference.matrix, row, column)!r} at {elsewhere}"
            break
    return Refusal("recognize", field, value, repr(expected), reason)


def _off_support(
    model: ConvMatrix,
    spaces: Sequence[AxisSpace],
    rows: Int[np.ndarray, " entries"],
    columns: Int[np.ndarray, " entries"],
) -> Bool[np.ndarray, " entries"]:
    """Return which positions no tap reaches."""
    g = model.geometry
    out, *cells = np.unravel_index(rows, model.output_shape)
    into, *pixels = np.unravel_index(columns, model.input_shape)
    off: np.ndarray = out // (g.out_channels // g.groups) != into // (g.in_channels // g.groups)
    for space, cell, pixel in zip(spaces, cells, pixels, strict=True):
        off |= space.reached.number(cell, pixel) < 0
    return off


def _taps(
    model: ConvMatrix, spaces: Sequence[AxisSpace], output: tuple[int, ...], read: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """Return the taps through which an output reads an input."""
    g = model.geometry
    if output[0] // (g.out_channels // g.groups) != read[0] // (g.in_channels // g.groups):
        return []
    per_axis = [
        np.flatnonzero(space.table[q] == p).tolist()
        for space, q, p in zip(spaces, output[1:], read[1:], strict=True)
    ]
    if not all(per_axis):
        return []
    grid = np.stack(np.meshgrid(*per_axis, indexing="ij"), axis=-1).reshape(-1, len(per_axis))
    return [tuple(tap) for tap in grid.tolist()]


def _sharing(
    model: ConvMatrix,
    spaces: Sequence[AxisSpace],
    output: tuple[int, ...],
    read: tuple[int, ...],
    tap: tuple[int, ...],
) -> Iterator[tuple[int, int]]:
    """Yield row and column of the positions where this tap's weight stands alone."""
    on = [np.flatnonzero(space.alone[:, t]) for space, t in zip(spaces, tap, strict=True)]
    for numbers in np.ndindex(*(len(outputs) for outputs in on)):
        cell = [int(outputs[i]) for outputs, i in zip(on, numbers, strict=True)]
        pixel = [int(s.table[q, t]) for s, q, t in zip(spaces, cell, tap, strict=True)]
        yield (
            int(np.ravel_multi_index((output[0], *cell), model.output_shape)),
            int(np.ravel_multi_index((read[0], *pixel), model.input_shape)),
        )


def _agreeing(difference: Difference, output: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the output of this channel, nearest before or else after, whose row does agree."""
    size = math.prod(difference.model.output_size)
    start = output[0] * size
    differing = np.diff(difference.remainder.indptr[start : start + size + 1]) > 0
    empty = np.diff(difference.matrix.indptr[start : start + size + 1]) == 0
    agreeing: Int[np.ndarray, " rows"] = np.flatnonzero(~differing & ~empty) + start
    if not len(agreeing):
        return None
    before = agreeing[agreeing < difference.row]
    return _index(int(before[-1] if len(before) else agreeing[0]), difference.model.output_shape)


def _at(matrix: csr_array, row: int, column: int) -> Any:
    return matrix[row, column].item()


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape))
