"""Arithmetic: maps meet cell by cell, numbers meet every element, weights meet their channel."""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx

from convlin.models.dense import grid, layout
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import FeatureMap
from convlin.models.dense.rules.alignment import aligned, mixed_axes
from convlin.models.dense.rules.elementwise import behind, elementwise
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant

ONE_MEETS_MANY = "a value of one cell per window cannot meet each cell of a map: windows overlap"


def arithmetic(call: DenseCall, *args: Any, **kwargs: Any) -> FeatureMap:
    """Keep a function of elements that lie in the same place."""
    given = call.given
    values = {node: call.value(value) for node, value in given.items()
              if not isinstance(value, Constant)}  # fmt: skip
    constants = [value for value in given.values() if isinstance(value, Constant)]
    if len(values) == 1 and not constants:
        return elementwise(call, *values.values())
    base, instead = _together(call, values)
    weights = {value.traced: _weights(call, base, value) for value in constants}
    node = call.keep({**instead, **{key: node for key, (node, _) in weights.items()}})
    channels = max(base.channels, *(n for _, n in weights.values()), 1)
    return behind(call, base.moved(node, channels=channels), node)


def _together(
    call: DenseCall, given: dict[fx.Node, FeatureMap]
) -> tuple[FeatureMap, dict[fx.Node, fx.Node]]:
    """Return what is known of a value made cell by cell of all, and their nodes on one grid."""
    values = list(given.values())
    base = values[0]
    for value in values[1:]:
        base = _met(call, base, value)
    laid = aligned(call, values)
    lead = max(laid, key=lambda value: not value.is_whole)
    source = base.source if base.roles is None else lead.source
    return lead.moved(
        lead.node, axes=mixed_axes(laid), channels=base.channels, roles=base.roles,
        numbers=base.numbers, source=source,
    ), dict(zip(given, [value.node for value in laid], strict=True))  # fmt: skip


def _met(call: DenseCall, a: FeatureMap, b: FeatureMap) -> FeatureMap:
    """Return how a value of two lies: refuse it where axes of one meet others of the other."""
    if a.roles is None or b.roles is None:
        alike = _same_elements(a, b)
        roles: layout.Roles | None = None
    else:
        roles = _common(a.roles, b.roles)
        alike = roles is not None
    if not alike:
        raise call.refused("operands", (a.shape, b.shape), "maps whose axes lie alike",
                           f"of maps {a.map_shape} and {b.map_shape}")  # fmt: skip
    if a.size != b.size and not a.is_whole and not b.is_whole:
        raise call.refused("operands", (a.size, b.size), "equal numbers of cells", ONE_MEETS_MANY)
    base = b if a.is_whole or a.elements.numel() < b.elements.numel() else a
    numbers = base.elements if roles is None else None
    channels = max(a.channels, b.channels)
    return base.moved(base.node, roles=roles, channels=channels, numbers=numbers)


def _same_elements(a: FeatureMap, b: FeatureMap) -> bool:
    """Whether elements of one cell meet, and of one channel; one channel alone meets all."""
    (channels, cells), (theirs, others) = (_places(value) for value in (a, b))
    try:
        torch.broadcast_tensors(channels, theirs)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
    alike = a.is_whole or b.is_whole or bool((cells == others).all())
    return alike and (1 in (a.channels, b.channels) or bool((channels == theirs).all()))


def _places(value: FeatureMap) -> tuple[Tensor, Tensor]:
    """Return the channel and the cell of every element."""
    cells = math.prod(value.size)
    return value.elements // cells, value.elements % cells


def _weights(call: DenseCall, value: FeatureMap, constant: Constant) -> tuple[fx.Node, int]:
    """Return a tensor of the model as it meets the grid: one number per channel; how many."""
    rank = len(value.shape) + 1
    node, shape = constant.narrow or (constant.node, constant.shape)
    if len(constant.shape) > rank:
        raise call.refused("weights", constant.shape, f"at most {rank} axes")
    if math.prod(shape) == 1:
        return (call.function(torch.reshape, node, ()) if shape else node), 1
    sizes = (1,) * (rank - len(shape)) + shape
    axis = value.channel_axis
    if axis is None or any(n != 1 for i, n in enumerate(sizes) if i != axis + 1):
        raise call.refused(
            "weights",
            shape,
            "one number per channel",
            "as a position embedding, it has numbers for the window's cells only",
        )
    wanted = (sizes[axis + 1], *(1,) * call.ndim)
    if shape not in (wanted, (1, *wanted)):
        node = call.function(torch.reshape, node, wanted)
    return node, sizes[axis + 1]


def expand_as(call: DenseCall, input: Any, other: Any) -> Any:
    """Keep a value of the whole image spread over a map."""
    many = call.value(other)
    if isinstance(input, Constant):
        return spread(call, input, many)
    one = call.value(input)
    if one.shape == many.shape:
        return one
    if one.roles == many.roles and one.channels == 1 and one.size == many.size:
        one, many = aligned(call, [one, many])
        node = call.function(torch.Tensor.expand_as, one.node, many.node)
        return one.moved(node, axes=mixed_axes([one, many]), channels=many.channels,
                         source=call.node)  # fmt: skip
    gate, map_ = call.map(input), call.map(other)
    if not gate.is_whole:
        raise call.refused("input", gate.size, f"{map_.size} cells", ONE_MEETS_MANY)
    axes = tuple(axis.breaking(gate.culprits) for axis in map_.axes)
    return call.mapped(map_, call.keep(), axes)


def spread(call: DenseCall, constant: Constant, like: FeatureMap) -> FeatureMap:
    """Return one number per channel as a map, of the cells that another one has."""
    node, channels = _weights(call, like, constant)
    axis = layout.axis_of_channels(like.roles)
    wide = like.channels
    if axis is not None and call.shape != like.shape:  # it stands beside the others as it is
        wide = constant.shape[-len(like.shape) :][axis]
    channels = max(channels, wide)
    node = call.function(grid.spread, node, like.node, channels)
    clean = tuple(axis.clean() for axis in like.axes)
    return like.moved(node, channels=channels, axes=clean, source=call.node)


def _common(a: layout.Roles, b: layout.Roles) -> layout.Roles | None:
    """Return the roles of a result of both; None if axes of one meet others of the other."""
    if len(a) != len(b) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(a, b, strict=True)
    ):
        return None
    roles = tuple(y if x is None else x for x, y in zip(a, b, strict=True))
    named = [role for role in roles if role is not None]
    return roles if len({*named}) == len(named) else None


_CELLS = "cells of the same place meet, in the window and in the image"

RULES = (
    Rule(arithmetic, _CELLS,
         ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "rsub", "true_divide", "fmax",
          "fmin", "float_power", "fill", "clamp", "clamp_min", "clamp_max", "clip", "where",
          "addcmul", "addcdiv", "lerp", "masked_fill", "remainder", "fmod", "floor_divide",
          "atan2", "gt", "ge", "lt", "le", "eq", "ne", "logical_and", "logical_or", "logical_not",
          "logical_xor")),
    Rule(expand_as, _CELLS, ("expand_as",)),
)  # fmt: skip
