"""Fully connected layers: a kernel as large as the map, or a 1×1 one.

| what it reads | becomes |
|---|---|
| the channels of every cell | a 1×1 convolution |
| the whole map, flattened in any order | a convolution with the map's size, dilated by `step` |
| the whole map behind an adaptive average pool | the same with the pool folded in |

A weight that forward computes (a norm of its own, a transposed parameter) is computed anew at every
call, and so is the kernel: the exchange is proved for what it is now.
"""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from convlin.exchange import folded_pool
from convlin.exchange.flatten_order import axes_of
from convlin.layers.parameters import alias, layer_with
from convlin.layers.stock_layer import CONVOLUTIONS
from convlin.layers.to_conv import to_conv
from convlin.layers.to_linear import to_linear
from convlin.models.dense import grid, layout, proofs
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import DeferredPool, FeatureMap
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant
from convlin.numerics.roundoff import gamma, unit


def linear(call: DenseCall, input: Any, weight: Any, bias: Any = None) -> FeatureMap:
    """Exchange a Linear for a convolution."""
    value = call.lying(input)
    named = [part for part in (weight, bias) if part is not None]
    if not all(isinstance(part, Constant) for part in named):
        raise call.refused("weight", "computed from the images", "tensors of the model")
    if not all(part.name for part in named):
        return _computed(call, value, weight, bias)
    if call.layer is not None:
        return _exchanged(call, value, call.layer)
    parameters: list[Any] = [call.parameter(part) for part in named]
    if not all(isinstance(part, nn.Parameter) for part in parameters):
        return _computed(call, value, weight, bias)
    made = layer_with(
        nn.Linear, weight.shape[1], weight.shape[0], weight=parameters[0],
        bias=parameters[1] if bias is not None else None,
    )  # fmt: skip
    return _exchanged(call, value, made.eval())


def product(call: DenseCall, input: Any, other: Any) -> FeatureMap:
    """Exchange a product by a matrix of the model."""
    if not isinstance(other, Constant) or len(other.shape) != 2:
        raise call.refused("other", call.said(other), "a matrix of the model")
    return _computed(call, call.lying(input), _transposed(call, other), None)


def product_and_sum(
    call: DenseCall, bias: Any, input: Any, other: Any, *, beta: Any = 1, alpha: Any = 1
) -> FeatureMap:
    """Exchange a product by a matrix of the model, and what is added."""
    if not isinstance(bias, Constant) or not isinstance(other, Constant) or (beta, alpha) != (1, 1):
        raise call.refused("operands", call.said(other), "a bias and a matrix of the model")
    return _computed(call, call.lying(input), _transposed(call, other), bias)


def einsum(call: DenseCall, equation: str, operands: Sequence[Any], **kwargs: Any) -> FeatureMap:
    """Exchange a sum of products with a tensor of the model, over channels or over a whole map.

    Contracted letters are the channels of a cell, or all axes of the map; the tensor has one more.
    """
    terms, result = equation.replace(" ", "").split("->")
    sides = dict(zip(terms.split(","), operands, strict=True))
    images = [(t, side) for t, side in sides.items() if isinstance(side, FeatureMap)]
    tensors = [(t, side) for t, side in sides.items() if isinstance(side, Constant)]
    if len(images) != 1 or len(tensors) != 1 or "." in equation:
        raise call.refused("equation", equation, "the images and a tensor of the model")
    (term, value), (letters, tensor) = images[0], tensors[0]
    batch, summed = term[0], [letter for letter in term if letter in letters]
    new = [letter for letter in letters if letter not in term]
    kept = [letter for letter in term[1:] if letter not in letters]
    plain = len({*term}) == len(term) and len({*letters}) == len(letters) == len(summed) + 1
    if not plain or result[:1] != batch or {*result} != {batch, *kept, *new}:
        raise call.refused("equation", equation, "a product summed over channels, or all of a map")
    order = [letters.index(letter) for letter in (*new, *summed)]
    axes = [term.index(letter) - 1 for letter in (*kept, *summed)]
    weight = _arranged(call, tensor, order)
    laid = call.lying(value)
    inner = replace(laid, roles=None, numbers=laid.elements.permute(axes).flatten(len(kept)))
    if kept and _is_of_cells(laid.moved(laid.node, roles=None, numbers=inner.numbers)):
        made = _computed(call, inner, weight, None)
        assert made.numbers is not None
        back = [[*kept, *new].index(letter) for letter in result[1:]]
        return _as_map(made, made.numbers.permute(back), call.node)
    return _computed(call, inner, weight, None)


