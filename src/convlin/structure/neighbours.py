"""Which strides two neighbouring outputs allow: a test of two lines, before anything is listed.

With zero or circular padding, an output reads what the one before it reads, a stride further, and
with the same weights. So an entry a[p] of one and the next one's b rule out every stride s with::

    b[p + s] ≠ a[p]    or    a[p - s] ≠ b[p]        on a ring with p ± s mod n

Where no stride is left, no form is, at the price of a few lines instead of all entries.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Num

from convlin.geometry import PaddingMode
from convlin.structure.fibres import Layout

__all__ = ["ruled_out"]


def ruled_out(layout: Layout, mode: PaddingMode, entries: list[tuple[int, int]]) -> bool:
    """Return whether the lines through these entries leave no stride along some dimension.

    entries: (row, column) each. A mode that adds up what it repeats is never ruled out here.
    """
    if mode not in ("zeros", "circular"):
        return False
    return any(
        _none_left(layout, axis, mode, entries) for axis in range(1, len(layout.input_shape))
    )


def _none_left(
    layout: Layout, axis: int, mode: PaddingMode, entries: list[tuple[int, int]]
) -> bool:
    strides = np.ones(layout.input_shape[axis], dtype=bool)
    strides[0] = mode == "circular"
    shareable = False
    for entry in entries:
        lines, pixel = layout.lines(axis, *entry)
        # One output or one pixel in use shares nothing, and any stride would do.
        in_use = [np.count_nonzero((lines != 0).any(axis=a)) for a in (0, 1)]
        shareable = shareable or bool(min(in_use) > 1)
        for before, after in pairwise(lines):
            used = np.flatnonzero(before) if before.any() else np.array([pixel])
            for at in {pixel, int(used[0]), int(used[-1])}:
                strides &= _allowed(before, after, at, mode)
    return shareable and not strides.any()


def _allowed(
    before: Num[np.ndarray, " pixels"], after: Num[np.ndarray, " pixels"], at: int,
    mode: PaddingMode,
) -> Bool[np.ndarray, " strides"]:  # fmt: skip
    """Return for each stride, 0 … pixels - 1, whether it moves what both hold at one pixel."""
    strides = np.arange(len(before))
    ahead, behind = at + strides, at - strides
    moved = after[ahead % len(after)] == before[at]
    came = before[behind] == after[at]  # indices below 0 count from the end: a ring already
    if mode == "zeros":
        moved |= ahead >= len(after)
        came |= behind < 0
    allowed: np.ndarray = moved & came
    return allowed
