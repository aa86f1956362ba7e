"""Reductions: over all cells of a window, which is a pool, or over the channels of every cell.

A sum is an average times a number, a minimum the maximum of what is below 0. Values that were
stacked are channels of one map, and a reduction over that axis takes groups of them together.
"""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from convlin.models.dense import grid, layout
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import BatchSecond, FeatureMap
from convlin.models.dense.rules.arithmetic import arithmetic
from convlin.models.dense.rules.pooling import gates, pool_all, require_no_indices, whole
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant


def mean(
    call: DenseCall, input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> FeatureMap:
    """Average over channels, or over all cells of some dimensions of space."""
    if dtype is not None:
        raise call.refused("dtype", dtype, "None")
    return _reduce(call, input, dim, keepdim, "avg")


def total(
    call: DenseCall, input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> FeatureMap:
    """Sum, as the average times the number of what is summed."""
    stacked, dim = _batch_first(input, dim, keepdim)
    average = mean(call, stacked, dim, keepdim, dtype=dtype)
    count = math.prod(call.value(stacked).shape) // math.prod(average.shape)
    return average.moved(call.function(torch.mul, average.node, count))


def largest(call: DenseCall, input: Any, dim: Any = (), keepdim: bool = False) -> FeatureMap:
    """Take the maximum over channels, or over all cells of some dimensions of space."""
    return _reduce(call, input, dim, keepdim, "max")


def largest_and_where(call: DenseCall, input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Take the maximum of two values, or over a dimension."""
    return _and_where(call, largest, input, dim, keepdim)


def smallest(call: DenseCall, input: Any, dim: Any = (), keepdim: bool = False) -> FeatureMap:
    """Take the minimum, as the maximum of what is below 0."""
    stacked, dim = _batch_first(input, dim, keepdim)
    value = call.value(stacked)
    above = largest(call, value.moved(call.function(torch.neg, value.node)), dim, keepdim)
    return above.moved(call.function(torch.neg, above.node))


def smallest_and_where(call: DenseCall, input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Take the minimum of two values, or over a dimension."""
    return _and_where(call, smallest, input, dim, keepdim)


def length(
    call: DenseCall, input: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *,
    dtype: Any = None,
) -> FeatureMap:  # fmt: skip
    """Keep the length of a cell's channels; that of all cells where it meets a map again."""
    value = call.value(input)
    rank = len(value.shape) + 1
    axes = [d % rank - 1 for d in (dim or range(rank))]
    roles = value.roles or ()
    over = {roles[axis] for axis in axes if 0 <= axis < len(roles)}
    if any(axis < 0 for axis in axes):
        raise call.refused("dim", dim, "any but the batch")
    if dtype is None and over == {0}:
        node = call.function(torch.linalg.vector_norm, value.node, ord, 1, True)
        left = tuple(role for i, role in enumerate(roles) if keepdim or i not in axes)
        return value.moved(node, channels=1, roles=left, source=call.node)
    space = tuple(range(2, call.ndim + 2))
    if dtype is None and over == {*range(1, call.ndim + 1)} and keepdim and gates(call.node):
        return whole(call, value, call.function(
            torch.linalg.vector_norm, value.node, ord, space, True), roles)  # fmt: skip
    raise call.refused("dim", dim, "the channels alone")


def _and_where(
    call: DenseCall, reduce: Callable[..., FeatureMap], input: Any, dim: Any, keepdim: bool
) -> Any:
    """Return what ATen calls by one name: of two values; over a dimension, with indices."""
    if isinstance(dim, FeatureMap | Constant):
        return arithmetic(call, input, dim)
    if dim is None:
        raise call.refused("dim", dim, "any but the batch")
    require_no_indices(call)
    return reduce(call, input, dim, keepdim), None


def _reduce(call: DenseCall, input: Any, dim: Any, keepdim: bool, kind: str) -> FeatureMap:
    stacked, dim = _batch_first(input, dim, keepdim)
    value = call.value(stacked)
    if not call.operands[0].meta["value"].dtype.is_floating_point:
        raise call.refused("dtype", call.operands[0].meta["value"].dtype, "floating point")
    rank = len(value.shape) + 1
    listed = (dim,) if isinstance(dim, int) else tuple(dim or range(rank))
    axes = sorted(d % rank - 1 for d in listed)
    if axes[0] < 0:
        raise call.refused("dim", dim, "any but the batch")
    if value.roles is None:
        return _reduce_flattened(call, value, axes, keepdim, kind)
    reduced = [value.roles[axis] for axis in axes]
    roles: layout.Roles = tuple(
        None if i in axes else role
        for i, role in enumerate(value.roles)
        if keepdim or i not in axes
    )
    if 0 in reduced:
        if any(role and value.size[role - 1] > 1 for role in reduced):
            raise call.refused("dim", dim, "channels alone, or space alone")
        name = "mean" if kind == "avg" else "amax"
        node = call.function(getattr(torch, name), value.node, dim=1, keepdim=True)
        if keepdim:
            roles = value.roles
        return value.moved(node, channels=1, roles=roles, source=call.node)
    dims = [role - 1 for role in reduced if role]
    return _laid(pool_all(call, value, kind, dims), roles, call.node)


def _reduce_flattened(
    call: DenseCall, value: FeatureMap, axes: list[int], keepdim: bool, kind: str
) -> FeatureMap:
    """Return the reduction over an axis that runs over all cells, or within each of them."""
    channels = None
    if len(axes) == 1:
        groups = layout.channel_groups(value.elements, axes[0], value.map_shape)
        if groups is not None:
            return _reduce_in_cells(call, value, groups, axes[0] if keepdim else None, kind)
        channels = layout.pooled_channels(value.elements, axes[0], value.map_shape)
    pooled = None
    if channels is not None:
        shape = (value.channels, *(1,) * call.ndim)
        pooled = layout.arrangement(channels.unsqueeze(axes[0]) if keepdim else channels, shape)
    if pooled is None or not pooled.is_all_of((value.channels, *(1,) * call.ndim)):
        raise call.refused("dim", axes[0] + 1, "an axis that runs over all cells of a channel")
    return _laid(pool_all(call, value, kind), pooled.roles, call.node)


def _reduce_in_cells(
    call: DenseCall, value: FeatureMap, groups: layout.Groups, axis: int | None, kind: str
) -> FeatureMap:
    """Return the reduction of groups of channels, in every cell; `axis` is kept, of size 1."""
    channels, numbers = groups
    node = call.function(grid.reduced_channels, value.node, channels, kind)
    if axis is not None:
        numbers = numbers.unsqueeze(axis)
    return value.moved(node, channels=len(channels)).laid(numbers, call.node)


def _batch_first(input: Any, dim: Any, keepdim: bool) -> tuple[Any, Any]:
    """Return values that were stacked in front of the batch as stacked behind it."""
    if isinstance(input, BatchSecond) and dim in (0, [0]) and not keepdim:
        return input.value, 1
    return input, dim


def _laid(value: FeatureMap, roles: layout.Roles, source: fx.Node) -> FeatureMap:
    return value.moved(value.node, roles=roles, source=source, numbers=None)


_ALL = "the same elements of every window are taken together: all of its cells, or channels of one"

RULES = (
    Rule(mean, _ALL, ("mean",)),
    Rule(total, _ALL, ("sum",)),
    Rule(length, _ALL, ("linalg_vector_norm",)),
    Rule(largest, _ALL, ("amax",)),
    Rule(largest_and_where, _ALL, ("max",)),
    Rule(smallest, _ALL, ("amin",)),
    Rule(smallest_and_where, _ALL, ("min",)),
)
