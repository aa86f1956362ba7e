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
from typing import Any

import torch
from torch import nn

from convlin.backends.pytorch.fully_convolutional import proofs
from convlin.backends.pytorch.fully_convolutional.call import Call
from convlin.backends.pytorch.fully_convolutional.place import Constant, Place
from convlin.backends.pytorch.fully_convolutional.registry import function, layer
from convlin.backends.pytorch.parameters import alias, holding
from convlin.backends.pytorch.reading import CONVOLUTIONS
from convlin.backends.pytorch.to_conv import to_conv
from convlin.backends.pytorch.to_linear import to_linear
from convlin.exchange import folded_pool
from convlin.exchange.flatten_order import axes_of


@layer(nn.Linear)
def linear_layer(call: Call, input: Any) -> Place:
    """Exchange a Linear for a convolution."""
    return _exchanged(call, input, call.module)


@function("linear")
def linear_function(call: Call, input: Any, weight: Any, bias: Any = None) -> Place:
    """Exchange a functional Linear, whose weights are parameters, for a convolution."""
    named = [part for part in (weight, bias) if part is not None]
    if not all(isinstance(part, Constant) and part.target for part in named):
        raise call.refused("weight", "computed", "parameters of the model")
    held = [call.walk.traced.get_parameter(part.target) for part in named]
    linear = holding(
        nn.Linear, weight.shape[1], weight.shape[0], weight=held[0],
        bias=held[1] if bias is not None else None,
    )  # fmt: skip
    return _exchanged(call, input, linear.eval())


def _exchanged(call: Call, value: Any, linear: nn.Linear) -> Place:
    place = value if isinstance(value, Place) else call.place(value)
    if place.unpooled is None and place.roles is not None and place.roles[-1:] == (0,):
        return _pointwise(call, place, linear)
    whole = torch.arange(math.prod(place.map_shape), device="cpu")
    if len(place.shape) != 1 or not torch.equal(place.elements.sort().values, whole):
        raise call.refused("input", place.shape, "the channels of a cell, or all of the map once",
                           f"the map is {place.map_shape}")  # fmt: skip
    exchange = _full_size if place.unpooled is None else _folded
    return exchange(call, place, linear)


def _pointwise(call: Call, place: Place, linear: nn.Linear) -> Place:
    """Return the 1×1 convolution of every cell."""
    with call.resited():
        conv: Any = to_conv(linear, ndim=call.ndim).conv
    _tie(call, linear, conv)
    head, form = _form(call, conv)
    call.exchanged(_text(linear, conv, form), proofs.of_cell(linear, head, call.ndim))
    node = call.walk.module(call.site, head, place.node)
    return place.moved(node, channels=conv.out_channels, source=call.node)


def _full_size(call: Call, place: Place, linear: nn.Linear) -> Place:
    """Return the convolution with the map's size, in the order the model flattened it."""
    copied = axes_of(place.elements.numpy(), place.map_shape) is None
    with call.resited():
        conv: Any = to_conv(linear, place.map_shape, order=place.elements, copy=copied).conv
    conv.dilation = place.step
    _tie(call, linear, conv)
    note = ", weights copied: the order is none of axes" if copied else ""
    return _headed(call, place, linear, conv, note)


def _folded(call: Call, place: Place, linear: nn.Linear) -> Place:
    """Return the convolution on the unpooled map, the pool folded into its kernel."""
    assert place.unpooled is not None
    with call.resited():
        behind: Any = to_conv(linear, place.map_shape, order=place.elements, copy=True).conv
    size = tuple(axis.size for axis in place.unpooled)
    conv = holding(
        CONVOLUTIONS[call.ndim, False], place.channels, linear.out_features, size,
        dilation=tuple(axis.step for axis in place.unpooled),
        weight=alias(behind.weight, lambda kernel: folded_pool.fold(kernel, size)),
        bias=linear.bias,
    ).train(linear.training)  # fmt: skip
    return _headed(call, place, linear, conv, f", the pool to {place.size} folded in (copied)")


def _headed(call: Call, place: Place, linear: nn.Linear, conv: Any, note: str) -> Place:
    """Write a convolution that reads the whole map."""
    head, form = _form(call, conv)
    call.exchanged(_text(linear, conv, note + form), proofs.of_map(call, place, linear, head))
    axes = tuple(axis.windowed(axis.size) for axis in place.unpooled or place.axes)
    node = call.walk.module(call.site, head, place.node)
    return place.moved(node, channels=conv.out_channels, axes=axes, roles=(0,), numbers=None,
                       source=call.node, unpooled=None, pool=None)  # fmt: skip


def _form(call: Call, conv: Any) -> tuple[nn.Module, str]:
    """Return the convolution as the user wants it run, and what to say of that."""
    if call.walk.head == "conv":
        return conv, ""
    exchange = "windows" if max(conv.kernel_size) > 1 else "pointwise"
    return to_linear(conv, exchange=exchange), ", run as a Linear at every cell"


def _tie(call: Call, linear: nn.Linear, conv: Any) -> None:
    """Give kernels that are views of one and the same weight one parameter."""
    weight = conv.weight
    key = (id(linear.weight), tuple(weight.shape), weight.stride(), weight.data_ptr())
    conv.weight = call.walk.shared.setdefault(key, weight)


def _text(linear: nn.Linear, conv: Any, note: str) -> str:
    kernel = conv.kernel_size
    taps = str(kernel[0]) if len(set(kernel)) == 1 else "×".join(map(str, kernel))
    apart = f" d{'×'.join(map(str, conv.dilation))}" if max(conv.dilation) > 1 else ""
    return (
        f"Linear {linear.in_features}→{linear.out_features} ⇒ {type(conv).__name__} "
        f"{conv.in_channels}→{conv.out_channels} k{taps}{apart}{note}"
    )
