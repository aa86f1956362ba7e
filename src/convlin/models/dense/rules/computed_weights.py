"""Products whose weight forward computes: a norm of its own, a transposed parameter, an einsum.

It is computed anew at every call, and so is the kernel; the exchange is proved for what it is now.
"""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from convlin.layers.parameters import layer_with
from convlin.layers.to_conv import to_conv
from convlin.models.dense import grid, proofs
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import DeferredPool, FeatureMap
from convlin.models.dense.rules.product_reads import (
    behind_cells,
    behind_map,
    exchanged_text,
    is_of_cells,
    require_whole_map,
)
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant


def product(call: DenseCall, input: Any, other: Any) -> FeatureMap:
    """Exchange a product by a matrix of the model."""
    if not isinstance(other, Constant) or len(other.shape) != 2:
        raise call.refused("other", call.said(other), "a matrix of the model")
    return computed(call, call.lying(input), _transposed(call, other), None)


def product_and_sum(
    call: DenseCall, bias: Any, input: Any, other: Any, *, beta: Any = 1, alpha: Any = 1
) -> FeatureMap:
    """Exchange a product by a matrix of the model, and what is added."""
    if not isinstance(bias, Constant) or not isinstance(other, Constant) or (beta, alpha) != (1, 1):
        raise call.refused("operands", call.said(other), "a bias and a matrix of the model")
    return computed(call, call.lying(input), _transposed(call, other), bias)


def einsum(call: DenseCall, equation: str, operands: Sequence[Any], **kwargs: Any) -> FeatureMap:
    """Exchange a sum of products with a tensor of the model, over channels or over a whole map.

    Contracted letters are the channels of a cell, or all axes of the map; the tensor has one more.
    """
    terms, _, result = equation.replace(" ", "").partition("->")
    sides = dict(zip(terms.split(","), operands, strict=True))
    images = [(t, side) for t, side in sides.items() if isinstance(side, FeatureMap)]
    tensors = [(t, side) for t, side in sides.items() if isinstance(side, Constant)]
    if len(images) != 1 or len(tensors) != 1 or "." in equation:
        raise call.refused("equation", equation, "the images and a tensor of the model")
    (term, value), (letters, tensor) = images[0], tensors[0]
    batch, summed = term[0], [letter for letter in term if letter in letters]
    new = [letter for letter in letters if letter not in term]
    kept = [letter for letter in term[1:] if letter not in letters]
    sizes = dict(zip(term[1:], call.lying(value).shape, strict=False))
    plain = (
        len({*term}) == len(term) == len(call.lying(value).shape) + 1
        and len({*letters}) == len(letters) == len(summed) + 1 == len(tensor.shape)
        and batch not in letters
        and summed != []
        and all(sizes[x] == tensor.shape[letters.index(x)] for x in summed)
    )
    if not plain or result[:1] != batch or {*result} != {batch, *kept, *new}:
        raise call.refused("equation", equation, "a product summed over channels, or all of a map")
    order = [letters.index(letter) for letter in (*new, *summed)]
    axes = [term.index(letter) - 1 for letter in (*kept, *summed)]
    weight = _arranged(call, tensor, order)
    laid = call.lying(value)
    inner = replace(laid, roles=None, numbers=laid.elements.permute(axes).flatten(len(kept)))
    if kept and is_of_cells(laid.moved(laid.node, roles=None, numbers=inner.numbers)):
        made = computed(call, inner, weight, None)
        assert made.numbers is not None
        back = [[*kept, *new].index(letter) for letter in result[1:]]
        return made.laid(made.numbers.permute(back), call.node)
    return computed(call, inner, weight, None)


def computed(
    call: DenseCall, value: FeatureMap, weight: Constant, bias: Constant | None
) -> FeatureMap:
    """Return the convolution whose kernel is computed of the weight at every call."""
    if isinstance(value, DeferredPool):
        call.value(value)  # refused
    if len(weight.shape) != 2 or weight.node is None:
        raise call.refused("weight", weight.shape, "a matrix, one for all images")
    if bias is not None and (bias.shape != weight.shape[:1] or bias.node is None):
        raise call.refused("bias", bias.shape, f"({weight.shape[0]},)")
    now = layer_with(
        nn.Linear, weight.shape[1], weight.shape[0], weight=_number(call.parameter(weight)),
        bias=None if bias is None else _number(call.parameter(bias)),
    ).eval()  # fmt: skip
    conv: Any = None
    pointwise = is_of_cells(value)
    if pointwise:
        conv = to_conv(now, ndim=call.ndim).conv
        kernel = call.function(torch.reshape, weight.node, tuple(conv.weight.shape))
        claim = proofs.of_cell(
            now, conv, lambda layer: to_conv(layer, ndim=call.ndim).conv, call.ndim
        )
    else:
        require_whole_map(call, value)
        conv = to_conv(now, value.map_shape, order=value.elements.flatten(), copy=True).conv
        conv.dilation = value.step
        kernel = weight.node
        # weight[:, p] is for element order[p]; the kernel has them in order of elements
        where = value.elements.flatten().argsort()
        if not torch.equal(where, torch.arange(len(where), device="cpu")):
            kernel = call.function(torch.index_select, kernel, 1, call.literal("order", where))
        kernel = call.function(torch.reshape, kernel, tuple(conv.weight.shape))
        claim = proofs.of_map(call, value, now, conv, None)
    call.exchanged(exchanged_text(call, now, conv, ", the kernel computed at every call"), claim)
    node = call.function(
        grid.CONV_FUNCTIONS[call.ndim], value.node, kernel, bias and bias.node,
        dilation=tuple(conv.dilation),
    )  # fmt: skip
    if pointwise:
        return behind_cells(call, value, node, conv.out_channels)
    return behind_map(call, value, node, conv.out_channels)


def _arranged(call: DenseCall, tensor: Constant, order: Sequence[int]) -> Constant:
    """Return a weight (outputs, inputs) from a tensor whose axes are to be in this order."""
    turned = call.function(torch.permute, tensor.node, tuple(order))
    rows = tensor.shape[order[0]]
    node = call.function(torch.reshape, turned, (rows, -1))

    def arranged(numbers: Tensor) -> Tensor:
        return numbers.permute(*order).reshape(rows, -1)

    shape = (rows, math.prod(tensor.shape) // rows)
    return replace(tensor, node=node, shape=shape, name=None, arranged=arranged)


def _transposed(call: DenseCall, matrix: Constant) -> Constant:
    """Return the weight that a Linear has for a product by this matrix."""
    return _arranged(call, matrix, (1, 0))


def _number(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach().contiguous(), requires_grad=False)


_EACH = "a product of each window's cells by one matrix"

RULES = (
    Rule(product, _EACH, ("matmul", "mm")),
    Rule(product_and_sum, _EACH, ("addmm",)),
    Rule(einsum, _EACH, ("einsum",)),
)