def _arranged(call: DenseCall, tensor: Constant, order: Sequence[int]) -> Constant:
    """Return a weight (outputs, inputs) from a tensor whose axes are to be in this order."""
    turned = call.function(torch.permute, tensor.node, tuple(order))
    rows = tensor.shape[order[0]]
    node = call.function(torch.reshape, turned, (rows, -1))

    def arranged(numbers: Tensor) -> Tensor:
        return numbers.permute(*order).reshape(rows, -1)

    shape = (rows, math.prod(tensor.shape) // rows)
    return replace(tensor, node=node, shape=shape, name=None, arranged=arranged)


def _as_map(value: FeatureMap, numbers: Tensor, source: fx.Node) -> FeatureMap:
    """Return the value with its elements in this order, as a map if it is one again."""
    lying = layout.arrangement(numbers, value.map_shape)
    if lying is None or not lying.is_all_of(value.map_shape):
        return replace(value, roles=None, numbers=numbers)
    return replace(value, roles=lying.roles, numbers=None, source=source)


def _exchanged(call: DenseCall, value: FeatureMap, linear: nn.Linear) -> FeatureMap:
    if _is_of_cells(value):
        return _pointwise(call, value, linear)
    _require_whole_map(call, value)
    exchange = _folded if isinstance(value, DeferredPool) else _covering
    return exchange(call, value, linear)


def _is_of_cells(value: FeatureMap) -> bool:
    """Whether the last axis is the channels of one cell."""
    if isinstance(value, DeferredPool):
        return False
    if value.roles is not None:
        return value.roles[-1:] == (0,)
    cells = layout.cells_of_tokens(value.elements, value.map_shape)
    return cells is not None and cells.ndim > 0


def _require_whole_map(call: DenseCall, value: FeatureMap) -> None:
    whole = torch.arange(math.prod(value.map_shape), device="cpu")
    alone = math.prod(value.shape[:-1]) == 1
    if not alone or not torch.equal(value.elements.flatten().sort().values, whole):
        raise call.refused("input", value.shape, "the channels of a cell, or all of the map once",
                           f"the map is {value.map_shape}")  # fmt: skip


def _pointwise(call: DenseCall, value: FeatureMap, linear: nn.Linear) -> FeatureMap:
    """Return the 1×1 convolution of every cell."""
    ndim = call.ndim

    def exchange(layer: nn.Linear) -> Any:
        return to_conv(layer, ndim=ndim).conv

    conv, head = _made(call, linear, exchange)
    claim = proofs.of_cell(linear, head, _as_run(call, exchange), ndim)
    call.exchanged(_text(call, linear, conv, ""), claim)
    return _of_cells(call, value, call.module(head, value.node), conv.out_channels)


def _of_cells(call: DenseCall, value: FeatureMap, node: fx.Node, channels: int) -> FeatureMap:
    """Return the value behind other channels in every cell, lying as it did."""
    if value.roles is not None:
        return value.moved(node, channels=channels, source=call.node)
    cells = layout.cells_of_tokens(value.elements, value.map_shape)
    assert cells is not None
    count = math.prod(value.size)
    numbers = cells[..., None] + count * torch.arange(channels, device="cpu")
    return value.moved(node, channels=channels, numbers=numbers, source=value.source)


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
    call.exchanged(_text(call, linear, conv, note), claim)
    return _behind_map(call, value, call.module(head, value.node), conv.out_channels)


def _behind_map(call: DenseCall, value: FeatureMap, node: fx.Node, channels: int) -> FeatureMap:
    """Return the one cell of every window that a kernel over the whole map makes."""
    read = value.unpooled if isinstance(value, DeferredPool) else value.axes
    axes = tuple(axis.windowed(axis.size) for axis in read)
    roles = (*(None for _ in value.shape[1:]), 0)
    return FeatureMap(node, channels, axes, roles, call.node)


def _computed(
    call: DenseCall, value: FeatureMap, weight: Constant, bias: Constant | None
) -> FeatureMap:
    """Return the convolution whose kernel is computed of the weight at every call."""
    if isinstance(value, DeferredPool):
        call.value(value)  # refused
    now = layer_with(
        nn.Linear, weight.shape[1], weight.shape[0], weight=_number(call.parameter(weight)),
        bias=None if bias is None else _number(call.parameter(bias)),
    ).eval()  # fmt: skip
    conv: Any = None
    pointwise = _is_of_cells(value)
    if pointwise:
        conv = to_conv(now, ndim=call.ndim).conv
        kernel = call.function(torch.reshape, weight.node, tuple(conv.weight.shape))
        claim = proofs.of_cell(
            now, conv, lambda layer: to_conv(layer, ndim=call.ndim).conv, call.ndim
        )
    else:
        _require_whole_map(call, value)
        conv = to_conv(now, value.map_shape, order=value.elements.flatten(), copy=True).conv
        conv.dilation = value.step
        kernel = weight.node
        # weight[:, p] is for element order[p]; the kernel has them in order of elements
        where = value.elements.flatten().argsort()
        if not torch.equal(where, torch.arange(len(where), device="cpu")):
            kernel = call.function(torch.index_select, kernel, 1, call.literal("order", where))
        kernel = call.function(torch.reshape, kernel, tuple(conv.weight.shape))
        claim = proofs.of_map(call, value, now, conv, None)
    call.exchanged(_text(call, now, conv, ", the kernel computed at every call"), claim)
    node = call.function(
        grid.CONV_FUNCTIONS[call.ndim], value.node, kernel, bias and bias.node,
        dilation=tuple(conv.dilation),
    )  # fmt: skip
    if pointwise:
        return _of_cells(call, value, node, conv.out_channels)
    return _behind_map(call, value, node, conv.out_channels)


def _transposed(call: DenseCall, matrix: Constant) -> Constant:
    """Return the weight that a Linear has for a product by this matrix."""
    return _arranged(call, matrix, (1, 0))


def _number(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach().contiguous(), requires_grad=False)


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


def _text(call: DenseCall, linear: nn.Linear, conv: Any, note: str) -> str:
    kernel = conv.kernel_size
    if call.head == "linear" and "computed" not in note:
        note += ", run as a Linear at every cell"
    taps = str(kernel[0]) if len(set(kernel)) == 1 else "×".join(map(str, kernel))
    apart = f" d{'×'.join(map(str, conv.dilation))}" if max(conv.dilation) > 1 else ""
    return (
        f"Linear {linear.in_features}→{linear.out_features} ⇒ {type(conv).__name__} "
        f"{conv.in_channels}→{conv.out_channels} k{taps}{apart}{note}"
    )


_EACH = "a product of each window's cells by one matrix"

RULES = (
    Rule(linear, _EACH, ("linear",)),
    Rule(product, _EACH, ("matmul", "mm")),
    Rule(product_and_sum, _EACH, ("addmm",)),
    Rule(einsum, _EACH, ("einsum",)),
)
