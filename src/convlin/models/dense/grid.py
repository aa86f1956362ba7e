"""What the rewritten graph does to the dense grid: each one function, and so one node.

Cells are taken with `index_select`, since a slice whose end is a size makes torch.export fix
that size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, compiler, fx, nn
from torch.nn import functional

__all__ = [
    "CONV_FUNCTIONS",
    "POOLS",
    "cells_of_windows",
    "channels_first",
    "channels_last",
    "dilated_mean",
    "reduced_channels",
    "select_channels",
    "shaped",
    "shorten",
    "softmax_of_groups",
    "spread",
    "take_cells",
    "window_cells",
]

CONV_FUNCTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
POOLS: dict[tuple[str, int], type[nn.Module]] = {
    ("avg", 1): nn.AvgPool1d, ("avg", 2): nn.AvgPool2d, ("avg", 3): nn.AvgPool3d,
    ("max", 1): nn.MaxPool1d, ("max", 2): nn.MaxPool2d, ("max", 3): nn.MaxPool3d,
}  # fmt: skip


@fx.wrap
def take_cells(
    x: Shaped[Tensor, "n c *size"], ranges: Sequence[tuple[int, int, int]]
) -> Shaped[Tensor, "n c *taken"]:
    """Return every `step`-th cell from `start`, leaving off `tail` at the end, per dimension."""
    for dim, (start, tail, step) in enumerate(ranges, 2):
        if (start, tail, step) != (0, 0, 1):
            cells = torch.arange(start, x.shape[dim] - tail, step, device=x.device)
            x = x.index_select(dim, cells)
    return x


@fx.wrap
def shorten(x: Shaped[Tensor, "n c *size"], dim: int, like: Tensor) -> Shaped[Tensor, "n c *cut"]:
    """Return the first cells of `x` along `dim`, as many as `like` has."""
    return x.index_select(dim, torch.arange(like.shape[dim], device=x.device))


@fx.wrap
def window_cells(
    x: Shaped[Tensor, "n c *size"],
    images: Shaped[Tensor, "n k *pixels"],
    window: Sequence[int],
    stride: Sequence[int],
) -> Shaped[Tensor, "n c *cells"]:
    """Return the cells that are windows of the images, ⌊(H - P)/S⌋ + 1 of them per dimension."""
    for dim, (size, step) in enumerate(zip(window, stride, strict=True), 2):
        # Window w starts at pixel w·step, so the last one has w·step + size ≤ pixels.
        cells = (images.shape[dim] - size) // step + 1
        x = x.index_select(dim, torch.arange(cells, device=x.device))
    return x


@fx.wrap
def spread(
    numbers: Shaped[Tensor, "*some"], like: Shaped[Tensor, "n k *size"], channels: int
) -> Shaped[Tensor, "n c *size"]:
    """Return one number, or one per channel, in every cell."""
    cells = torch.ones_like(like.narrow(1, 0, 1), dtype=torch.bool)
    return torch.where(cells, numbers, numbers).expand(-1, channels, *([-1] * (like.ndim - 2)))


@fx.wrap
def cells_of_windows(
    x: Shaped[Tensor, "n c *size"],
    images: Shaped[Tensor, "n k *pixels"],
    window: Sequence[int],
    stride: Sequence[int],
    size: Sequence[int],
    step: Sequence[int],
    every: Sequence[int],
) -> Shaped[Tensor, "n c *both"]:
    """Return the cells of every window, as a view: (N, C, *size, *cells).

    Cell i of window w is w·every + i·step of the grid.
    """
    for dim, (n, apart, s) in enumerate(zip(size, step, every, strict=True), 2):
        x = x.unfold(dim, (n - 1) * apart + 1, s)[..., ::apart]
    x = window_cells(x, images, window, stride)
    ndim = len(size)
    return x.permute(0, 1, *range(2 + ndim, 2 + 2 * ndim), *range(2, 2 + ndim))


@fx.wrap
def shaped(
    x: Shaped[Tensor, "n c *size_cells"], shape: Sequence[int], ndim: int, order: Tensor | None
) -> Shaped[Tensor, n * shape_cells]:
    """Return the elements of every window in this order and shape, its cells behind them."""
    x = x.flatten(1, x.ndim - ndim - 1)
    if order is not None:
        x = x.index_select(1, order)
    made: Tensor = x.unflatten(1, tuple(shape))  # type: ignore[no-untyped-call]
    return made


@fx.wrap
def select_channels(
    x: Shaped[Tensor, "n c *size"], channels: Sequence[int]
) -> Shaped[Tensor, "n k *size"]:
    """Return these channels, in this order."""
    first, count = channels[0], len(channels)
    if list(channels) == list(range(first, first + count)):
        return x.narrow(1, first, count)
    return x.index_select(1, torch.tensor(channels, device=x.device))


@fx.wrap
def reduced_channels(
    x: Shaped[Tensor, "n c *size"], groups: Sequence[Sequence[int]], kind: str
) -> Shaped[Tensor, "n k *size"]:
    """Return the mean ("avg") or maximum of these groups of channels, in every cell."""
    parts = _grouped(x, torch.tensor(groups, device=x.device))
    return parts.amax(2) if kind == "max" else parts.mean(2)


@fx.wrap
def softmax_of_groups(
    x: Shaped[Tensor, "n c *size"], groups: Sequence[Sequence[int]], kind: str
) -> Shaped[Tensor, "n c *size"]:
    """Return the softmax (or log_softmax) over each of these groups of channels, in every cell."""
    index = torch.tensor(groups, device=x.device)
    parts = _grouped(x, index)
    made = torch.softmax(parts, 2) if kind == "softmax" else torch.log_softmax(parts, 2)
    return made.flatten(1, 2).index_select(1, index.flatten().argsort())


def _grouped(
    x: Shaped[Tensor, "n c *size"], index: Shaped[Tensor, "k g"]
) -> Shaped[Tensor, "n k g *size"]:
    """Return the channels of every group along an axis of their own."""
    groups: Tensor = x.index_select(1, index.flatten())
    return groups.unflatten(1, tuple(index.shape))  # type: ignore[no-untyped-call, no-any-return]


@fx.wrap
def channels_last(x: Shaped[Tensor, "n c *size"]) -> Shaped[Tensor, "n *size c"]:
    """Return the channels of every cell as the last axis."""
    return x.movedim(1, -1)


@fx.wrap
def channels_first(x: Shaped[Tensor, "n *size c"]) -> Shaped[Tensor, "n c *size"]:
    """Return the last axis as channels again.

    A convolution of a permuted map would make torch.export exclude maps of one cell.
    """
    x = x.movedim(-1, 1)
    return x.clone(memory_format=torch.contiguous_format) if compiler.is_compiling() else x


@fx.wrap
def dilated_mean(
    x: Float[Tensor, "n c *size"],
    kernel: Sequence[int],
    dilation: Sequence[int],
    stride: Sequence[int] | int = 1,
) -> Float[Tensor, "n c *out"]:
    """Return the mean of `kernel` cells that lie `dilation` apart, at every `stride`-th cell.

    PyTorch's average pools have no dilation, its depthwise convolutions do.
    """
    # One output channel and one tap matrix a channel (groups = C), each tap 1/(number of taps).
    taps = x.new_full((x.shape[1], 1, *kernel), 1 / math.prod(kernel))
    mean = CONV_FUNCTIONS[len(kernel)]
    return mean(x, taps, stride=stride, dilation=tuple(dilation), groups=x.shape[1])
