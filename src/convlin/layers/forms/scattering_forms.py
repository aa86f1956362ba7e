"""Transposed convolutions whose outputs do not overlap, written as fully connected layers.

Every pixel becomes a patch of outputs, and the patches lie side by side. It is the way of
`sliding.py` backwards: a Linear first, then its outputs are laid out as an image.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, fx, nn

from convlin.exchange.unpatchify import Unpatchify
from convlin.layers import sliding
from convlin.layers.forms.linear_forms import SlidingForm
from convlin.layers.parameters import layer_with
from convlin.layers.stock_layer import Conv, require_stock_layer

__all__ = ["BatchedScattering", "ScatteringLinear"]


class ScatteringForm(SlidingForm):
    """Pixels, each sent through fully connected layers, one a group; `bias` is added last.

    That bias is the convolution's own parameter, one number a channel: within the Linear it would
    be a copy for each output of a patch, and missing from the gaps that a large stride leaves.
    """

    exchange: Unpatchify
    bias: nn.Parameter | None

    def __init__(self, bias: nn.Parameter | None, *form: Any) -> None:
        super().__init__(*form)
        self.register_parameter("bias", bias)

    def forward(self, x: Shaped[Tensor, "*n c *size"]) -> Shaped[Tensor, "*n o *out"]:
        """Take what the convolution took, and return what it returned.

        Raises `GeometryError` for another number of channels or dimensions, or too small an image.
        """
        g, order = self.geometry, self.exchange.axes
        image = sliding.require_map(x, g.in_channels, g.smallest_input)
        one, channels = (1,) * g.ndim, (g.out_channels // g.groups, *g.kernel)
        pixels = sliding.cut_windows(image, one, one, one, g.groups, tuple(range(g.ndim + 1)))
        y = _side_by_side(self._layers(pixels), x, channels, order, g.stride, g.dilation)
        y = _with_bias(sliding.pad(y, self.exchange.sides, "zeros"), self.bias, g.ndim)
        return sliding.in_format_of(x, y, g.ndim)


class ScatteringLinear(ScatteringForm):
    """One `linear` on every pixel; its weight is the convolution's, seen as a matrix."""

    def __init__(self, weight: nn.Parameter, *form: Any) -> None:
        super().__init__(*form)
        self.linear = layer_with(
            nn.Linear, weight.shape[1], weight.shape[0], weight=weight, bias=None
        )

    def _layers(self, windows: Tensor) -> Tensor:
        y: Tensor = self.linear(sliding.as_rows(windows, ndim := self.geometry.ndim))
        return y.flatten(-1 - ndim, -2).transpose(-1, -2)

    def to_conv(self) -> Conv:
        """Return the convolution again, sharing the Linear's current weights."""
        require_stock_layer(self, type(self))
        require_stock_layer(self.linear, nn.Linear)
        return self._conv(self.linear.weight, self.bias)


class BatchedScattering(ScatteringForm):
    """One fully connected layer a group: `weight` (G, rows, in/G), the convolution's own."""

    weight: nn.Parameter

    def __init__(self, weight: nn.Parameter, *form: Any) -> None:
        super().__init__(*form)
        self.weight = weight

    def _layers(self, windows: Tensor) -> Tensor:
        columns = sliding.as_columns(windows, self.geometry.ndim)
        return torch.matmul(self.weight, columns).flatten(-3, -2)

    def to_conv(self) -> Conv:
        """Return the convolution again, sharing the current weights."""
        require_stock_layer(self, type(self))
        return self._conv(self.weight, self.bias)


@fx.wrap
def _side_by_side(
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
def _with_bias(y: Tensor, bias: Tensor | None, ndim: int) -> Tensor:
    """Return the outputs with each channel's bias; autocast would widen a narrow sum again."""
    return y if bias is None else y + bias.to(y.dtype).view(-1, *(1,) * ndim)
