"""A convolution at one input size, as a dense Linear on the flattened input, or one a group."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from jaxtyping import Shaped
from torch import Tensor, fx, nn

from convlin.errors import Description, GeometryError, Refusal, Refused
from convlin.exchange.dense_at_size import DenseAtSize, first_difference
from convlin.exchange.dense_groups import DenseGroups
from convlin.geometry import ConvGeometry, short
from convlin.layers import scattering
from convlin.layers.forms.linear_forms import LinearForm
from convlin.layers.parameters import alias, layer_with
from convlin.layers.stock_layer import Conv, require_stock_layer

__all__ = ["BatchedDense", "DenseLinear"]

CHANGED = "the Linear or its convolution was changed since"


class DenseForm(LinearForm):
    """For images of `input_size` only; its dense weight is a copy.

    It remembers the convolution it came from, which is no part of it: its state_dict and
    parameters are the Linear's alone.
    """

    exchange: DenseAtSize

    def __init__(self, conv: Conv, exchange: DenseAtSize) -> None:
        super().__init__(exchange)
        self.input_size = exchange.size
        self.output_size = self.geometry.output_size(self.input_size)
        self._origin = (conv,)  # in a tuple, or nn.Module would take it for a child

    def extra_repr(self) -> str:
        """Return what no child shows, and the size that it is fixed at."""
        return f"{super().extra_repr()} on {self.input_size}"

    def to_conv(self) -> Conv:
        """Return the very convolution this came from, if it still gives these weights.

        Where dtype or device were changed by `.to()`, a copy of it at those. Raises `Refused`,
        naming the first weight that differs, where the Linear or the convolution was changed.
        """
        require_stock_layer(self, type(self))
        (conv,) = self._origin
        require_stock_layer(conv, type(conv))
        now, bias_now = self._parameters_now()
        weight, bias = self._of(conv)
        refusals = [*_differences("weight", now, weight), *_differences("bias", bias_now, bias)]
        if (geometry := ConvGeometry.of(conv)) != self.geometry:
            was, is_ = short(self.geometry), Description(short(geometry))
            refusals.append(Refusal(geometry.kind, "geometry", is_, was, CHANGED))
        if refusals:
            raise Refused(refusals)
        if (conv.weight.dtype, conv.weight.device) == (now.dtype, now.device):
            return conv
        return copy.deepcopy(conv).to(now)

    def _of(self, conv: Conv) -> tuple[nn.Parameter, nn.Parameter | None]:
        """Return the dense weight and bias of a convolution, as new parameters."""
        weight = alias(conv.weight, self.exchange.weight)
        bias = None if conv.bias is None else alias(conv.bias, self.exchange.bias, copy=True)
        return weight, bias

    def _parameters_now(self) -> tuple[Tensor, Tensor | None]:
        """Return the weight and bias that the next call computes with."""
        raise NotImplementedError


class DenseLinear(DenseForm):
    """One `linear` from all inputs to all outputs."""

    def __init__(self, conv: Conv, exchange: DenseAtSize) -> None:
        super().__init__(conv, exchange)
        weight, bias = self._of(conv)
        self.linear = layer_with(
            nn.Linear, weight.shape[1], weight.shape[0], weight=weight, bias=bias
        )

    def forward(self, x: Shaped[Tensor, "*n c *size"]) -> Shaped[Tensor, "*n o *out"]:
        """Take what the convolution took, at this size, and return what it returned.

        Raises `GeometryError` for an image of any other size.
        """
        g = self.geometry
        y: Tensor = self.linear(_flat(x, (g.in_channels, *self.input_size)))
        return torch.unflatten(y, -1, (g.out_channels, *self.output_size))

    def _parameters_now(self) -> tuple[Tensor, Tensor | None]:
        require_stock_layer(self.linear, nn.Linear)
        return self.linear.weight, self.linear.bias


class BatchedDense(DenseForm):
    """One dense matrix a group, `matrices` (G, rows/G, columns/G); `bias` once a channel."""

    held: ClassVar[Mapping[str, str]] = {"weight": "matrices", "bias": "bias"}

    def __init__(self, conv: Conv, exchange: DenseGroups) -> None:
        super().__init__(conv, exchange)
        weight, bias = self._of(conv)
        self.matrices = weight
        self.register_parameter("bias", bias)

    def forward(self, x: Shaped[Tensor, "*n c *size"]) -> Shaped[Tensor, "*n o *out"]:
        """Take what the convolution took, at this size, and return what it returned.

        Raises `GeometryError` for an image of any other size.
        """
        g = self.geometry
        y = _by_group(_flat(x, (g.in_channels, *self.input_size)), self.matrices)
        y = torch.unflatten(y, -1, (g.out_channels, *self.output_size))
        return scattering.with_bias(y, self.bias, g.ndim)

    def _parameters_now(self) -> tuple[Tensor, Tensor | None]:
        return self.matrices, self.bias


def _differences(name: str, now: Tensor | None, then: Tensor | None) -> Iterator[Refusal]:
    """Yield a refusal that names the first entry that is not the convolution's."""
    if now is None or then is None or now.shape != then.shape:
        if now is not then:
            yield Refusal("linear", name, Description(_shape(now)), _shape(then), CHANGED)
        return
    now = now.detach()
    then = then.detach().to(now)
    entry = first_difference(now, then)
    if entry is not None:
        field = f"{name}[{', '.join(map(str, entry))}]"
        yield Refusal("linear", field, now[entry].item(), str(then[entry].item()), CHANGED)


def _shape(array: Tensor | None) -> str:
    return "None" if array is None else f"of shape {tuple(array.shape)}"


@fx.wrap
def _flat(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return images (N, *shape) or (*shape) flattened; raise for any others."""
    if x.ndim not in (len(shape), len(shape) + 1) or x.shape[-len(shape) :] != shape:
        sizes = ", ".join(map(str, shape))
        raise GeometryError(Refusal("input", "shape", tuple(x.shape), f"(N, {sizes}) or ({sizes})"))
    return x.flatten(-len(shape))


@fx.wrap
def _by_group(
    x: Shaped[Tensor, "*n columns"], matrices: Shaped[Tensor, "groups rows2 columns2"]
) -> Shaped[Tensor, "*n rows"]:
    """Return each group of elements times its own matrix, one group after the other."""
    groups = matrices.shape[0]
    rows = x.reshape(-1, x.shape[-1]) if x.ndim == 1 else x
    parts = torch.unflatten(rows, -1, (groups, -1)).transpose(0, 1)
    y = torch.matmul(parts, matrices.transpose(-1, -2)).transpose(0, 1).flatten(1)
    return y[0] if x.ndim == 1 else y
