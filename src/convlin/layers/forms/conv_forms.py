"""The modules that `to_conv` returns: fully connected layers written as convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Shaped
from torch import Tensor, fx, nn

from convlin.errors import GeometryError, Refusal
from convlin.exchange.covering_kernel import CoveringKernel
from convlin.exchange.in_out import InOutKernel
from convlin.exchange.kernel_matrix import KernelMatrix
from convlin.layers import lines
from convlin.layers.forms.stands_for import StandsFor
from convlin.layers.gpt2_layer import gpt2_layer
from convlin.layers.parameters import alias, layer_with, same_bias
from convlin.layers.scripting import TracedOnly
from convlin.layers.stock_layer import CONVOLUTIONS, Conv, require_stock_layer

__all__ = ["CoveringConv", "PointwiseConv", "RowsConv2d"]


class ConvForm(TracedOnly, StandsFor):
    """A fully connected layer written as the convolution `conv`: drop-in, with its way back.

    `exchange` is what it was made by, and knows the weights' way back.
    """

    side = "weight"
    held: ClassVar[Mapping[str, str]] = {"weight": "conv.weight", "bias": "conv.bias"}

    exchange: KernelMatrix

    def __init__(self, conv: Conv, exchange: KernelMatrix) -> None:
        super().__init__()
        self.conv = conv
        self.exchange = exchange

    def extra_repr(self) -> str:
        """Return what no child shows: the exchange."""
        return str(self.exchange)

    def to_linear(self) -> nn.Linear:
        """Return the Linear again, its columns in the order of the vector.

        It shares the convolution's current weights where a view of them has that order (it has,
        unless the order is not one of axes or the memory format was changed); else it copies.
        """
        weight, bias = self._parameters_of_rows()
        if isinstance(self.exchange, InOutKernel):
            weight = alias(weight, torch.t)
        linear = layer_with(nn.Linear, weight.shape[1], weight.shape[0], weight=weight, bias=bias)
        return linear.train(self.training)

    def to_original(self) -> nn.Module:
        """Return the layer that this was made from again: an nn.Linear, or GPT-2's `Conv1D`."""
        if not isinstance(self.exchange, InOutKernel):
            return self.to_linear()
        weight, bias = self._parameters_of_rows()
        return gpt2_layer(weight, bias).train(self.training)

    def _parameters_of_rows(self) -> tuple[nn.Parameter, nn.Parameter | None]:
        """Return the weight and bias of the layer that this was made from."""
        require_stock_layer(self, type(self))
        require_stock_layer(self.conv, CONVOLUTIONS[len(self.conv.kernel_size), False])
        return alias(self.conv.weight, self.exchange.weight), same_bias(self.conv.bias)


class PointwiseConv(ConvForm):
    """A Linear as the 1×1 convolution `conv`: (..., in) → (..., out), any rank, also no rows.

    >>> import torch
    >>> from convlin import to_conv
    >>> form = to_conv(torch.nn.Linear(3, 5))
    >>> form.conv
    Conv2d(3, 5, kernel_size=(1, 1), stride=(1, 1))
    >>> form(torch.zeros(7, 2, 3)).shape
    torch.Size([7, 2, 5])
    """

    def forward(self, x: Shaped[Tensor, "*rows features"]) -> Shaped[Tensor, "*rows outputs"]:
        """Apply the convolution to every row."""
        ndim, channels = len(self.conv.kernel_size), self.conv.in_channels
        return lines.as_rows(self.conv(lines.as_line(x, channels, ndim)), x)


class RowsConv2d(PointwiseConv):
    """A Linear as the 1×1 convolution `conv` on (B, C, 1, S): what `to_conv2d` makes of it.

    Rows (B, S, C) give S; rows (S, C) are one batch, and the middle axes of (B, …, C) are one S.
    """

    def forward(self, x: Shaped[Tensor, "*rows features"]) -> Shaped[Tensor, "*rows outputs"]:
        """Apply the convolution to every row."""
        return lines.as_rows(self.conv(lines.as_lines(x, self.conv.in_channels)), x)


class CoveringConv(ConvForm):
    """A Linear on flattened maps as the convolution `conv`, its kernel as large as the map.

    Takes what the Linear took, flattened vectors (..., C·H·W) → (..., out); and maps at least as
    large as the kernel, (N, C, H', W') → (N, out, h, w) or without N. An input that reads both ways
    (a map C·H·W pixels wide) is refused; `conv` itself takes maps only.

    >>> import torch
    >>> from convlin import to_conv
    >>> form = to_conv(torch.nn.Linear(3 * 4 * 5, 7), feature_size=(3, 4, 5))
    >>> form(torch.zeros(2, 60)).shape, form(torch.zeros(2, 3, 6, 9)).shape
    (torch.Size([2, 7]), torch.Size([2, 7, 3, 5]))
    """

    exchange: CoveringKernel
    gather: Tensor | None

    def __init__(self, conv: Conv, exchange: CoveringKernel) -> None:
        super().__init__(conv, exchange)
        elements, gather = exchange.elements, None
        if elements is not None:
            gather = torch.argsort(torch.tensor(elements, device=conv.weight.device))
        # Where in the vector each map element is; moves along with the weights.
        self.register_buffer("gather", gather, persistent=False)

    @property
    def feature_size(self) -> tuple[int, ...]:
        """The map's size (C, *spatial), which is the kernel's."""
        return (self.conv.in_channels, *self.conv.kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the convolution to vectors, each seen as a map, or to maps."""
        size = self.feature_size
        maps = _as_maps(x, size, self.exchange.axes, self.gather)
        return _as_vectors(self.conv(maps), x, math.prod(size))


@fx.wrap
def _as_maps(
    x: Tensor, feature_size: tuple[int, ...], axes: tuple[int, ...], gather: Tensor | None
) -> Tensor:
    """Return vectors as a batch of maps; maps as they are."""
    rank = len(feature_size)
    # While torch.jit.trace runs, sizes are tensors, and so is what compares them.
    vectors = bool(x.ndim > 0 and x.shape[-1] == math.prod(feature_size))
    maps = bool(
        x.ndim in (rank, rank + 1)
        and x.shape[-rank] == feature_size[0]
        and all(n >= k for n, k in zip(x.shape[1 - rank :], feature_size[1:], strict=True))
    )
    if vectors == maps:
        maps_text = ", ".join(map(str, (feature_size[0], *(f"≥{k}" for k in feature_size[1:]))))
        reason = "this one reads both ways; pass maps to `conv`, vectors as (N, C·H·W)"
        raise GeometryError(
            Refusal("input", "shape", tuple(x.shape),
                    f"vectors (..., {math.prod(feature_size)}), or maps (N, {maps_text})",
                    reason if maps else "")
        )  # fmt: skip
    if vectors:
        rows = x.reshape(-1, x.shape[-1])
        if gather is not None:
            return rows[:, gather].reshape(-1, *feature_size)
        stacked = rows.reshape(-1, *(feature_size[axis] for axis in axes))
        return stacked.permute(0, *(axes.index(axis) + 1 for axis in range(len(axes))))
    return x


@fx.wrap
def _as_vectors(y: Tensor, x: Tensor, features: int) -> Tensor:
    """Return the outputs of vectors as vectors; of maps as maps."""
    return y.reshape(*x.shape[:-1], y.shape[1]) if x.shape[-1] == features else y
