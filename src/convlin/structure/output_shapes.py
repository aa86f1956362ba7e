"""Which output shapes a matrix's rows could have.

Rows are (out, *output_size) in C order, so every factorisation of their number is a candidate.
But in a convolution the lowest and highest pixel that an output reads along a dimension depend on
its position along that dimension alone. One pass over the entries finds them for every row, and
each candidate is then a question to that list.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array

__all__ = ["output_shapes"]

NEAR = 3  # shapes that most rows agree with, where no shape is agreed on by all


def output_shapes(matrix: csr_array, input_shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the shapes (out, *output_size) that fit what rows read, those like the input first.

    Where none fits every row, the few that most rows agree with.

    The shape with one position, in which every matrix is a convolution, is not among them.

    >>> output_shapes(csr_array(np.array([[1, 2, 0], [0, 1, 2]])), (1, 3))
    [(1, 2)]
    """
    spans = _spans(matrix, input_shape)
    agreement = {
        shape: _agreement(spans, shape)
        for shape in _factorisations(matrix.shape[0], len(input_shape) - 1)
        if math.prod(shape[1:]) > 1
    }

    def unlike(shape: tuple[int, ...]) -> float:
        pairs = zip(shape[1:], input_shape[1:], strict=True)
        return sum(abs(math.log(m / n)) for m, n in pairs)

    shapes = [shape for shape, share in agreement.items() if share == 1]
    if shapes:
        return sorted(shapes, key=lambda shape: (unlike(shape), shape))
    return sorted(agreement, key=lambda shape: (-agreement[shape], unlike(shape)))[:NEAR]


def _spans(matrix: csr_array, input_shape: Sequence[int]) -> list[Int[np.ndarray, "rows 2"]]:
    """Return, per dimension, the lowest and highest pixel that each row reads; -1 for none."""
    filled = np.flatnonzero(np.diff(matrix.indptr))
    starts = matrix.indptr[filled]
    spans = []
    for dim, n in enumerate(input_shape[1:], 1):
        span = np.full((matrix.shape[0], 2), -1)
        if len(filled):
            pixel = matrix.indices // math.prod(input_shape[dim + 1 :]) % n
            span[filled, 0] = np.minimum.reduceat(pixel, starts)
            span[filled, 1] = np.maximum.reduceat(pixel, starts)
        spans.append(span)
    return spans


def _agreement(spans: Sequence[Int[np.ndarray, "rows 2"]], shape: tuple[int, ...]) -> float:
    """Return the share of rows whose spans are the usual ones at their positions."""
    agree = np.ones(math.prod(shape), dtype=bool).reshape(shape)
    for dim, span in enumerate(spans, 1):
        grid = np.moveaxis(span.reshape(*shape, 2), dim, 0)
        flat = grid.reshape(shape[dim], -1, 2)
        known = flat[:, :, :1] >= 0
        usual = _median(flat)
        same = (flat == usual[:, None]).all(axis=2) | ~known[..., 0]
        agree &= np.moveaxis(same.reshape(grid.shape[:-1]), 0, dim)
    return float(agree.mean())


def _median(flat: Int[np.ndarray, "size others 2"]) -> Int[np.ndarray, "size 2"]:
    """Return the middle span at each position among the rows that read anything."""
    usual = np.full((len(flat), 2), -1)
    for place, rows in enumerate(flat):
        known = np.sort(rows[rows[:, 0] >= 0], axis=0)
        if len(known):
            usual[place] = known[len(known) // 2]
    return usual


def _factorisations(number: int, ndim: int) -> Iterator[tuple[int, ...]]:
    """Yield all shapes of `ndim + 1` numbers whose product is `number`."""
    divisors = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    divisors += [number // d for d in divisors if d * d != number]
    for sizes in itertools.product(sorted(divisors), repeat=ndim):
        if number % math.prod(sizes) == 0:
            yield (number // math.prod(sizes), *sizes)
