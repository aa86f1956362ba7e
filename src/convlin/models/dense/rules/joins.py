"""Values beside each other, and written into each other: channels of one map.

Concatenated along channels, maps stay one. Along any other axis, or stacked along a new one, they
are channels of one map too, that the model has laid out otherwise.
"""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from convlin.models.dense import grid
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import BatchSecond, FeatureMap
from convlin.models.dense.rules.alignment import aligned, mixed_axes
from convlin.models.dense.rules.arithmetic import spread
from convlin.models.dense.rules.elementwise import behind
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant


def copied(call: DenseCall, input: Any, source: Any, *rest: Any) -> FeatureMap:
    """Return what is written over all of a value, in its shape."""
    value = call.lying(input)
    if isinstance(source, Constant):
        return spread(call, source, call.value(value))
    written = call.lying(source)
    if written.shape != value.shape:
        raise call.refused("source", written.shape, f"{value.shape}")
    return behind(call, written, call.cast(written.node, call.operands[-1]))


def concatenation(call: DenseCall, tensors: Sequence[Any], dim: int = 0) -> FeatureMap:
    """Keep a concatenation of channels; one of other axes is of channels too, laid otherwise."""
    values = _maps(call, tensors)
    first = values[0]
    axis = dim % (len(first.shape) + 1) - 1
    if axis < 0:
        raise call.refused("dim", dim, "any but the batch")
    if any(value.is_whole != first.is_whole for value in values):
        raise call.refused("tensors", "values of the whole image beside maps",
                           "the one or the other")  # fmt: skip
    if first.roles is not None and first.roles[axis] == 0 and all(
        value.roles == first.roles for value in values
    ):  # fmt: skip
        return _side_by_side(call, values, None)
    return _side_by_side(call, values, lambda numbers: torch.cat(numbers, axis))


def stack(call: DenseCall, tensors: Sequence[Any], dim: int = 0) -> FeatureMap | BatchSecond:
    """Keep values stacked along a new axis: channels behind each other, laid otherwise."""
    values = _maps(call, tensors)
    axis = dim % (len(values[0].shape) + 2) - 1
    if axis < 0:
        return BatchSecond(_side_by_side(call, values, lambda numbers: torch.stack(numbers, 0)))
    return _side_by_side(call, values, lambda numbers: torch.stack(numbers, axis))


def written_part(
    call: DenseCall, input: Any, source: Any, dim: int = 0, start: int | None = None,
    end: int | None = None, step: int = 1,
) -> FeatureMap:  # fmt: skip
    """Keep a write to some channels."""
    value, part = call.value(input), call.value(source)
    axis = dim % (len(value.shape) + 1) - 1
    if axis < 0:
        if part.shape == value.shape and call.takes_all_images(start, end, step):
            return part
        raise call.refused("dim", dim, "any but the batch")
    places = range(value.shape[axis])[start:end:step]
    return _replaced(call, value, part, axis, list(places))


def written_index(call: DenseCall, input: Any, source: Any, dim: int, index: int) -> FeatureMap:
    """Keep a write to one channel."""
    value, part = call.value(input), call.value(source)
    axis = dim % (len(value.shape) + 1) - 1
    if axis < 0:
        raise call.refused("dim", dim, "any but the batch")
    return _replaced(call, value, part, axis, [index % value.shape[axis]])


def _side_by_side(
    call: DenseCall, values: Sequence[FeatureMap], lay: Callable[[list[Tensor]], Tensor] | None
) -> FeatureMap:
    """Return the channels of all values in one map; `lay` arranges their elements in the model."""
    sizes = [value.size for value in values]
    if len({*sizes}) > 1:
        raise call.refused(
            "tensors", sizes, "maps of equal size", "they cannot be channels of one map"
        )
    values = aligned(call, values)
    node = call.function(torch.cat, [value.node for value in values], dim=1)
    channels = sum(value.channels for value in values)
    made = values[0].moved(node, axes=mixed_axes(values), channels=channels, source=call.node)
    if lay is None:
        return made
    cells, first, numbers = math.prod(sizes[0]), 0, []
    for value in values:
        numbers.append(value.elements + first * cells)
        first += value.channels
    return made.laid(lay(numbers), call.node)


def _replaced(
    call: DenseCall, value: FeatureMap, part: FeatureMap, axis: int, places: list[int]
) -> FeatureMap:
    """Return the value with some of its channels taken from `part`."""
    part = part.moved(call.cast(part.node, call.operands[-1]))
    if places == list(range(value.shape[axis])) and part.shape == value.shape:
        return part
    if value.roles is None or value.roles[axis] != 0:
        raise call.refused("part", places, "channels, or all of it", "it writes to some cells of a "
                           "window, and other windows have others")  # fmt: skip
    lying = tuple(role for role in value.roles if role)
    theirs = part.roles is not None and tuple(role for role in part.roles if role)
    if theirs != lying or part.size != value.size or part.channels != len(places):
        raise call.refused("source", part.shape, f"{len(places)} channels of {value.size} cells, "
                           "lying as what they are written to")  # fmt: skip
    whole, part = aligned(call, [value, part])
    both = call.function(torch.cat, [whole.node, part.node], dim=1)
    order = list(range(value.channels))
    for place, channel in enumerate(places):
        order[channel] = value.channels + place
    node = call.function(grid.select_channels, both, tuple(order))
    return value.moved(node, axes=mixed_axes([whole, part]), source=call.node)


def _maps(call: DenseCall, tensors: Sequence[Any]) -> list[FeatureMap]:
    """Return the values that are to be one, constants among them as maps of the others' cells."""
    first = next((value for value in tensors if isinstance(value, FeatureMap)), tensors[0])
    like = call.value(first)
    return [
        _beside(call, value, like) if isinstance(value, Constant) else call.value(value)
        for value in tensors
    ]


def _beside(call: DenseCall, constant: Constant, like: FeatureMap) -> FeatureMap:
    """Return a tensor of the model as a map with the cells of another one."""
    theirs = constant.shape[-len(like.shape) :]
    axis = like.channel_axis
    pairs = zip(theirs, like.shape, strict=False)
    if any(n != m for i, (n, m) in enumerate(pairs) if i != axis):
        raise call.refused("tensors", constant.shape, f"a tensor for {like.shape}",
                           "side by side with the cells of a map, tokens are no map")  # fmt: skip
    return spread(call, constant, like)


_CHANNELS = "channels of one map, in the window and in the image"

RULES = (
    Rule(copied, _CHANNELS, ("copy",)),
    Rule(concatenation, _CHANNELS, ("cat", "concat", "concatenate")),
    Rule(stack, _CHANNELS, ("stack",)),
    Rule(written_part, _CHANNELS, ("slice_scatter",)),
    Rule(written_index, _CHANNELS, ("select_scatter",)),
)  # fmt: skip
