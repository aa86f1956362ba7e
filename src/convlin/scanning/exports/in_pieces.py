"""Scores piece by piece, as they are packed: no chunk is unpacked twice, and few are at once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["pieces"]


def pieces(
    scores: Any, most: int, step: tuple[int, ...] | None = None
) -> Iterator[tuple[slice, ...]]:
    """Yield places that make up an array: whole chunks, at most `most` bytes if one is less.

    They grow along the last axis first, so that a piece is few runs of an array in C order. step:
    something else than a chunk that is not to be cut, such as a shard.

    >>> list(pieces(np.zeros((2, 5)), most=24))
    [(slice(0, 1, None), slice(0, 3, None)), (slice(0, 1, None), slice(3, 5, None)), \
(slice(1, 2, None), slice(0, 3, None)), (slice(1, 2, None), slice(3, 5, None))]
    """
    shape = tuple(scores.shape)
    # an array in memory has no chunks: any part of it will do
    whole = step or getattr(scores, "chunks", None) or (1,) * len(shape)
    sides = list(map(min, whole, shape))
    item = np.dtype(scores.dtype).itemsize
    for axis in reversed(range(len(shape))):
        room = most // max(1, math.prod(sides) * item)
        sides[axis] = min(shape[axis], sides[axis] * max(1, room))
        if sides[axis] < shape[axis]:
            break
    starts = (range(0, size, n) for size, n in zip(shape, sides, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(
            slice(start, min(start + n, size))
            for start, n, size in zip(corner, sides, shape, strict=True)
        )
