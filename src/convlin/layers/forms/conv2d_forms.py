"""The modules that `to_conv2d` and `to_conv1d` return for convolutions."""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor, fx

from convlin.exchange.as_conv2d import Lines
from convlin.layers import frames, sliding
from convlin.layers.forms.reshaped_conv import ReshapedConv

__all__ = ["FramesConv2d", "LineConv2d", "LinesConv1d"]


class LineConv2d(ReshapedConv):
    """A convolution in one dimension, on images one pixel high: (N, C, 1, L)."""

    def forward(self, x: Shaped[Tensor, "*n c l"]) -> Shaped[Tensor, "*n o out"]:
        """Take what the convolution took, and return what it returned.

        Raises `GeometryError` for another number of channels or dimensions, or too short a line.
        """
        g = self.geometry
        line = sliding.require_map(x, g.in_channels, g.smallest_input).unsqueeze(-2)
        return sliding.in_format_of(x, self.conv(line).squeeze(-2), 1)


class FramesConv2d(ReshapedConv):
    """A convolution in three dimensions, on windows of frames as images of more channels."""

    def forward(self, x: Shaped[Tensor, "*n c t h w"]) -> Shaped[Tensor, "*n o t2 h2 w2"]:
        """Take what the convolution took, and return what it returned.

        Raises `GeometryError` for another number of channels or dimensions, or too small a video.
        """
        g = self.geometry
        video = sliding.require_map(x, g.in_channels, g.smallest_input)
        windows = g.kernel[0], g.stride[0]
        y = frames.as_video(self.conv(frames.as_images(video, *windows)), x, *windows)
        return sliding.in_format_of(x, y, 3)


class LinesConv1d(ReshapedConv):
    """A convolution in two dimensions, of kernel 1 along one of them, on every line by itself."""

    exchange: Lines

    def forward(self, x: Shaped[Tensor, "*n c h w"]) -> Shaped[Tensor, "*n o h2 w2"]:
        """Take what the convolution took, and return what it returned.

        Raises `GeometryError` for another number of channels or dimensions, or too small an image.
        """
        g, across = self.geometry, self.exchange.across
        image = sliding.require_map(x, g.in_channels, g.smallest_input)
        lines = _as_lines(image, across, g.stride[across])
        y = _as_image(self.conv(lines), x, across, g.stride[across])
        return sliding.in_format_of(x, y, 2)


@fx.wrap
def _as_lines(
    x: Shaped[Tensor, "*n c h w"], across: int, stride: int
) -> Shaped[Tensor, "lines c l"]:
    """Return every stride-th line of each image by itself."""
    lines = x.movedim(across - 2, -3)  # (…, lines, c, l)
    return sliding.contiguous(lines[..., ::stride, :, :]).flatten(0, -3)


@fx.wrap
def _as_image(
    y: Shaped[Tensor, "lines o l"], x: Shaped[Tensor, "*n c h w"], across: int, stride: int
) -> Shaped[Tensor, "*n o h2 w2"]:
    """Return the outputs of all lines as images again."""
    lines = (x.shape[across - 2] - 1) // stride + 1
    return y.reshape(*x.shape[:-3], lines, *y.shape[1:]).movedim(-3, across - 2)
