"""The modules that `to_linear` returns: convolutions written as fully connected layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from convlin.errors import Refused
from convlin.exchange import Exchange
from convlin.exchange.kernel_matrix import KernelMatrix
from convlin.geometry import short
from convlin.layers import sliding
from convlin.layers.forms.stands_for import StandsFor
from convlin.layers.parameters import alias, conv_with, layer_with, same_bias
from convlin.layers.scripting import TracedOnly
from convlin.layers.stock_layer import Conv, require_stock_layer

__all__ = ["BatchedLinear", "LinearForm", "SlidingForm", "SlidingLinear"]


class LinearForm(TracedOnly, StandsFor):
    """A convolution written as a fully connected layer: drop-in, with its geometry and way back.

    `exchange` is what it was made by, and knows the weights' way back.
    """

    side = "kernel"

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self.exchange = exchange
        self.geometry = exchange.geometry

    def extra_repr(self) -> str:
        """Return what no child shows: the exchange, and the convolution that it was made for."""
        return f"{self.exchange}, for {self.geometry.kind} {short(self.geometry)}"

    def to_conv(self) -> nn.Module:
        """Return the convolution again. Raises `Refused` where this is one no more."""
        raise NotImplementedError

    def to_original(self) -> nn.Module:
        """Return the layer again that this was made from, as `to_conv` does."""
        return self.to_conv()


class SlidingForm(LinearForm):
    """Windows of the padded image, each sent through fully connected layers, one a group.

    `strides` are the convolution's weight's steps in memory and `spelling` its padding in its own
    words ("same"): what the way back needs to give the same layer bit for bit.
    """

    exchange: KernelMatrix

    def __init__(self, exchange: KernelMatrix, strides: tuple[int, ...], spelling: Any) -> None:
        super().__init__(exchange)
        self.strides = strides
        self.spelling = spelling

    def forward(self, x: Shaped[Tensor, "*n c *size"]) -> Shaped[Tensor, "*n o *out"]:
        """Take what the convolution took, and return what it returned.

        Raises `GeometryError` for another number of channels or dimensions, or too small an image.
        """
        g = self.geometry
        image = sliding.require_map(x, g.in_channels, g.smallest_input)
        image = sliding.pad(image, g.padding, g.padding_mode)
        columns = self.exchange.axes
        windows = sliding.cut_windows(image, g.kernel, g.stride, g.dilation, g.groups, columns)
        return sliding.as_image(self._layers(windows), x, windows, g.ndim)

    def _layers(
        self, windows: Shaped[Tensor, "*n groups *columns_out"]
    ) -> Shaped[Tensor, "*n o positions"]:
        raise NotImplementedError

    def _conv(self, weight: Tensor, bias: Tensor | None) -> Conv:
        """Return the convolution of this geometry whose kernel this weight is."""
        if unfit := self.exchange.unfit(weight.detach()):
            raise Refused(unfit)
        kernel = alias(weight, self.exchange.kernel)
        conv = conv_with(self.geometry, self.spelling, kernel, same_bias(bias), self.strides)
        return conv.train(self.training)


class SlidingLinear(SlidingForm):
    """One `linear` on every window; its weight is the convolution's, seen as a matrix.

    Groups are blocks of that matrix, zeros elsewhere. Such a weight is a copy, and so is the kernel
    on the way back, which is refused where a weight off the blocks is not 0.
    """

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, *form: Any) -> None:
        super().__init__(*form)
        self.linear = layer_with(
            nn.Linear, weight.shape[1], weight.shape[0], weight=weight, bias=bias
        )

    def _layers(self, windows: Tensor) -> Tensor:
        ndim = self.geometry.ndim
        y: Tensor = self.linear(sliding.as_rows(windows, ndim))
        return y.flatten(-1 - ndim, -2).transpose(-1, -2)

    def to_conv(self) -> Conv:
        """Return the convolution again, sharing the Linear's current weights."""
        require_stock_layer(self, type(self))
        require_stock_layer(self.linear, nn.Linear)
        return self._conv(self.linear.weight, self.linear.bias)


class BatchedLinear(SlidingForm):
    """One fully connected layer a group: `matrices` (G, out/G, columns), the convolution's own."""

    held: ClassVar[Mapping[str, str]] = {"weight": "matrices", "bias": "bias"}

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, *form: Any) -> None:
        super().__init__(*form)
        self.matrices = weight
        self.register_parameter("bias", bias)

    def _layers(self, windows: Tensor) -> Tensor:
        columns = sliding.as_columns(windows, self.geometry.ndim)
        y = torch.matmul(self.matrices, columns).flatten(-3, -2)
        # Autocast narrows the product and not the bias, and would widen the sum again.
        return y if self.bias is None else y + self.bias[:, None].to(y.dtype)

    def translate(self, state_dict: dict[str, Any], prefix: str, errors: list[str]) -> None:
        """Take as matrices also those that were saved when they were called the weight."""
        former = state_dict.get(f"{prefix}weight")
        if getattr(former, "shape", None) == self.matrices.shape != self.layer_shapes["weight"]:
            state_dict[f"{prefix}matrices"] = state_dict.pop(f"{prefix}weight")
        super().translate(state_dict, prefix, errors)

    def to_conv(self) -> Conv:
        """Return the convolution again, sharing the current weights."""
        require_stock_layer(self, type(self))
        return self._conv(self.matrices, self.bias)
