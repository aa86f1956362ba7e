"""One's own picture, small enough to count every wire.

::

    z[i] = Σ_k overlap(i, k)·x[k] / n,    overlap = the part of [k, k + 1) in [i·n/m, (i + 1)·n/m)

n pixels become m along one dimension, and along the other alike: the mean of what a new pixel
covers. In units of 1/m the overlaps are whole numbers that sum up to n, so nothing is rounded
before the end.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Num

from convlin.teach.example import LONGEST

__all__ = ["shrunk"]


def shrunk(pixels: Num[np.ndarray, "h w"], longest: int = LONGEST) -> Num[np.ndarray, "a b"]:
    """Return a picture whose longer side is at most `longest`, in whole numbers; aspect kept.

    A picture that is small enough is returned as it is, its decimals too.

    >>> shrunk(np.array([[0, 9, 9, 9], [0, 9, 0, 9]]), longest=2)
    array([[4., 7.]])
    """
    larger = max(pixels.shape)
    if larger <= longest:
        return pixels
    # At least one pixel, and half a pixel counts as one.
    height, width = (max(1, (2 * n * longest + larger) // (2 * larger)) for n in pixels.shape)
    down, across = _overlaps(pixels.shape[0], height), _overlaps(pixels.shape[1], width)
    mean: np.ndarray = (down @ pixels.astype(float) @ across.T) / pixels.size
    whole: np.ndarray = np.rint(mean) + 0.0  # no -0
    return whole


def _overlaps(pixels: int, fewer: int) -> Int[np.ndarray, "fewer pixels"]:
    """Return how much of each old pixel (columns) lies in each new one (rows), in 1/fewer."""
    old, new = np.arange(pixels) * fewer, np.arange(fewer)[:, None] * pixels
    ends = np.minimum(old + fewer, new + pixels)
    overlaps: np.ndarray = np.maximum(0, ends - np.maximum(old, new))
    return overlaps
