"""The modules that `to_conv2d` returns for convolutions in one and three dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Shaped
from torch import Tensor, fx

from convlin.exchange.as_conv2d import AsConv2d
from convlin.geometry import short
from convlin.layers import sliding
from convlin.layers.forms.stands_for import StandsFor
from convlin.layers.parameters import alias, conv_with, same_bias
from convlin.layers.scripting import TracedOnly
from convlin.layers.stock_layer import CONVOLUTIONS, Conv, require_stock_layer

__all__ = ["FramesConv2d", "LineConv2d"]


class Conv2dForm(TracedOnly, StandsFor):
    """A convolution written as `conv`, one in two dimensions: drop-in, with its way back.

    `strides` are the layer's weight's steps in memory and `spelling` its padding in its own words:
    what the way back needs to give the same layer bit for bit.
    """

    side = "weight"
    held: ClassVar[Mapping[str, str]] = {"weight": "conv.weight", "bias": "conv.bias"}

    exchange: AsConv2d  # type: ignore[assignment]  # of two convolutions, but with the same maps

    def __init__(
        self, conv: Conv, exchange: AsConv2d, strides: tuple[int, ...], spelling: Any
    ) -> None:
        super().__init__()
        self.conv = conv
        self.exchange = exchange
        self.geometry = exchange.geometry
        self.strides = strides
        self.spelling = spelling

    def extra_repr(self) -> str:
        """Return what no child shows: the exchange, and the convolution that it was made for."""
        return f"{self.exchange}, for {self.geometry.kind} {short(self.geometry)}"

    def to_original(self) -> Conv:
        """Return the convolution that this was made from again, sharing the current weights."""
        require_stock_layer(self, type(self))
        require_stock_layer(self.conv, CONVOLUTIONS[2, self.geometry.transposed])
        weight = alias(self.conv.weight, self.exchange.weight)
        bias = same_bias(self.conv.bias)
        conv = conv_with(self.geometry, self.spelling, weight, bias, self.strides)
        return conv.train(self.training)


class LineConv2d(Conv2dForm):
    """A convolution in one dimension, on images one pixel high: (N, C, 1, L)."""

    def forward(self, x: Shaped[Tensor, "*n c l"]) -> Shaped[Tensor, "*n o out"]:
        """Take what the convolution took, and return what it returned.

        Raises `GeometryError` for another number of channels or dimensions, or too short a line.
        """
        g = self.geometry
        line = sliding.require_map(x, g.in_channels, g.smallest_input).unsqueeze(-2)
        return sliding.in_format_of(x, self.conv(line).squeeze(-2), 1)


class FramesConv2d(Conv2dForm):
    """A convolution in three dimensions, on windows of frames as images of more channels."""

    def forward(self, x: Shaped[Tensor, "*n c t h w"]) -> Shaped[Tensor, "*n o t2 h2 w2"]:
        """Take what the convolution took, and return what it returned.

        Raises `GeometryError` for another number of channels or dimensions, or too small a video.
        """
        g = self.geometry
        video = sliding.require_map(x, g.in_channels, g.smallest_input)
        images = _as_images(video, g.kernel[0], g.stride[0])
        return sliding.in_format_of(x, _as_video(self.conv(images), x, g.kernel[0], g.stride[0]), 3)


@fx.wrap
def _as_images(
    x: Shaped[Tensor, "*n c t h w"], kernel: int, stride: int
) -> Shaped[Tensor, "windows c2 h w"]:
    """Return each window of frames as one image, its channels (c, frame)."""
    windows = x.unfold(-3, kernel, stride).movedim(-1, -3).movedim(-4, -5)
    # Axes are now (…, windows, c, frames, h, w).
    return sliding.contiguous(windows).flatten(-4, -3).flatten(0, -4)


@fx.wrap
def _as_video(
    y: Shaped[Tensor, "windows o h w"], x: Shaped[Tensor, "*n c t h0 w0"], kernel: int, stride: int
) -> Shaped[Tensor, "*n o t2 h w"]:
    """Return the outputs of all windows as frames again."""
    frames = (x.shape[-3] - kernel) // stride + 1
    return y.reshape(*x.shape[:-4], frames, *y.shape[1:]).movedim(-4, -3)
