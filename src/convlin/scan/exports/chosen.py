"""Windows worth listing: above a threshold, or the best of each class, over a whole scan."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Hit", "hits"]


class Hit(NamedTuple):
    """A window's score in a class (its place among those stored), and its cell."""

    score: float
    kind: int
    cell: tuple[int, ...]


def hits(scores: Any, ndim: int, threshold: float | None, top: int | None) -> list[Hit]:
    """Return the windows of scores (K, *cells), class by class, the highest score first.

    Those of `threshold` or more; the `top` best of each class; windows of equal score in order of
    their cells. NaN is no score. Parts of the array are read one after the other.

    >>> found = hits(np.array([[1.0, 3.0, 2.0]]), 1, None, 2)
    >>> [(hit.score, hit.cell) for hit in found]
    [(3.0, (1,)), (2.0, (2,))]
    """
    kept: dict[int, list[tuple[float, tuple[int, ...]]]] = {}
    for first, part in _parts(scores, ndim):
        wanted = ~np.isnan(part)
        if threshold is not None:
            wanted &= part >= threshold
        for kind in range(len(part)):
            places = np.argwhere(wanted[kind])
            values = part[kind][wanted[kind]].astype(np.float64)
            if top is not None and len(values) > top:
                # all that may be among the best, equal ones included
                least = np.partition(values, -top)[-top]
                places, values = places[values >= least], values[values >= least]
            # a heap's smallest goes first: the lowest score, and of those the last cell
            rows = [
                (float(value), tuple(-(int(n) + a) for n, a in zip(place, first, strict=True)))
                for value, place in zip(values, places, strict=True)
            ]
            whole = kept.setdefault(kind, [])
            whole += rows
            if top is not None and len(whole) > top:
                kept[kind] = heapq.nlargest(top, whole)
    return [
        Hit(score, kind, tuple(-n for n in cell))
        for kind, rows in sorted(kept.items())
        for score, cell in sorted(rows, reverse=True)
    ]


def _parts(scores: Any, ndim: int) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Yield (K, *cells) shard by shard, behind the first cell of each."""
    shape = tuple(scores.shape)
    step = getattr(scores, "shards", None) or getattr(scores, "chunks", None) or shape
    cells, steps = shape[len(shape) - ndim :], step[len(shape) - ndim :]
    for first in itertools.product(*(range(0, n, s) for n, s in zip(cells, steps, strict=True))):
        place = (..., *(slice(a, a + s) for a, s in zip(first, steps, strict=True)))
        part = np.asarray(scores[place])
        yield first, part.reshape(-1, *part.shape[part.ndim - ndim :])
