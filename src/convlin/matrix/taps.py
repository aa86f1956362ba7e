"""Which input each tap of each output reads, as arrays of indices.

The same arithmetic as `ConvGeometry.source`, for all outputs and taps of a dimension at once::

    conv:        position = output·stride + tap·dilation - before, folded back by the padding mode
    transposed:  position = (output + before - tap·dilation) / stride, where that is whole

A spatial tap is one tap per dimension, and reads where each of them reads: positions in several
dimensions are the product of those in one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from convlin.geometry import ConvGeometry

__all__ = ["connected", "folded", "sources"]


def sources(geometry: ConvGeometry, dim: int, n: int) -> Int[np.ndarray, "out taps"]:
    """Return the input position that each (output, tap) reads along `dim`; -1 where it reads none.

    `n` is the input's size along `dim`, in pixels.

    >>> sources(ConvGeometry(1, 1, kernel=(3,), padding=1), 0, 4).tolist()
    [[-1, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, -1]]
    """
    outputs = np.arange(geometry.output_length(dim, n))[:, None]
    taps = np.arange(geometry.kernel[dim])[None, :] * geometry.dilation[dim]
    before, stride = geometry.padding[dim][0], geometry.stride[dim]
    if geometry.transposed:
        position, rest = np.divmod(outputs + before - taps, stride)
        read: np.ndarray = (rest == 0) & (position >= 0) & (position < n)
        return np.where(read, position, -1)
    return folded(geometry, n, outputs * stride + taps - before)


def tables(
    geometry: ConvGeometry, input_size: Sequence[int]
) -> list[Int[np.ndarray, "outputs taps"]]:
    """Return `sources` of every dimension."""
    return [sources(geometry, dim, n) for dim, n in enumerate(input_size)]


def folded(
    geometry: ConvGeometry, n: int, position: Int[np.ndarray, "*positions"]
) -> Int[np.ndarray, "*positions"]:
    """Return which of `n` input pixels stands at each position; -1 where there is only padding.

    Positions count from the input's first pixel, so those below 0 or from `n` on are padding, which
    the padding mode folds back.

    >>> folded(ConvGeometry(1, 1, (3,), padding_mode="reflect"), 4, np.arange(-2, 6)).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    inside = (position >= 0) & (position < n)
    match geometry.padding_mode:
        case "reflect":
            outside = np.where(position < 0, -position, 2 * (n - 1) - position)
        case "replicate":
            outside = np.clip(position, 0, n - 1)
        case "circular":
            outside = position % n
        case _:
            outside = np.full_like(position, -1)
    return np.where(inside, position, outside)


def connected(
    geometry: ConvGeometry, input_size: Sequence[int]
) -> Iterator[tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]]:
    """Yield, for each tap in C order, the outputs that read an input through it, and those inputs.

    Positions are flattened in C order. Within one tap every output appears at most once; two taps
    of one output may read the same input only through reflect, replicate or circular padding.

    >>> [(o.tolist(), i.tolist()) for o, i in connected(ConvGeometry(1, 1, kernel=(2,)), (3,))]
    [([0, 1], [0, 1]), ([0, 1], [1, 2])]
    """
    output_size = geometry.output_size(input_size)
    dims = tables(geometry, input_size)
    for tap in itertools.product(*map(range, geometry.kernel)):
        columns = [table[:, t] for table, t in zip(dims, tap, strict=True)]
        reading = [np.flatnonzero(column >= 0) for column in columns]
        read = [column[column >= 0] for column in columns]
        yield (
            np.ravel_multi_index(np.ix_(*reading), output_size).ravel(),
            np.ravel_multi_index(np.ix_(*read), tuple(input_size)).ravel(),
        )
