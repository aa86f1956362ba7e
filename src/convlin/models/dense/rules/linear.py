"""Fully connected layers: a kernel as large as the map, or a 1×1 one.

| what it reads | becomes |
|---|---|
| the channels of every cell | a 1×1 convolution |
| the whole map, flattened in any order | a convolution with the map's size, dilated by `step` |
| the whole map behind an adaptive average pool | the same with the pool folded in |
"""

# ruff: noqa: A002 - PyTorch calls it `input`

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from convlin.exchange import folded_pool
from convlin.exchange.flatten_order import axes_of
from convlin.layers.parameters import alias, layer_with
from convlin.layers.stock_layer import CONVOLUTIONS
from convlin.layers.to_conv import to_conv
from convlin.layers.to_linear import to_linear
from convlin.models.dense import proofs
from convlin.models.dense.against_model import Refold
from convlin.models.dense.call import Call
from convlin.models.dense.registry import function, layer
from convlin.models.dense.value import Constant, MapValue
from convlin.numerics.roundoff import gamma, unit


@layer(nn.Linear)
def linear_layer(call: Call, input: Any) -> MapValue:
    """Exchange a Linear for a convolution."""
    return _exchanged(call, input, call.module)


@function("linear")
def linear_function(call: Call, input: Any, weight: Any, bias: Any = None) -> MapValue:
    """Exchange a functional Linear, whose weights are parameters, for a convolution."""
    named = [part for part in (weight, bias) if part is not None]
    if not all(isinstance(part, Constant) and part.target for part in named):
        raise call.refused("weight", "computed in forward", "parameters of the model")
    parameters = [call.walk.traced.get_parameter(part.target) for part in named]
    linear = layer_with(
        nn.Linear, weight.shape[1], weight.shape[0], weight=parameters[0],
        bias=parameters[1] if bias is not None else None,
    )  # fmt: skip
    return _exchanged(call, input, linear.eval())


def _exchanged(call: Call, input: Any, linear: nn.Linear) -> MapValue:
    value = input if isinstance(input, MapValue) else call.value(input)
    if value.unpooled is None and value.roles is not None and value.roles[-1:] == (0,):
        return _pointwise(call, value, linear)
    whole = torch.arange(math.prod(value.map_shape), device="cpu")
    if len(value.shape) != 1 or not torch.equal(value.elements.sort().values, whole):
        raise call.refused("input", value.shape, "the channels of a cell, or all of the map once",
                           f"the map is {value.map_shape}")  # fmt: skip
    exchange = _covering if value.unpooled is None else _folded
    return exchange(call, value, linear)


def _pointwise(call: Call, value: MapValue, linear: nn.Linear) -> MapValue:
    """Return the 1×1 convolution of every cell."""
    ndim = call.ndim

    def exchange(layer: nn.Linear) -> Any:
        return to_conv(layer, ndim=ndim).conv

    conv, head = _made(call, linear, exchange)
    claim = proofs.of_cell(linear, head, _as_run(call, exchange), ndim)
    call.exchanged(_text(call, linear, conv, ""), claim)
    node = call.walk.module(call.site, head, value.node)
    return value.moved(node, channels=conv.out_channels, source=call.node)


def _covering(call: Call, value: MapValue, linear: nn.Linear) -> MapValue:
    """Return the convolution with the map's size, in the order the model flattened it."""
    shape, order, step = value.map_shape, value.elements, value.step
    copied = axes_of(order.numpy(), shape) is None

    def exchange(layer: nn.Linear) -> Any:
        conv: Any = to_conv(layer, shape, order=order, copy=copied).conv
        conv.dilation = step
        return conv

    note = ", weights copied: the order is none of axes" if copied else ""
    return _headed(call, value, linear, exchange, note)


