"""A form refuted by a few entries, where to compare it in full would take far longer.

Of a sparse matrix, a huge kernel with next to no weight explains a few fibres. But every entry is
the weight of its tap, and stands wherever that tap reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convlin.structure.axis_space import AxisSpace
from convlin.structure.canonical import rows_of
from convlin.structure.fibres import Layout

__all__ = ["spot_check"]

SPOTS = 256  # entries looked at: a form by chance agrees with none, and these take no time


def spot_check(layout: Layout, spaces: Sequence[AxisSpace]) -> tuple[int, int] | None:
    """Return row and column of an entry that its tap has not where it reads last, if one is seen.

    Nothing is said where several taps may read one pixel: there an entry may be a sum.
    """
    matrix = layout.matrix
    if not matrix.nnz or any(space.overlap for space in spaces):
        return None
    some = np.unique(np.linspace(0, matrix.nnz - 1, SPOTS).astype(int))
    rows, columns = rows_of(matrix)[some], matrix.indices[some]
    out, *cells = np.unravel_index(rows, layout.output_shape)
    into, *pixels = np.unravel_index(columns, layout.input_shape)
    agree = np.ones(len(some), dtype=bool)
    for dim, (space, cell, pixel) in enumerate(zip(spaces, cells, pixels, strict=True)):
        by_tap = space.table[cell] == pixel[:, None]
        agree &= by_tap.any(axis=1)
        reading = space.table[:, by_tap.argmax(axis=1)] >= 0
        cells[dim] = len(reading) - 1 - reading[::-1].argmax(axis=0)
        pixels[dim] = np.maximum(0, space.table[cells[dim], by_tap.argmax(axis=1)])
    row = np.ravel_multi_index((out, *cells), layout.output_shape)
    column = np.ravel_multi_index((into, *pixels), layout.input_shape)
    agree &= matrix[row, column] == matrix.data[some]
    differs = np.flatnonzero(~agree)
    return (int(rows[differs[0]]), int(columns[differs[0]])) if len(differs) else None
