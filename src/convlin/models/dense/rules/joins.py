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
from convlin.models.dense.place import Constant, Place
from convlin.models.dense.registry import function
from convlin.models.dense.rules.elementwise import (
    elementwise,
    overwrite,
    require_private,
)

IN_PLACE = ("iadd", "isub", "imul", "itruediv")


@function("add", "sub", "mul", "div", "truediv", "true_divide", "subtract", "multiply", "divide",
          "pow", "maximum", "minimum", "rsub", *IN_PLACE)  # fmt: skip
def arithmetic(call: Call, input: Any, other: Any, *rest: Any, **more: Any) -> Place:
    """Keep arithmetic of maps, numbers, and weights per channel."""
    places = [value for value in (input, other) if isinstance(value, Place)]
    places = [call.place(place) for place in places]
    in_place = call.name in IN_PLACE or (call.name or "").endswith("_")
    constants = [value for value in (input, other) if isinstance(value, Constant)]
    if len(places) == 2:
        return _two(call, places[0], places[1], in_place)
    if not constants:
        return elementwise(call, places[0], in_place)
    return _weighted(call, places[0], constants[0], in_place)


@function("cat", "concat", "concatenate")
def concatenation(call: Call, tensors: Sequence[Any], dim: int = 0) -> Place:
    """Keep a concatenation of channels."""
    places = [call.place(value) for value in tensors]
    first = places[0]
    axis = dim % (len(first.shape) + 1) - 1
    if any(place.roles is None or place.roles != first.roles for place in places):
        raise call.refused("tensors", [place.shape for place in places], "maps that lie alike",
                           "flattened maps side by side are no map")  # fmt: skip
    assert first.roles is not None
    if axis < 0 or first.roles[axis] != 0:
        raise call.refused("dim", dim, "the channels")
    if any(place.is_whole != first.is_whole for place in places):
        raise call.refused("tensors", "a value of the whole image beside maps", "either")
    places = aligned(call, places)
    node = call.walk.function(torch.cat, [place.node for place in places], dim=1)
    axes = _mixed_axes(places)
    return places[0].moved(
        node, axes=axes, channels=sum(place.channels for place in places), source=call.node
    )


@function("expand_as")
def expand_as(call: Call, input: Any, other: Any) -> Place:
    """Keep a value of the whole image spread over a map."""
    gate, map_ = call.map(input), call.map(other)
    if gate.shape == map_.shape:
        return gate
    if not gate.is_whole:
        raise call.refused("input", gate.size, f"{map_.size} cells", _ONE_MEETS_MANY)
    axes = tuple(axis.breaking(gate.culprits) for axis in map_.axes)
    return call.mapped(map_, call.keep(), axes)


def aligned(call: Call, places: Sequence[Place]) -> list[Place]:
    """Return the values on one and the same grid, thinned out or cut where they were not."""
    fine = [place for place in places if not place.is_whole]
    if len(fine) < 2:
        return list(places)
    stride = tuple(math.lcm(*(p.axes[d].stride for p in fine)) for d in range(call.ndim))
    thinned = {id(place): coarsened(call, place, stride) for place in fine}
    fine = [thinned[id(place)] for place in fine]
    if any(axis.step != a.step for p in fine for axis, a in zip(p.axes, fine[0].axes, strict=True)):
        raise call.refused("cells apart", [place.step for place in fine], "equal",
                           "behind different adaptive pools")  # fmt: skip
    cut = {id(place): _cut(call, place, fine) for place in fine}
    return [place if place.is_whole else cut[id(thinned[id(place)])] for place in places]


def coarsened(call: Call, place: Place, stride: tuple[int, ...]) -> Place:
    """Return the value on a grid of this stride."""
    thinned = [axis.coarsened(s) for axis, s in zip(place.axes, stride, strict=True)]
    axes = tuple(axis for axis in thinned if axis is not None)
    if len(axes) < len(thinned):
        raise call.refused("stride", [axis.stride for axis in place.axes], f"{stride}",
                           "its cells do not lie on the other's grid")  # fmt: skip
    every = tuple(s // axis.stride for axis, s in zip(place.axes, stride, strict=True))
    if all(n == 1 for n in every):
        return place
    ranges = tuple((0, 0, n) for n in every)
    node = call.walk.function(grid.take_cells, place.node, ranges)
    return replace(place, axes=axes, node=node)


def _cut(call: Call, place: Place, places: Sequence[Place]) -> Place:
    """Return the value with the cells that all of them have, for every image size."""
    node, axes = place.node, []
    for dim, axis in enumerate(place.axes):
        least = min(places, key=lambda other: other.axes[dim].slack)
        if axis.slack > least.axes[dim].slack:
            node = call.walk.function(grid.shorten, node, dim + 2, least.node)
        axes.append(axis.at_most(least.axes[dim].slack))
    return replace(place, node=node, axes=tuple(axes))


def _two(call: Call, a: Place, b: Place, in_place: bool) -> Place:
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
    places = aligned(call, [a, b])
    operands = dict(zip(call.node.all_input_nodes, [place.node for place in places], strict=False))
    node = call.keep(operands)
    base = max(places, key=lambda place: not place.is_whole)
    result = base.moved(
        node, axes=_mixed_axes(places), channels=max(a.channels, b.channels), roles=roles,
        source=a.source if roles is None else call.node,
    )  # fmt: skip
    if in_place:
        result = replace(result, base=a.base, tensor=a.tensor)
        overwrite(call, a, result)
    return result


def _weighted(call: Call, place: Place, constant: Constant, in_place: bool) -> Place:
    """Return the place behind arithmetic with a tensor of the model: one number per channel."""
    if math.prod(constant.shape) == 1:
        return elementwise(call, place, in_place)
    if in_place:
        require_private(call, place)
    rank = len(place.shape) + 1
    sizes = (1,) * (rank - len(constant.shape)) + constant.shape
    axis = layout.axis_of_channels(place.roles)
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
    result = place.moved(node, channels=max(place.channels, sizes[axis + 1]), source=call.node)
    if in_place:
        result = replace(result, base=place.base, tensor=place.tensor)
        overwrite(call, place, result)
    return result


def _common(a: layout.Roles, b: layout.Roles) -> layout.Roles | None:
    """Return the roles of a result of both; None if axes of one meet others of the other."""
    if len(a) != len(b) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(a, b, strict=True)
    ):
        return None
    return tuple(y if x is None else x for x, y in zip(a, b, strict=True))


def _mixed_axes(places: Sequence[Place]) -> tuple[Axis, ...]:
    """Return the axes of a value computed cell by cell from all of them."""
    maps = [place for place in places if not place.is_whole] or list(places)
    axes = list(maps[0].axes)
    for place in maps[1:]:
        axes = [axis.mixed(other) for axis, other in zip(axes, place.axes, strict=True)]
    whole = frozenset().union(*(place.culprits for place in places if place.is_whole))
    return tuple(axis.breaking(whole) for axis in axes)


_ONE_MEETS_MANY = "a value of one cell per window cannot meet each cell of a map: windows overlap"
