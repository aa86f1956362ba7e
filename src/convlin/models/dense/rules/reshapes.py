"""Views, permutations, flattening, slices: run on numbered elements, and gone from the graph.

The operation itself is run on arange(C·H·W), once for each of two images. If what comes out is
still a map, cut cells and picked channels are written into the new graph; if not, the numbers
themselves go on to the Linear that will read them.
"""

# ruff: noqa: A002 - PyTorch calls it `input`

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.node import map_aggregate

from convlin.models.dense import grid, layout
from convlin.models.dense.call import Call
from convlin.models.dense.fx_graph import BATCH
from convlin.models.dense.registry import function, layer
from convlin.models.dense.value import Constant, MapValue, PlainValue


@layer(nn.Flatten, nn.Unflatten, nn.ChannelShuffle, nn.PixelUnshuffle, kind="reshape")
def reshape_layer(call: Call, input: Any) -> Any:
    """Run the layer on numbered elements."""
    return _rearranged(call, input, call.module)


@function(
    "view", "reshape", "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis",
    "flatten", "unflatten", "squeeze", "unsqueeze", "chunk", "split", "unbind", "narrow", "select",
    "flip", "roll", "channel_shuffle", "pixel_unshuffle", "tensor_split", kind="reshape",
)  # fmt: skip
def reshape(call: Call, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Run the operation on numbered elements."""
    target = call.node.target
    if (call.name or "").endswith("_"):
        raise call.refused("operation", call.name, f"{(call.name or '').rstrip('_')}, out of place",
                           "it changes the shape of a tensor that has other names")  # fmt: skip
    run: Any = getattr(Tensor, str(target)) if call.node.op == "call_method" else target
    return _rearranged(call, input, lambda numbers: run(numbers, *args, **kwargs))


@function("getitem", kind="reshape")
def getitem(call: Call, input: Any, index: Any) -> Any:
    """Take one of several values, or index numbered elements."""
    if isinstance(input, tuple | list):
        part = input[index]
        is_map = isinstance(part, MapValue) and part.roles is not None
        return replace(part, source=call.node) if is_map else part
    return _rearranged(call, input, lambda numbers: numbers[index])


@function("clone", kind="reshape")
def copied(call: Call, input: Any, **kwargs: Any) -> Any:
    """Keep a copy: what is written into it later must not reach the original."""
    if not isinstance(input, MapValue):
        return input
    node = call.walk.graph.call_method("clone", (input.node,))
    return input.moved(node)


@function("contiguous", "detach", kind="reshape")
def same(call: Call, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Leave out what only moves memory."""
    return input.viewed() if isinstance(input, MapValue) else input


@function("size", "getattr shape", "dim", "getattr ndim", "numel", "len", kind="shape")
def shape(call: Call, input: Any, *args: Any, **kwargs: Any) -> PlainValue:
    """Know the shape at the window, at both batches."""
    if isinstance(input, tuple | list):
        return PlainValue.fixed(len(input))
    sizes = [input.shape] * 2 if isinstance(input, Constant) else [
        (batch, *input.shape) for batch in (BATCH, BATCH + 1)
    ]  # fmt: skip
    return PlainValue(*(_asked(call.name, size, *args, **kwargs) for size in sizes))


@function("getattr dtype", kind="shape")
def dtype(call: Call, input: Any, *args: Any) -> PlainValue:
    """Know the dtype."""
    return PlainValue.fixed(call.node.all_input_nodes[0].meta["dtype"])


def _asked(name: str | None, size: tuple[int, ...], dim: int | None = None) -> Any:
    if name in ("dim", "getattr ndim"):
        return len(size)
    if name == "numel":
        return math.prod(size)
    if name == "len":
        return size[0]
    return torch.Size(size) if name == "getattr shape" or dim is None else size[dim]


def _rearranged(call: Call, value: Any, run: Callable[[Tensor], Any]) -> Any:
    """Return the value or values that the operation makes of this one."""
    if not isinstance(value, MapValue):
        raise call.no_image(value)
    count = math.prod(value.map_shape)
    numbers = value.elements
    batch = torch.stack([numbers + image * count for image in range(BATCH)])
    parts: Any = map_aggregate(run(batch), lambda part: _part(call, value, part, count))
    return parts


def _part(call: Call, value: MapValue, part: Any, count: int) -> Any:
    """Return what the elements that came out are."""
    if part.ndim == 0 or part.shape[0] != BATCH or not torch.equal(part[1], part[0] + count):
        raise call.refused("result", tuple(part.shape), f"({BATCH}, …), one row an image",
                           "it mixes the images of a batch")  # fmt: skip
    lying = layout.arrangement(part[0], value.map_shape)
    if lying is None or (value.unpooled and not lying.is_all_of(value.map_shape)):
        return value.viewed(roles=None, numbers=part[0])
    part_of_map = value.viewed(roles=lying.roles, numbers=None, source=call.node)
    return part_of_map if lying.is_all_of(value.map_shape) else _cut(call, part_of_map, lying)


def _cut(call: Call, value: MapValue, lying: layout.Arrangement) -> MapValue:
    """Return some cells and channels, taken off the grid."""
    node, ranges = value.node, []
    for axis, (start, count, every) in zip(value.axes, lying.cells, strict=True):
        tail = axis.size - 1 - (start + (count - 1) * every)
        apart = axis.step > 1
        ranges.append((start * axis.step, tail * axis.step, 1 if apart else every))
    if any(taken != (0, 0, 1) for taken in ranges):
        node = call.walk.function(grid.take_cells, node, tuple(ranges))
    if lying.channels != tuple(range(value.channels)):
        node = call.walk.function(grid.select_channels, node, lying.channels)
    axes = tuple(axis.taken(*cell) for axis, cell in zip(value.axes, lying.cells, strict=True))
    return replace(value, node=node, axes=axes, channels=len(lying.channels))