def _folded(call: Call, value: MapValue, linear: nn.Linear) -> MapValue:
    """Return the convolution on the unpooled map, the pool folded into its kernel."""
    assert value.unpooled is not None
    cls, channels, pooled, order = (
        CONVOLUTIONS[call.ndim, False], value.channels, value.map_shape, value.elements,
    )  # fmt: skip
    size = tuple(axis.size for axis in value.unpooled)
    step = tuple(axis.step for axis in value.unpooled)

    def exchange(layer: nn.Linear) -> Any:
        behind: Any = to_conv(layer, pooled, order=order, copy=True).conv
        kernel = alias(behind.weight, lambda kernel: folded_pool.fold(kernel, size))
        return layer_with(
            cls, channels, layer.out_features, size, dilation=step, weight=kernel, bias=layer.bias
        ).train(layer.training)

    note = f", the pool to {value.size} folded in (copied)"
    return _headed(call, value, linear, exchange, note)


def _headed(
    call: Call, value: MapValue, linear: nn.Linear, exchange: Callable[[nn.Linear], Any], note: str
) -> MapValue:
    """Write a convolution that reads the whole map."""
    conv, head = _made(call, linear, exchange)
    if value.unpooled is not None:
        call.walk.refolds.append(Refold(call.site, conv, linear, _refold(exchange, value.size)))
    claim = proofs.of_map(call, value, linear, head, _as_run(call, exchange))
    call.exchanged(_text(call, linear, conv, note), claim)
    axes = tuple(axis.windowed(axis.size) for axis in value.unpooled or value.axes)
    node = call.walk.module(call.site, head, value.node)
    return value.moved(node, channels=conv.out_channels, axes=axes, roles=(0,), numbers=None,
                       source=call.node, unpooled=None, pool=None)  # fmt: skip


def _refold(
    exchange: Callable[[nn.Linear], Any], pooled: tuple[int, ...]
) -> Callable[[Tensor, torch.dtype], tuple[Tensor, Tensor]]:
    """Return how to fold anew in float64, and how far rounding may take the folded kernel."""

    def fold(weight: Tensor) -> Tensor:
        parameter = nn.Parameter(weight.detach())
        linear = layer_with(
            nn.Linear, weight.shape[1], weight.shape[0], weight=parameter, bias=None
        )
        kernel: Tensor = exchange(linear).weight.detach()
        return kernel

    def exact(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        factor = sum(
            gamma(folded_pool.roundings(pooled), unit(kind)) or math.inf
            for kind in (dtype, weight.dtype)
        )
        return fold(weight), factor * fold(weight.abs()) + torch.finfo(dtype).smallest_normal

    return exact


def _made(
    call: Call, linear: nn.Linear, exchange: Callable[[nn.Linear], Any]
) -> tuple[Any, nn.Module]:
    """Return the convolution, and the same as the user wants it run."""
    with call.resited():
        conv = exchange(linear)
    _tie(call, linear, conv)
    return conv, _as_run(call, lambda _: conv)(linear)


def _as_run(call: Call, exchange: Callable[[nn.Linear], Any]) -> Callable[[nn.Linear], nn.Module]:
    """Return the exchange for the convolution, or for windows of the map through a Linear."""
    if call.walk.head == "conv":
        return exchange

    def run(layer: nn.Linear) -> nn.Module:
        conv = exchange(layer)
        return to_linear(conv, exchange="windows" if max(conv.kernel_size) > 1 else "pointwise")

    return run


def _tie(call: Call, linear: nn.Linear, conv: Any) -> None:
    """Give kernels that are views of one and the same weight one parameter."""
    weight = conv.weight
    key = (id(linear.weight), tuple(weight.shape), weight.stride(), weight.data_ptr())
    conv.weight = call.walk.shared.setdefault(key, weight)


def _text(call: Call, linear: nn.Linear, conv: Any, note: str) -> str:
    kernel = conv.kernel_size
    if call.walk.head == "linear":
        note += ", run as a Linear at every cell"
    taps = str(kernel[0]) if len(set(kernel)) == 1 else "×".join(map(str, kernel))
    apart = f" d{'×'.join(map(str, conv.dilation))}" if max(conv.dilation) > 1 else ""
    return (
        f"Linear {linear.in_features}→{linear.out_features} ⇒ {type(conv).__name__} "
        f"{conv.in_channels}→{conv.out_channels} k{taps}{apart}{note}"
    )
