"""Fully connected layers: a kernel as large as the map, or a 1×1 one.

| what it reads | becomes |
|---|---|
| the channels of every cell | a 1×1 convolution |
| the whole map, flattened in any order | a convolution with the map's size, dilated by `step` |
| the whole map behind an adaptive average pool | the same with the pool folded in |
"""

# ruff: noqa: A002 - ATen calls it `input`

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
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import DeferredPool, FeatureMap
from convlin.models.dense.rules.computed_weights import computed
from convlin.models.dense.rules.product_reads import (
    behind_cells,
    behind_map,
    exchanged_text,
    is_of_cells,
    require_whole_map,
)
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant
from convlin.numerics.roundoff import gamma, unit


def linear(call: DenseCall, input: Any, weight: Any, bias: Any = None) -> FeatureMap:
    """Exchange a Linear for a convolution."""
    value = call.lying(input)
    named = [part for part in (weight, bias) if part is not None]
    if not all(isinstance(part, Constant) for part in named):
        raise call.refused("weight", "computed from the images", "tensors of the model")
    plain = len(weight.shape) == 2 and (bias is None or bias.shape == weight.shape[:1])
    if not plain or not all(part.name for part in named):
        return computed(call, value, weight, bias)
    if call.layer is not None:
        return _exchanged(call, value, call.layer)
    parameters: list[Any] = [call.parameter(part) for part in named]
    if not all(isinstance(part, nn.Parameter) for part in parameters):
        return computed(call, value, weight, bias)
    made = layer_with(
        nn.Linear, weight.shape[1], weight.shape[0], weight=parameters[0],
        bias=parameters[1] if bias is not None else None,
    )  # fmt: skip
    return _exchanged(call, value, made.eval())


def _exchanged(call: DenseCall, value: FeatureMap, linear: nn.Linear) -> FeatureMap:
    if is_of_cells(value):
        return _pointwise(call, value, linear)
    require_whole_map(call, value)
    exchange = _folded if isinstance(value, DeferredPool) else _covering
    return exchange(call, value, linear)


def _pointwise(call: DenseCall, value: FeatureMap, linear: nn.Linear) -> FeatureMap:
    """Return the 1×1 convolution of every cell."""
    ndim = call.ndim

    def exchange(layer: nn.Linear) -> Any:
        return to_conv(layer, ndim=ndim).conv

    conv, head = _made(call, linear, exchange)
    claim = proofs.of_cell(linear, head, _as_run(call, exchange), ndim)
    call.exchanged(exchanged_text(call, linear, conv, ""), claim)
    return behind_cells(call, value, call.module(head, value.node), conv.out_channels)


def _covering(call: DenseCall, value: FeatureMap, linear: nn.Linear) -> FeatureMap:
    """Return the convolution with the map's size, in the order the model flattened it."""
    shape, order, step = value.map_shape, value.elements.flatten(), value.step
    copied = axes_of(order.numpy(), shape) is None

    def exchange(layer: nn.Linear) -> Any:
        conv: Any = to_conv(layer, shape, order=order, copy=copied).conv
        conv.dilation = step
        return conv

    note = ", weights copied: the order is none of axes" if copied else ""
    return _headed(call, value, linear, exchange, note)


def _folded(call: DenseCall, value: Any, linear: nn.Linear) -> FeatureMap:
    """Return the convolution on the unpooled map, the pool folded into its kernel."""
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
    call: DenseCall,
    value: FeatureMap,
    linear: nn.Linear,
    exchange: Callable[[nn.Linear], Any],
    note: str,
) -> FeatureMap:
    """Write a convolution that reads the whole map."""
    conv, head = _made(call, linear, exchange)
    if isinstance(value, DeferredPool):
        call.refold(conv, linear, _refold(exchange, value.size))
    claim = proofs.of_map(call, value, linear, head, _as_run(call, exchange))
    call.exchanged(exchanged_text(call, linear, conv, note), claim)
    return behind_map(call, value, call.module(head, value.node), conv.out_channels)


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
    call: DenseCall, linear: nn.Linear, exchange: Callable[[nn.Linear], Any]
) -> tuple[Any, nn.Module]:
    """Return the convolution, and the same as the user wants it run."""
    with call.resited():
        conv = exchange(linear)
    _tie(call, linear, conv)
    return conv, _as_run(call, lambda _: conv)(linear)


def _as_run(
    call: DenseCall, exchange: Callable[[nn.Linear], Any]
) -> Callable[[nn.Linear], nn.Module]:
    """Return the exchange for the convolution, or for windows of the map through a Linear."""
    if call.head == "conv":
        return exchange

    def run(layer: nn.Linear) -> nn.Module:
        conv = exchange(layer)
        return to_linear(conv, exchange="windows" if max(conv.kernel_size) > 1 else "pointwise")

    return run


def _tie(call: DenseCall, linear: nn.Linear, conv: Any) -> None:
    """Give kernels that are views of one and the same weight one parameter."""
    weight = conv.weight
    key = (id(linear.weight), tuple(weight.shape), weight.stride(), weight.data_ptr())
    conv.weight = call.one_parameter(key, weight)


_EACH = "a product of each window's cells by one matrix"

RULES = (Rule(linear, _EACH, ("linear",)),)
