"""Arithmetic and concatenation: two values meet cell by cell, so their grids must be the same.

Equal grids have equal stride and step; one may have more cells than the other for some image
sizes (⌊(H + slack)/stride⌋), and is then cut to the smaller. A finer grid is thinned out.
"""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from convlin.models.dense import grid, layout
from convlin.models.dense.axis import Axis
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import FeatureMap
from convlin.models.dense.rules.elementwise import behind, elementwise
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant


def arithmetic(call: DenseCall, input: Any, other: Any, *rest: Any, **more: Any) -> FeatureMap:
    """Keep arithmetic of maps, numbers, and weights per channel."""
    values = [call.value(value) for value in (input, other) if isinstance(value, FeatureMap)]
    constants = [value for value in (input, other) if isinstance(value, Constant)]
    if len(values) == 2:
        return _two(call, values[0], values[1])
    if not constants:
        return elementwise(call, values[0])
    return _weighted(call, values[0], constants[0])


def copied(call: DenseCall, input: Any, source: Any, *rest: Any) -> FeatureMap:
    """Return what is written over all of a value, in its shape."""
    value = call.lying(input)
    if isinstance(source, Constant):
        return _weighted(call, call.value(value), source)
    written = call.lying(source)
    if written.shape != value.shape:
        raise call.refused("source", written.shape, f"{value.shape}")
    return behind(call, written, written.node)


def concatenation(call: DenseCall, tensors: Sequence[Any], dim: int = 0) -> FeatureMap:
    """Keep a concatenation of channels; one of other axes is of channels too, laid otherwise."""
    values = [call.value(value) for value in tensors]
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


def stack(call: DenseCall, tensors: Sequence[Any], dim: int = 0) -> FeatureMap:
    """Keep values stacked along a new axis: channels behind each other, laid otherwise."""
    values = [call.value(value) for value in tensors]
    axis = dim % (len(values[0].shape) + 2) - 1
    if axis < 0:
        raise call.refused("dim", dim, "any but the batch")
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


def expand_as(call: DenseCall, input: Any, other: Any) -> FeatureMap:
    """Keep a value of the whole image spread over a map."""
    if isinstance(input, FeatureMap) and isinstance(other, FeatureMap):
        one, many = call.value(input), call.value(other)
        if one.shape == many.shape:
            return one
        if one.roles == many.roles and one.channels == 1 and one.size == many.size:
            one, many = aligned(call, [one, many])
            node = call.function(torch.Tensor.expand_as, one.node, many.node)
            return one.moved(node, axes=_mixed_axes([one, many]), channels=many.channels,
                             source=call.node)  # fmt: skip
    gate, map_ = call.map(input), call.map(other)
    if not gate.is_whole:
        raise call.refused("input", gate.size, f"{map_.size} cells", _ONE_MEETS_MANY)
    axes = tuple(axis.breaking(gate.culprits) for axis in map_.axes)
    return call.mapped(map_, call.keep(), axes)


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
    made = values[0].moved(node, axes=_mixed_axes(values), channels=channels, source=call.node)
    if lay is None:
        return made
    cells, first, numbers = math.prod(sizes[0]), 0, []
    for value in values:
        numbers.append(value.elements + first * cells)
        first += value.channels
    laid = lay(numbers)
    lying = layout.arrangement(laid, made.map_shape)
    if lying is not None and lying.is_all_of(made.map_shape):
        return replace(made, roles=lying.roles, numbers=None)
    return replace(made, roles=None, numbers=laid)


def _replaced(
    call: DenseCall, value: FeatureMap, part: FeatureMap, axis: int, places: list[int]
) -> FeatureMap:
    """Return the value with some of its channels taken from `part`."""
    if places == list(range(value.shape[axis])) and part.shape == value.shape:
        return part
    if value.roles is None or value.roles[axis] != 0:
        raise call.refused("part", places, "channels, or all of it", "it writes to some cells of a "
                           "window, and other windows have others")  # fmt: skip
    if part.roles is None or part.size != value.size or part.channels != len(places):
        raise call.refused("source", part.shape, f"{len(places)} channels of {value.size} cells")
    whole, part = aligned(call, [value, part])
    both = call.function(torch.cat, [whole.node, part.node], dim=1)
    order = list(range(value.channels))
    for place, channel in enumerate(places):
        order[channel] = value.channels + place
    node = call.function(grid.select_channels, both, tuple(order))
    return value.moved(node, axes=_mixed_axes([whole, part]), source=call.node)


def aligned(call: DenseCall, values: Sequence[FeatureMap]) -> list[FeatureMap]:
    """Return the values on one and the same grid, thinned out or cut where they were not."""
    fine = [value for value in values if not value.is_whole]
    if len(fine) < 2:
        return list(values)
    stride = tuple(math.lcm(*(p.axes[d].stride for p in fine)) for d in range(call.ndim))
    thinned = {id(value): coarsened(call, value, stride) for value in fine}
    fine = [thinned[id(value)] for value in fine]
    if any(axis.step != a.step for p in fine for axis, a in zip(p.axes, fine[0].axes, strict=True)):
        raise call.refused("distance of cells", [value.step for value in fine], "the same",
                           "behind different adaptive pools")  # fmt: skip
    cut = {id(value): _cut(call, value, fine) for value in fine}
    return [value if value.is_whole else cut[id(thinned[id(value)])] for value in values]


