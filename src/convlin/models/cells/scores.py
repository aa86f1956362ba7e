"""The outputs of all windows: one cell for each, whatever the model returns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from convlin.models.graph.varying import mapped

__all__ = ["Scores", "batches"]


class Scores:
    """Outputs (N, K, *cells) that are filled in batch by batch; maps are (N, C, h, w, *cells)."""

    def __init__(self, images: int, cells: tuple[int, ...]) -> None:
        self._images = images
        self._cells = cells
        self._whole: list[Any] = []
        self._form: Any = None

    def add(self, outputs: Any, images: slice, places: Sequence[slice]) -> None:
        """Take the outputs (images·windows, …) of some images' windows at these places."""
        leaves: list[Any] = []
        mapped(outputs, leaves.append)
        numbers = iter(range(len(leaves)))
        self._form = mapped(outputs, lambda leaf: next(numbers))
        if not self._whole:
            self._whole = [self._empty(leaf) for leaf in leaves]
        counts = [place.stop - place.start for place in places]
        for number, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor):
                some = len(range(self._images)[images])
                rows = leaf.reshape(some, *counts, *_shape(leaf))
                axes = range(1, 1 + len(counts))
                behind = rows.permute(0, *range(1 + len(counts), rows.ndim), *axes)
                self._whole[number][(images, ..., *places)] = behind

    @property
    def whole(self) -> Any:
        """All of them, in the model's own containers' plain form."""
        return mapped(self._form, lambda number: self._whole[number])

    def _empty(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf.new_empty((self._images, *_shape(leaf), *self._cells))


def batches(counts: Sequence[int], most: int) -> Iterator[list[range]]:
    """Yield windows along each axis, at most so many together, in batches of about equal size.

    >>> [list(map(len, ranges)) for ranges in batches((5, 3), 7)]
    [[1, 3], [2, 3], [2, 3]]
    """
    if not counts:
        yield []
        return
    behind = math.prod(counts[1:])
    rows = max(1, most // behind)
    parts = -(-counts[0] // rows)
    for part in range(parts):
        first, stop = (counts[0] * n // parts for n in (part, part + 1))
        for rest in batches(counts[1:], max(1, most // (stop - first))):
            yield [range(first, stop), *rest]


def _shape(leaf: Tensor) -> tuple[int, ...]:
    """Return a window's shape: of a map of one cell, its channels."""
    shape = tuple(leaf.shape[1:])
    return shape[:1] if all(size == 1 for size in shape[1:]) else shape
