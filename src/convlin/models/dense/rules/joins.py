"""Arithmetic and concatenation: two values meet cell by cell, so their grids must be the same.

Equal grids have equal stride and step; one may have more cells than the other for some image
sizes (⌊(H + slack)/stride⌋), and is then cut to the smaller. A finer grid is thinned out.
"""

# ruff: noqa: A002 - PyTorch calls it `input`

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from convlin.models.dense import grid, layout
from convlin.models.dense.axis import Axis
from convlin.models.dense.call import Call
from convlin.models.dense.registry import function
from convlin.models.dense.rules.elementwise import (
    elementwise,
    overwrite,
    require_private,
)
from convlin.models.dense.value import Constant, MapValue

IN_PLACE = ("iadd", "isub", "imul", "itruediv")


@function("add", "sub", "mul", "div", "truediv", "true_divide", "subtract", "multiply", "divide",
          "pow", "maximum", "minimum", "rsub", *IN_PLACE)  # fmt: skip
def arithmetic(call: Call, input: Any, other: Any, *rest: Any, **more: Any) -> MapValue:
    """Keep arithmetic of maps, numbers, and weights per channel."""
    values = [value for value in (input, other) if isinstance(value, MapValue)]
    values = [call.value(value) for value in values]
    in_place = call.name in IN_PLACE or (call.name or "").endswith("_")
    constants = [value for value in (input, other) if isinstance(value, Constant)]
    if len(values) == 2:
        return _two(call, values[0], values[1], in_place)
    if not values:  # tuples, which Python joins and repeats
        raise call.no_image(input)
    if not constants:
        return elementwise(call, values[0], in_place)
    return _weighted(call, values[0], constants[0], in_place)


@function("cat", "concat", "concatenate")
def concatenation(call: Call, tensors: Sequence[Any], dim: int = 0) -> MapValue:
    """Keep a concatenation of channels."""
    values = [call.value(value) for value in tensors]
    first = values[0]
    axis = dim % (len(first.shape) + 1) - 1
    if any(value.roles is None or value.roles != first.roles for value in values):
        raise call.refused("tensors", [value.shape for value in values], "maps that lie alike",
                           "flattened maps side by side are no map")  # fmt: skip
    assert first.roles is not None
    if axis < 0 or first.roles[axis] != 0:
        raise call.refused("dim", dim, "the channels")
    if any(value.is_whole != first.is_whole for value in values):
        raise call.refused("tensors", "values of the whole image beside maps",
                           "the one or the other")  # fmt: skip
    values = aligned(call, values)
    node = call.walk.function(torch.cat, [value.node for value in values], dim=1)
    axes = _mixed_axes(values)
    return values[0].moved(
        node, axes=axes, channels=sum(value.channels for value in values), source=call.node
    )


@function("expand_as")
def expand_as(call: Call, input: Any, other: Any) -> MapValue:
    """Keep a value of the whole image spread over a map."""
    gate, map_ = call.map(input), call.map(other)
    if gate.shape == map_.shape:
        return gate
    if not gate.is_whole:
        raise call.refused("input", gate.size, f"{map_.size} cells", _ONE_MEETS_MANY)
    axes = tuple(axis.breaking(gate.culprits) for axis in map_.axes)
    return call.mapped(map_, call.keep(), axes)


def aligned(call: Call, values: Sequence[MapValue]) -> list[MapValue]:
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


def coarsened(call: Call, value: MapValue, stride: tuple[int, ...]) -> MapValue:
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
    node = call.walk.function(grid.take_cells, value.node, ranges)
    return replace(value, axes=axes, node=node)


def _cut(call: Call, value: MapValue, values: Sequence[MapValue]) -> MapValue:
    """Return the value with the cells that all of them have, for every image size."""
    node, axes = value.node, []
    for dim, axis in enumerate(value.axes):
        least = min(values, key=lambda other: other.axes[dim].slack)
        if axis.slack > least.axes[dim].slack:
            node = call.walk.function(grid.shorten, node, dim + 2, least.node)
        axes.append(axis.at_most(least.axes[dim].slack))
    return replace(value, node=node, axes=tuple(axes))


def _two(call: Call, a: MapValue, b: MapValue, in_place: bool) -> MapValue:
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
    if in_place:
        require_private(call, a)
    values = aligned(call, [a, b])
    operands = dict(zip(call.node.all_input_nodes, [value.node for value in values], strict=False))
    node = call.keep(operands)
    base = max(values, key=lambda value: not value.is_whole)
    result = base.moved(
        node, axes=_mixed_axes(values), channels=max(a.channels, b.channels), roles=roles,
        source=a.source if roles is None else call.node,
    )  # fmt: skip
    if in_place:
        result = replace(result, base=a.base, tensor=a.tensor)
        overwrite(call, a, result)
    return result


def _weighted(call: Call, value: MapValue, constant: Constant, in_place: bool) -> MapValue:
    """Return the value behind arithmetic with a tensor of the model: one number per channel."""
    if math.prod(constant.shape) == 1:
        return elementwise(call, value, in_place)
    if in_place:
        require_private(call, value)
    rank = len(value.shape) + 1
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
        weights = call.walk.graph.call_method("reshape", (weights, wanted))
    nodes = {node: weights for node in call.node.all_input_nodes
             if call.walk.values[node] is constant}  # fmt: skip
    node = call.keep(nodes)
    result = value.moved(node, channels=max(value.channels, sizes[axis + 1]), source=call.node)
    if in_place:
        result = replace(result, base=value.base, tensor=value.tensor)
        overwrite(call, value, result)
    return result


def _common(a: layout.Roles, b: layout.Roles) -> layout.Roles | None:
    """Return the roles of a result of both; None if axes of one meet others of the other."""
    if len(a) != len(b) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(a, b, strict=True)
    ):
        return None
    return tuple(y if x is None else x for x, y in zip(a, b, strict=True))


def _mixed_axes(values: Sequence[MapValue]) -> tuple[Axis, ...]:
    """Return the axes of a value computed cell by cell from all of them."""
    maps = [value for value in values if not value.is_whole] or list(values)
    axes = list(maps[0].axes)
    for value in maps[1:]:
        axes = [axis.mixed(other) for axis, other in zip(axes, value.axes, strict=True)]
    whole = frozenset().union(*(value.culprits for value in values if value.is_whole))
    return tuple(axis.breaking(whole) for axis in axes)


_ONE_MEETS_MANY = "a value of one cell per window cannot meet each cell of a map: windows overlap"
