"""The circular convolution of which a convolution is a part.

Along one dimension a convolution has the weight of tap t where output o reads pixel i::

    A[o, i] = Σ w_t  over  o·stride - before + t·dilation = i                0 ≤ i < n
    C[r, i] = Σ w_t  over              r     + t·dilation ≡ i  (mod N)       circular, stride 1

With zero padding, let outputs that read at least one pixel reach at most `outside` cells beyond
either end of the input, and let N ≥ n + outside. The cells they read and the pixels then lie less
than N apart, so ≡ is =, and row o of A is row o·stride - before (mod N) of C at the columns below
n. Two such rows of A are the same row of C only if they are equal; but no pixel is a cell that
both read, so both would be empty, and rows that read nothing were left out. So A is a submatrix of
C, rows of zeros apart, and its norm is at most that of C. (For kernels with equal padding of half
their extent, N = n + padding; a known bound is the special case of odd kernels and stride 1.)

With circular padding N = n, and A is rows of C, some of them perhaps several times: its norm is at
most √repeats that of C. Any padding mode is as good as zeros where nothing is read outside.

All those rows of C lie `step` = gcd(stride, N) apart. So C may drop the rest; zero padding chooses
N a multiple of the stride, for as few rows as possible. In several dimensions A and C are sums of
products over the dimensions, tap by tap, and the argument holds in each. A transposed convolution
is the adjoint of one that reads its outputs, and has the same singular values; where its output
padding leaves room for more cells than it has, rows of that one are missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convlin.geometry import ConvGeometry

__all__ = ["Circular", "circular"]


@dataclass(frozen=True)
class Circular:
    """A circular convolution with every `step`-th row per dimension, and how much of it is used.

    `sizes` are its inputs in pixels, `repeats` is how often the convolution inside has one of its
    rows at most, and `whole` tells that the two are equal, up to the order of rows.
    """

    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    repeats: int
    whole: bool


def circular(geometry: ConvGeometry, input_size: Sequence[int]) -> Circular | None:
    """Return a circular convolution with the same kernel that contains this one.

    None where reflected or replicated padding is read: then there is none.

    >>> circular(ConvGeometry(1, 1, (3, 5), padding=(1, 2)), (8, 8))
    Circular(sizes=(9, 10), steps=(1, 1), repeats=1, whole=False)
    >>> circular(ConvGeometry(3, 96, (4, 4), stride=4), (32, 32))
    Circular(sizes=(32, 32), steps=(4, 4), repeats=1, whole=True)
    """
    pixels, cells = tuple(input_size), geometry.output_size(input_size)
    if geometry.transposed:
        geometry, pixels, cells = geometry.adjoint, cells, pixels
    sides = zip(range(geometry.ndim), pixels, cells, strict=True)
    axes = [_axis(geometry, *side) for side in sides]
    known = [axis for axis in axes if axis is not None]
    if len(known) < len(axes):
        return None
    sizes, steps, repeats, whole = zip(*known, strict=True)
    return Circular(sizes, steps, math.prod(repeats), all(whole))


def _axis(
    geometry: ConvGeometry, dim: int, pixels: int, cells: int
) -> tuple[int, int, int, bool] | None:
    """Return size, step, repeats and whether all of it is used, along one dimension."""
    stride, before = geometry.stride[dim], geometry.padding[dim][0]
    first = np.arange(cells) * stride - before
    read = first[:, None] + np.arange(geometry.kernel[dim]) * geometry.dilation[dim]
    inside = (read >= 0) & (read < pixels)
    if geometry.padding_mode == "circular":
        size = pixels
    elif geometry.padding_mode == "zeros" or inside.all():
        reading = inside.any(axis=1)
        first, read = first[reading], read[reading]
        outside = max(-read.min(initial=0), read.max(initial=0) - (pixels - 1), 0)
        size = -(-(pixels + int(outside)) // stride) * stride
    else:
        return None
    # Output o is row o·stride of C, but for a shift: of those that stay the o·stride/step-th.
    step = math.gcd(stride, size)
    counts = np.bincount((first + before) % size // step, minlength=size // step)
    return (
        size,
        step,
        int(counts.max()),
        size == pixels and len(first) == cells and all(counts == 1),
    )
