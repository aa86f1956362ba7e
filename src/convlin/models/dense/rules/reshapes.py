"""Views, permutations, flattening, slices: run on numbered elements, and gone from the graph.

The operation itself is run on arange(C·H·W), once for each of two images. If what comes out is
still a map, cut cells and picked channels are written into the new graph; if not, the numbers
themselves go on to the Linear that will read them.
"""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from convlin.internals.storages import storage_id
from convlin.models.dense import grid, layout
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import DeferredPool, FeatureMap, NoElements
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant
from convlin.models.graph.varying import BATCH, mapped

# those whose numbers are sizes: with the batch among them, they are the same for every image
SIZED = ("view", "reshape", "_unsafe_view", "unflatten", "expand", "repeat")


def reshape(call: DenseCall, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Run the operation on numbered elements."""
    value = call.lying(input)
    of_batch = call.name == "slice" and args[:1] == (0,)  # as many as there are images
    if call.depends_on_batch and call.name not in SIZED and not of_batch:
        call.arguments()  # refused

    def known(arg: Any) -> Any:
        if isinstance(arg, FeatureMap):  # it is asked for its shape
            return torch.empty((BATCH, *arg.shape), device="meta")
        return call.parameter(arg) if isinstance(arg, Constant) else arg

    numbers = mapped((args, kwargs), known)
    operation: Any = call.node.target

    def run(elements: Tensor) -> Any:
        return operation(elements, *numbers[0], **numbers[1])

    part = _viewed(value, run)
    waits = isinstance(value, DeferredPool)
    if part is not None and (part.is_all_of(value.map_shape) or not waits):
        return _lying(call, value, part)
    count = math.prod(value.map_shape)
    batch = torch.stack([value.elements + image * count for image in range(BATCH)])
    return mapped(run(batch), lambda part: _part(call, value, part, count))


def _viewed(value: FeatureMap, run: Callable[[Tensor], Any]) -> layout.Arrangement | None:
    """Return what the operation makes of a map if that is a view, by its strides alone."""
    if value.roles is None or None in value.roles or len(value.roles) < len(value.map_shape):
        return None
    whole = torch.empty((BATCH, *value.map_shape), device="meta")
    try:
        result = run(whole.permute(0, *(role + 1 for role in value.roles if role is not None)))
    except RuntimeError:  # the model has made it contiguous
        return None
    images = whole.stride(0)
    if not isinstance(result, Tensor) or result.shape[:1] != (BATCH,) or images != result.stride(0):
        return None
    if storage_id(result) != storage_id(whole):
        return None
    return layout.of_view(
        result.shape[1:], result.stride()[1:], int(result.storage_offset()), value.map_shape
    )


def moved(call: DenseCall, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Leave out what only moves memory; know what a tensor of the model was expanded from."""
    if not isinstance(input, Constant):
        value = call.lying(input)
        if call.name == "detach":  # what stops gradients goes on to
            return value.moved(call.function(torch.Tensor.detach, value.node))
        return value
    if input.narrow is None:
        return call.constant(call.keep())
    node, shape = input.narrow
    return call.expanded(call.keep({call.operands[0]: node}), shape, input.node is None)


def getitem(call: DenseCall, input: Any, index: int) -> Any:
    """Take one of several values."""
    part = input[index]
    is_map = isinstance(part, FeatureMap) and part.roles is not None
    return replace(part, source=call.node) if is_map else part


def _part(call: DenseCall, value: FeatureMap, part: Any, count: int) -> Any:
    """Return what the elements that came out are."""
    if part.numel() == 0:
        return NoElements()
    if part.ndim == 0 or part.shape[0] != BATCH or not torch.equal(part[1], part[0] + count):
        raise call.refused("result", tuple(part.shape), f"({BATCH}, …), one row an image",
                           "it mixes the images of a batch")  # fmt: skip
    lying = layout.arrangement(part[0], value.map_shape)
    if lying is None or (isinstance(value, DeferredPool) and not lying.is_all_of(value.map_shape)):
        return value.moved(value.node, roles=None, numbers=part[0])
    return _lying(call, value, lying)


def _lying(call: DenseCall, value: FeatureMap, lying: layout.Arrangement) -> FeatureMap:
    part_of_map = value.moved(value.node, roles=lying.roles, numbers=None, source=call.node)
    return part_of_map if lying.is_all_of(value.map_shape) else _cut(call, part_of_map, lying)


def _cut(call: DenseCall, value: FeatureMap, lying: layout.Arrangement) -> FeatureMap:
    """Return some cells and channels, taken off the grid."""
    node, ranges = value.node, []
    for axis, (start, count, every) in zip(value.axes, lying.cells, strict=True):
        tail = axis.size - 1 - (start + (count - 1) * every)
        apart = axis.step > 1
        ranges.append((start * axis.step, tail * axis.step, 1 if apart else every))
    if any(taken != (0, 0, 1) for taken in ranges):
        node = call.function(grid.take_cells, node, tuple(ranges))
    if lying.channels != tuple(range(value.channels)):
        node = call.function(grid.select_channels, node, lying.channels)
    axes = tuple(axis.taken(*cell) for axis, cell in zip(value.axes, lying.cells, strict=True))
    return replace(value, node=node, axes=axes, channels=len(lying.channels))


RULES = (
    Rule(reshape, "elements are moved, and none is changed",
         ("view", "reshape", "_unsafe_view", "view_as", "reshape_as", "permute", "transpose", "t",
          "swapaxes", "swapdims", "movedim", "moveaxis", "numpy_T", "adjoint", "flatten", "ravel",
          "unflatten", "squeeze", "unsqueeze", "chunk", "split", "split_with_sizes",
          "tensor_split", "unsafe_chunk", "unsafe_split", "unbind", "narrow", "select", "slice",
          "flip", "roll", "channel_shuffle", "native_channel_shuffle", "pixel_unshuffle",
          "index_select", "index"), kind="reshape"),
    Rule(moved, "the same numbers", ("contiguous", "clone", "detach", "alias"), kind="reshape",
         of_constants=True),
    Rule(getitem, "one of several values", ("getitem",), kind="reshape"),
)  # fmt: skip
