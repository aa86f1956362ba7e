"""Lesson 6, second part: shuffle the pixels, the same way in all channels, and undo it or not.

With a permutation P of the pixels, a layer A on the shuffled map::

    (A·Pᵀ)·(P·x) = A·x            an FC layer whose columns are shuffled alike: the same output
    A·(P·x) = P·(A·x)             iff A·P = P·A: the output is shuffled alike

A 1×1 convolution is one small matrix on every pixel: it commutes with every P. A 3×3 convolution
does not; and neither A·Pᵀ nor P·A·Pᵀ, which would make good for it, is a 3×3 convolution: they have
weights where no tap of one reaches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import nn

from convlin.layers import unroll
from convlin.teach.article_examples import MAP, MIXING
from convlin.teach.numbers.given_layers import conv_holding, linear_holding
from convlin.teach.numbers.shifts import Agreement

__all__ = ["LOCAL_KERNEL", "ORDER", "Shuffled", "Shuffles", "shuffles"]

# Which pixel, from 0, comes to each place. None stays, and no two that were side by side are so.
ORDER = 4, 0, 7, 6, 8, 1, 2, 3, 5
# From three channels to two, like MIXING; asymmetric, and no tap weighs 0.
LOCAL_KERNEL = np.array(
    [
        [
            [[1, -2, 3], [2, 1, -1], [-3, 2, 4]],
            [[-1, 3, 2], [1, -4, 2], [3, 1, -2]],
            [[2, -1, 1], [-2, 3, -3], [4, -1, 2]],
        ],
        [
            [[-1, 2, 1], [3, -2, 4], [1, -3, 2]],
            [[4, 1, -1], [2, -2, 3], [-4, 2, 1]],
            [[1, 3, -2], [-1, 2, 1], [2, 4, -3]],
        ],
    ]
)


@dataclass(frozen=True, eq=False)
class Shuffled:
    """One layer, its outputs (2, 3, 3) on the map, and on the shuffled map.

    same: how many are equal to the map's own, each where it was; alike: each where its pixel went.
    """

    outputs: Float[np.ndarray, "2 3 3"]
    after: Float[np.ndarray, "2 3 3"]
    same: Agreement
    alike: Agreement


@dataclass(frozen=True)
class Reach:
    """Of a convolution's matrix with its columns shuffled, and its rows too: is it still one?

    weights: the nonzero ones. off_columns, off_both: how many of them stand where no tap of such a
    convolution reaches, whatever its kernel: above 0, it is none.
    """

    weights: int
    off_columns: int
    off_both: int


@dataclass(frozen=True, eq=False)
class Shuffles:
    """Three layers, and the map with its pixels shuffled: `order` says which came to each place.

    flattened: an FC layer on the flattened map, its weights unchanged; reordered: with its columns
    shuffled like the pixels. pointwise and local: convolutions, 1×1 and 3×3, weights unchanged, and
    how far a shuffled matrix of each is from being one.
    """

    order: tuple[int, ...]
    map: Num[np.ndarray, "3 3 3"]
    shuffled: Num[np.ndarray, "3 3 3"]
    flattened: Shuffled
    reordered: Shuffled
    pointwise: Shuffled
    local: Shuffled
    pointwise_reach: Reach
    local_reach: Reach


def shuffles() -> Shuffles:
    """Compute the second part.

    >>> found = shuffles()
    >>> print(found.flattened.same, found.reordered.same, found.pointwise.alike, found.local.alike)
    0 of 18 18 of 18 18 of 18 0 of 18
    """
    pointwise = conv_holding(MIXING[:, :, None, None])
    local = conv_holding(LOCAL_KERNEL)
    local.padding = (1, 1)
    linear = linear_holding(_distinct(18, 27))
    flattened = nn.Sequential(nn.Flatten(0), linear, nn.Unflatten(0, (2, 3, 3)))
    columns = _columns(MAP.shape[0])
    reordered = nn.Sequential(
        nn.Flatten(0), linear_holding(_distinct(18, 27)[:, columns]), nn.Unflatten(0, (2, 3, 3))
    )
    return Shuffles(
        ORDER,
        MAP,
        _shuffle(MAP),
        _shuffled(flattened),
        _shuffled(flattened, reordered),
        _shuffled(pointwise),
        _shuffled(local),
        _reach(pointwise),
        _reach(local),
    )


def _distinct(rows: int, columns: int) -> Num[np.ndarray, "rows columns"]:
    """Return whole numbers, no two rows and no two columns alike: products modulo a prime."""
    weights: np.ndarray = np.outer(np.arange(rows) + 2, np.arange(columns) + 1) % 29 - 14
    return weights


def _shuffle(values: Num[np.ndarray, "c 3 3"]) -> Num[np.ndarray, "c 3 3"]:
    return values.reshape(len(values), -1)[:, ORDER].reshape(values.shape)


def _columns(channels: int) -> list[int]:
    """Return where every element of the flattened, shuffled map came from."""
    return [channel * len(ORDER) + pixel for channel in range(channels) for pixel in ORDER]


def _shuffled(layer: nn.Module, behind: nn.Module | None = None) -> Shuffled:
    """Run a layer on the map, and it, or the layer that it became, on the shuffled map."""
    with torch.no_grad():
        outputs = layer(torch.tensor(MAP, dtype=torch.float64)).numpy()
        after = (behind or layer)(torch.tensor(_shuffle(MAP), dtype=torch.float64)).numpy()
    return Shuffled(
        outputs,
        after,
        Agreement.between(outputs, after),
        Agreement.between(_shuffle(outputs), after),
    )


def _reach(conv: nn.Conv2d) -> Reach:
    matrix = unroll(conv, MAP.shape[1:])
    reached = matrix.with_kernel(np.ones(matrix.geometry.weight_shape)).toarray() != 0
    columns = matrix.toarray()[:, _columns(conv.in_channels)]
    both = columns[_columns(conv.out_channels)]
    off = (int(np.count_nonzero(weights[~reached])) for weights in (columns, both))
    return Reach(int(np.count_nonzero(columns)), *off)
