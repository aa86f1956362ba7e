"""Transposed convolutions whose outputs do not overlap, written as fully connected layers.

Every pixel becomes a patch of outputs, and the patches lie side by side. It is the way of
`sliding.py` backwards: a Linear first, then its outputs are laid out as an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from convlin.exchange.unpatchify import Unpatchify
from convlin.layers import scattering, sliding
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
        y = scattering.side_by_side(self._layers(pixels), x, channels, order, g.stride, g.dilation)
        y = scattering.with_bias(sliding.pad(y, self.exchange.sides, "zeros"), self.bias, g.ndim)
        return sliding.in_format_of(x, y, g.ndim)


class ScatteringLinear(ScatteringForm):
    """One `linear` on every pixel; its weight is the convolution's, seen as a matrix."""

    held: ClassVar[Mapping[str, str]] = {"weight": "linear.weight", "bias": "bias"}

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
    """One fully connected layer a group: `matrices` (G, rows, in/G), the convolution's own."""

    held: ClassVar[Mapping[str, str]] = {"weight": "matrices", "bias": "bias"}

    def __init__(self, weight: nn.Parameter, *form: Any) -> None:
        super().__init__(*form)
        self.matrices = weight

    def _layers(self, windows: Tensor) -> Tensor:
        columns = sliding.as_columns(windows, self.geometry.ndim)
        return torch.matmul(self.matrices, columns).flatten(-3, -2)

    def to_conv(self) -> Conv:
        """Return the convolution again, sharing the current weights."""
        require_stock_layer(self, type(self))
        return self._conv(self.matrices, self.bias)
