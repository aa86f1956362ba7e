"""Which output shapes a matrix's rows could have.

Rows are (out, *output_size) in C order, so every factorisation of their number is a candidate.
But in a convolution the lowest and highest pixel that an output reads along a dimension depend on
its position along that dimension alone: mostly in all channels alike, and where some kernels begin
or end with zeros, in every channel by itself. One pass over the entries finds them for every row,
and each candidate is then a question to that list.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array

__all__ = ["output_shapes"]

# Shapes that only most rows agree with are looked at besides: as kernels may begin or end with
# zeros, the layer's own may be among them, not always first. Each costs a search.
NEAR = 6


def output_shapes(matrix: csr_array, input_shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the shapes (out, *output_size) that fit what rows read, those like the input first.

    First those that fit every row, in all channels alike; then the few that fit most rows, channel
    by channel, with several positions along every dimension. The shape with one position, in which
    every matrix is a convolution, is not among them.

    >>> output_shapes(csr_array(np.array([[1, 2, 0], [0, 1, 2]])), (1, 3))
    [(1, 2)]
    """
    spans = _spans(matrix, input_shape)

    def unlike(shape: tuple[int, ...]) -> float:
        pairs = zip(shape[1:], input_shape[1:], strict=True)
        return sum(abs(math.log(m / n)) for m, n in pairs)

    shapes = [
        shape
        for shape in _factorisations(matrix.shape[0], len(input_shape) - 1)
        if math.prod(shape[1:]) > 1
    ]
    shapes.sort(key=lambda shape: (unlike(shape), shape))
    alike = [shape for shape in shapes if _agree(spans, (1, *shape))]
    others = [
        (out, 1, *size)
        for out, *size in shapes
        if (out, *size) not in alike
        # One position along a dimension asks little of a channel, and shares nothing.
        and all(m > 1 or n == 1 for m, n in zip(size, input_shape[1:], strict=True))
    ]
    # Sorting is stable: of shapes that fit equally, those like the input come first.
    others.sort(key=lambda shape: -_sampled(spans, shape))
    return alike + [(shape[0], *shape[2:]) for shape in others[:NEAR]]


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


def _agree(spans: Sequence[Int[np.ndarray, "rows 2"]], shape: tuple[int, ...]) -> bool:
    """Return whether all rows have the usual spans; most shapes fail on a few."""
    return _sampled(spans, shape) == 1 and _agreement(spans, shape) == 1


def _sampled(spans: Sequence[Int[np.ndarray, "rows 2"]], shape: tuple[int, ...]) -> float:
    """Return the share of pairs of rows, at one position along a dimension, with equal spans.

    shape: as in `_agreement`, of which this is an estimate, by √rows pairs: there are about as many
    factorisations to look at as that, so that all of them cost one pass over the rows.
    """
    count = math.isqrt(math.prod(shape))
    draws = np.random.default_rng(0).random((2, len(shape), count))
    one, other = (draws * np.array(shape)[:, None]).astype(int)
    agree = np.ones(count, dtype=bool)
    for dim, span in enumerate(spans, 2):
        beside = other.copy()
        beside[[0, dim]] = one[[0, dim]]
        first, second = (span[np.ravel_multi_index(tuple(at), shape)] for at in (one, beside))
        agree &= ((first == second) | (first < 0) | (second < 0)).all(axis=1)
    return float(agree.mean())


def _agreement(spans: Sequence[Int[np.ndarray, "rows 2"]], shape: tuple[int, ...]) -> float:
    """Return the share of rows whose spans are the usual ones at their positions.

    shape: (apart, alike, *output_size): the usual ones are found for every `apart` by itself, and
    for all `alike` together.
    """
    agree = np.ones(math.prod(shape), dtype=bool).reshape(shape)
    for dim, span in enumerate(spans, 2):
        grid = np.moveaxis(span.reshape(*shape, 2), dim, 1)
        flat = grid.reshape(shape[0], shape[dim], -1, 2)
        known = flat[..., :1] >= 0
        # The middle one among the rows that read anything: the others sort before them.
        middle = flat.shape[2] - 1 - known.sum(axis=2, keepdims=True) // 2
        usual = np.take_along_axis(np.sort(flat, axis=2), middle, axis=2)
        same = ((flat == usual) | ~known).all(axis=3)
        agree &= np.moveaxis(same.reshape(grid.shape[:-1]), 1, dim)
    return float(agree.mean())


def _factorisations(number: int, ndim: int) -> Iterator[tuple[int, ...]]:
    """Yield all shapes of `ndim + 1` numbers whose product is `number`."""
    divisors = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    divisors += [number // d for d in divisors if d * d != number]
    for sizes in itertools.product(sorted(divisors), repeat=ndim):
        if number % math.prod(sizes) == 0:
            yield (number // math.prod(sizes), *sizes)
