"""Adaptive and global pools: what pools the whole map, into one cell or a few.

| o cells of n | on the grid |
|---|---|
| o = n | nothing |
| o divides n | a pool of n/o cells with stride 1; what stands behind is dilated by n/o |
| else | an average is folded into the kernel of the next Linear; a maximum is refused |
| o = 1, and the result meets a map again (squeeze-excite) | pooled over the whole image: inexact |
"""

# ruff: noqa: A002 - PyTorch calls it `input`

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from convlin.display.numbers import times
from convlin.models.dense import grid, layout
from convlin.models.dense.axis import Axis
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import DeferredPool, FeatureMap
from convlin.models.dense.rules.arithmetic import arithmetic
from convlin.models.dense.rules.joins import BatchSecond
from convlin.models.graph.aliases import Value
from convlin.models.graph.rule import Rule
from convlin.models.graph.traced import shape_of
from convlin.models.graph.value import Constant


def adaptive_average(call: DenseCall, input: Any, output_size: Any) -> FeatureMap:
    """Pool to a given number of cells by averages."""
    return adaptive(call, input, output_size, "avg")


def adaptive_maximum(call: DenseCall, input: Any, output_size: Any) -> Any:
    """Pool to a given number of cells by maxima; ATen returns their indices too."""
    _require_no_indices(call)
    return adaptive(call, input, output_size, "max"), None


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
    """Take the maximum of two values, or over a dimension: with its indices, then."""
    if isinstance(dim, FeatureMap | Constant):
        return arithmetic(call, input, dim)
    if dim is None:
        raise call.refused("dim", dim, "any but the batch")
    _require_no_indices(call)
    return largest(call, input, dim, keepdim), None


def smallest(call: DenseCall, input: Any, dim: Any = (), keepdim: bool = False) -> FeatureMap:
    """Take the minimum, as the maximum of what is below 0."""
    stacked, dim = _batch_first(input, dim, keepdim)
    value = call.value(stacked)
    above = largest(call, value.moved(call.function(torch.neg, value.node)), dim, keepdim)
    return above.moved(call.function(torch.neg, above.node))


