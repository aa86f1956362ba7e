"""How every form that scatters runs: each pixel a patch of outputs, and these side by side.

It is the way of `sliding.py` backwards. The steps are functions, so that torch.fx records each as
one node.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, fx

from convlin.layers import sliding

__all__ = ["Patches", "as_patches", "side_by_side", "with_bias"]


class Patches(NamedTuple):
    """How patches lie in an image: sizes per dimension, and what to pad around them; < 0 cuts."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    sides: tuple[tuple[int, int], ...]


@fx.wrap
def as_patches(
    x: Shaped[Tensor, "*n c *size"],
    weight: Shaped[Tensor, "c columns *kernel"],
    bias: Shaped[Tensor, " o"] | None,
    patches: Patches,
    groups: int,
) -> Shaped[Tensor, "*n o *out"]:
    """Return a transposed convolution's outputs, each pixel through its kernel as a matrix."""
    kernel, stride, dilation, sides = patches
    ndim = len(kernel)
    rows = weight.reshape(groups, weight.shape[0] // groups, -1).transpose(-1, -2)
    pixels = torch.unflatten(x, -1 - ndim, (groups, -1)).flatten(-ndim)
    y = torch.matmul(rows, pixels).flatten(-3, -2)
    channels = (weight.shape[1], *kernel)
    y = side_by_side(y, x, channels, tuple(range(ndim + 1)), stride, dilation)
    y = with_bias(sliding.pad(y, sides, "zeros"), bias, ndim)
    return sliding.laid_out(y, x, weight)


@fx.wrap
def side_by_side(
    y: Shaped[Tensor, "*n rows positions"],
    x: Shaped[Tensor, "*n c *size"],
    channels: tuple[int, ...],
    order: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Shaped[Tensor, "*n o *patches"]:
    """Return each pixel's outputs as a patch as large as the stride, at the place of the pixel.

    The rows are those of group after group, each over `channels` = (o/groups, *kernel) in `order`.
    """
    ndim, kernel = len(stride), channels[1:]
    y = torch.unflatten(sliding.contiguous(y), -1, x.shape[-ndim:])
    y = torch.unflatten(y, -ndim - 1, (-1, *(channels[axis] for axis in order)))
    # Axes are now (…, groups, *channels in `order`, *size), counted from the end.
    channel = [order.index(axis) - 2 * ndim - 1 for axis in range(ndim + 1)]
    pixels_and_taps = [axis for dim in range(ndim) for axis in (dim - ndim, channel[1 + dim])]
    front = range(y.ndim - 2 * ndim - 2)
    y = y.permute(*front, -2 * ndim - 2, channel[0], *pixels_and_taps)
    y = sliding.contiguous(y).flatten(-2 * ndim - 2, -2 * ndim - 1)
    if kernel != stride:  # what no tap writes is 0
        patches = y.new_zeros(
            *y.shape[: -2 * ndim],
            *(n for pair in zip(y.shape[-2 * ndim :: 2], stride, strict=True) for n in pair),
        )
        taps = [slice(0, d * k, d) for k, d in zip(kernel, dilation, strict=True)]
        patches[(..., *(at for tap in taps for at in (slice(None), tap)))] = y
        y = patches
    for pair in range(ndim, 0, -1):
        y = y.flatten(-2 * pair, 1 - 2 * pair)
    return y


@fx.wrap
def with_bias(y: Tensor, bias: Tensor | None, ndim: int) -> Tensor:
    """Return the outputs with each channel's bias; autocast would widen a narrow sum again."""
    return y if bias is None else y + bias.to(y.dtype).view(-1, *(1,) * ndim)