def coarsened(call: DenseCall, value: FeatureMap, stride: tuple[int, ...]) -> FeatureMap:
    """Return the value on a grid of this stride."""
    thinned = [axis.coarsened(s) for axis, s in zip(value.axes, stride, strict=True)]
    axes = tuple(axis for axis in thinned if axis is not None)
    if len(axes) < len(thinned):
        raise call.refused("stride", [axis.stride for axis in value.axes], f"{stride}",
                           "its cells do not lie on the other's grid")  # fmt: skip
    every = tuple(s // axis.stride for axis, s in zip(value.axes, stride, strict=True))
    if all(n == 1 for n in every):
        return value
    ranges = tuple((0, 0, n) for n in every)
    node = call.function(grid.take_cells, value.node, ranges)
    return replace(value, axes=axes, node=node)


def _cut(call: DenseCall, value: FeatureMap, values: Sequence[FeatureMap]) -> FeatureMap:
    """Return the value with the cells that all of them have, for every image size."""
    node, axes = value.node, []
    for dim, axis in enumerate(value.axes):
        least = min(values, key=lambda other: other.axes[dim].slack)
        if axis.slack > least.axes[dim].slack:
            node = call.function(grid.shorten, node, dim + 2, least.node)
        axes.append(axis.at_most(least.axes[dim].slack))
    return replace(value, node=node, axes=tuple(axes))


def _two(call: DenseCall, a: FeatureMap, b: FeatureMap) -> FeatureMap:
    if a.roles is None or b.roles is None:
        alike = a.map_shape == b.map_shape and torch.equal(a.elements, b.elements)
        roles: layout.Roles | None = None
    else:
        roles = _common(a.roles, b.roles)
        alike = roles is not None
    if not alike:
        raise call.refused("operands", (a.shape, b.shape), "maps whose axes lie alike",
                           f"of maps {a.map_shape} and {b.map_shape}")  # fmt: skip
    if a.size != b.size and not a.is_whole and not b.is_whole:
        raise call.refused("operands", (a.size, b.size), "equal numbers of cells", _ONE_MEETS_MANY)
    values = aligned(call, [a, b])
    node = call.keep(dict(zip(call.operands, [value.node for value in values], strict=False)))
    base = max(values, key=lambda value: not value.is_whole)
    return base.moved(
        node, axes=_mixed_axes(values), channels=max(a.channels, b.channels), roles=roles,
        source=a.source if roles is None else call.node,
    )  # fmt: skip


def _weighted(call: DenseCall, value: FeatureMap, constant: Constant) -> FeatureMap:
    """Return the value behind arithmetic with a tensor of the model: one number per channel."""
    rank = len(value.shape) + 1
    if math.prod(constant.shape) == 1 and len(constant.shape) <= rank:
        alone = call.function(torch.reshape, constant.node, ()) if constant.shape else constant.node
        return behind(call, value, call.keep({constant.traced: alone}))
    sizes = (1,) * (rank - len(constant.shape)) + constant.shape
    axis = layout.axis_of_channels(value.roles)
    if axis is None or any(n != 1 for i, n in enumerate(sizes) if i != axis + 1):
        raise call.refused(
            "weights",
            constant.shape,
            "one number per channel",
            "as a position embedding, it has numbers for the window's cells only",
        )
    weights = constant.node
    wanted = (sizes[axis + 1], *(1,) * call.ndim)
    if constant.shape[-len(wanted) :] != wanted:
        weights = call.function(torch.reshape, weights, wanted)
    node = call.keep({constant.traced: weights})
    return value.moved(node, channels=max(value.channels, sizes[axis + 1]), source=call.node)


def _common(a: layout.Roles, b: layout.Roles) -> layout.Roles | None:
    """Return the roles of a result of both; None if axes of one meet others of the other."""
    if len(a) != len(b) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(a, b, strict=True)
    ):
        return None
    return tuple(y if x is None else x for x, y in zip(a, b, strict=True))


def _mixed_axes(values: Sequence[FeatureMap]) -> tuple[Axis, ...]:
    """Return the axes of a value computed cell by cell from all of them."""
    maps = [value for value in values if not value.is_whole] or list(values)
    axes = list(maps[0].axes)
    for value in maps[1:]:
        axes = [axis.mixed(other) for axis, other in zip(axes, value.axes, strict=True)]
    whole = frozenset().union(*(value.culprits for value in values if value.is_whole))
    return tuple(axis.breaking(whole) for axis in axes)


_ONE_MEETS_MANY = "a value of one cell per window cannot meet each cell of a map: windows overlap"

_CELLS = "cells of the same place meet, in the window and in the image"

RULES = (
    Rule(arithmetic, _CELLS,
         ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "rsub", "true_divide", "fmax",
          "fmin", "float_power", "fill")),
    Rule(copied, _CELLS, ("copy",), kind="reshape"),
    Rule(concatenation, _CELLS, ("cat", "concat", "concatenate")),
    Rule(stack, _CELLS, ("stack",)),
    Rule(written_part, _CELLS, ("slice_scatter",)),
    Rule(written_index, _CELLS, ("select_scatter",)),
    Rule(expand_as, _CELLS, ("expand_as",)),
)  # fmt: skip