def smallest_and_where(call: DenseCall, input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Take the minimum of two values, or over a dimension."""
    if isinstance(dim, FeatureMap | Constant):
        return arithmetic(call, input, dim)
    if dim is None:
        raise call.refused("dim", dim, "any but the batch")
    _require_no_indices(call)
    return smallest(call, input, dim, keepdim), None


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
    if dtype is None and over == {0}:
        node = call.function(torch.linalg.vector_norm, value.node, ord, 1, True)
        left = roles if keepdim else tuple(
            None if role == 0 else role for i, role in enumerate(roles) if i not in axes)  # fmt: skip
        return value.moved(node, channels=1, roles=left, source=call.node)
    space = tuple(range(2, call.ndim + 2))
    if dtype is None and over == {*range(1, call.ndim + 1)} and keepdim and _gates(call.node):
        return _whole(call, value, call.function(
            torch.linalg.vector_norm, value.node, ord, space, True), roles)  # fmt: skip
    raise call.refused("dim", dim, "the channels alone")


def adaptive(call: DenseCall, input: Any, output_size: Any, kind: str) -> FeatureMap:
    """Return an adaptive pool, by the table above."""
    value = call.map(input)
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size,) * call.ndim
    out = tuple(n if o is None else o for n, o in zip(value.size, wanted, strict=True))
    if out == value.size:
        call.exchanged(f"{call.operation} of {out} to {out} cells ⇒ nothing")
        return value
    if all(o == 1 for o in out):
        return pool_all(call, value, kind)
    if all(n % o == 0 for n, o in zip(value.size, out, strict=True)):
        return _pooled(
            call, value, tuple(n // o for n, o in zip(value.size, out, strict=True)), kind
        )
    if kind == "max":
        raise call.refused("output_size", out, f"divisors of the map's {value.size} cells",
                           "its windows are of unequal size")  # fmt: skip
    return _folded_later(call, value, out)


def pool_all(
    call: DenseCall, value: FeatureMap, kind: str, dims: Sequence[int] | None = None
) -> FeatureMap:
    """Return the pool over all cells of `dims` (default: all of space), as maps of one cell."""
    dims = range(call.ndim) if dims is None else dims
    if value.is_whole:
        return value
    if len(dims) == call.ndim and not value.is_single and _gates(call.node):
        name, axes = ("mean" if kind == "avg" else "amax"), tuple(range(2, call.ndim + 2))
        node = call.function(getattr(torch, name), value.node, dim=axes, keepdim=True)
        return _whole(call, value, node, tuple(range(call.ndim + 1)))
    kernel = tuple(n if dim in dims else 1 for dim, n in enumerate(value.size))
    return _pooled(call, value, kernel, kind)


def _whole(call: DenseCall, value: FeatureMap, node: fx.Node, roles: layout.Roles) -> FeatureMap:
    """Return what was pooled over whatever image there is."""
    call.breaks("pooled cells", value.size, "a result that stays apart from maps",
                "squeeze-excite: the map is scaled by a mean over the window here, and over "
                "the whole of a larger image there")  # fmt: skip
    whole = Axis.whole(call.site).breaking(value.culprits)
    return call.mapped(value, node, (whole,) * call.ndim).moved(node, roles=roles)


def _pooled(call: DenseCall, value: FeatureMap, kernel: tuple[int, ...], kind: str) -> FeatureMap:
    """Return the pool of `kernel` cells, its own stride in the model and 1 on the grid."""
    axes = tuple(axis.pooled(k) for axis, k in zip(value.axes, kernel, strict=True))
    if all(k == 1 for k in kernel):
        call.exchanged(f"{call.operation} of one cell ⇒ nothing")
        return call.mapped(value, value.node, axes)
    text = times(kernel)
    if kind == "avg" and value.is_spread:
        node = call.function(grid.dilated_mean, value.node, kernel, value.step)
    else:
        spacing = {"dilation": value.step} if kind == "max" else {}
        pool = grid.POOLS[kind, call.ndim](kernel, stride=1, **spacing)
        node = call.module(pool, value.node)
    name = {"avg": "AvgPool", "max": "MaxPool"}[kind]
    call.exchanged(f"{call.operation} ⇒ {name}{call.ndim}d k{text} s1")
    return call.mapped(value, node, axes)


def _folded_later(call: DenseCall, value: FeatureMap, out: tuple[int, ...]) -> FeatureMap:
    """Return the pooled cells, which the next Linear has to read off the map."""
    pooled = tuple(
        Axis(o, axis.stride, axis.step, axis.slack, (axis.culprits,) * o)
        for axis, o in zip(value.axes, out, strict=True)
    )
    call.exchanged(f"{value.size} to {out} cells ⇒ folded into the next Linear")
    return DeferredPool(
        value.node, value.channels, pooled, tuple(range(call.ndim + 1)), call.node,
        unpooled=value.axes, pool=call.node,
    )  # fmt: skip


def _reduce(call: DenseCall, input: Any, dim: Any, keepdim: bool, kind: str) -> FeatureMap:
    stacked, dim = _batch_first(input, dim, keepdim)
    value = call.value(stacked)
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
    lying = layout.arrangement(numbers, (len(channels), *value.size))
    whole = lying is not None and lying.is_all_of((len(channels), *value.size))
    return value.moved(
        node, channels=len(channels), source=call.node if whole else value.source,
        roles=lying.roles if lying and whole else None, numbers=None if whole else numbers,
    )  # fmt: skip


def _batch_first(input: Any, dim: Any, keepdim: bool) -> tuple[Any, Any]:
    """Return values that were stacked in front of the batch as stacked behind it."""
    if isinstance(input, BatchSecond) and dim in (0, [0]) and not keepdim:
        return input.value, 1
    return input, dim


def _require_no_indices(call: DenseCall) -> None:
    if call.is_read(1):
        raise call.refused("return_indices", True, "False", "indices count within one image")


def _laid(value: FeatureMap, roles: layout.Roles, source: fx.Node) -> FeatureMap:
    return value.moved(value.node, roles=roles, source=source, numbers=None)


def _gates(pool: fx.Node) -> bool:
    """Whether the pooled cell meets a map again, as squeeze-excite does."""
    results = [pool] if isinstance(pool.meta["value"], Value) else list(pool.users)
    seen, waiting = {*results}, results
    while waiting:
        node = waiting.pop()
        for user in node.users:
            if user in seen or not isinstance(user.meta.get("value"), Value):
                continue
            shape = shape_of(user)
            seen.add(user)
            operands = [other for other in user.all_input_nodes if other.op != "get_attr"]
            spread = math.prod(shape) > math.prod(shape_of(node)) and math.prod(shape[2:]) > 1
            if spread and len(operands) > 1:
                return True
            waiting.append(user)
    return False


_ALL = "all cells of a window's map are pooled, at every window"

RULES = (
    Rule(adaptive_average, _ALL,
         ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")),
    Rule(adaptive_maximum, _ALL,
         ("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")),
    Rule(mean, _ALL, ("mean",)),
    Rule(total, _ALL, ("sum",)),
    Rule(length, "the channels of one cell alone", ("linalg_vector_norm",)),
    Rule(largest, _ALL, ("amax",)),
    Rule(largest_and_where, _ALL, ("max",)),
    Rule(smallest, _ALL, ("amin",)),
    Rule(smallest_and_where, _ALL, ("min",)),
)  # fmt: skip
