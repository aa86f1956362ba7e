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
from dataclasses import replace
from typing import Any

from torch import fx, nn

from convlin.display.numbers import times
from convlin.models.dense import grid, layout
from convlin.models.dense.axis import Axis
from convlin.models.dense.call import Call
from convlin.models.dense.fx_graph import native_shape
from convlin.models.dense.registry import function, layer
from convlin.models.dense.value import MapValue


@layer(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
def adaptive_average_layer(call: Call, input: Any) -> MapValue:
    """Pool to a given number of cells by averages."""
    return adaptive(call, input, call.module.output_size, "avg")


@layer(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
def adaptive_maximum_layer(call: Call, input: Any) -> MapValue:
    """Pool to a given number of cells by maxima."""
    if call.module.return_indices:
        raise call.refused("return_indices", True, "False")
    return adaptive(call, input, call.module.output_size, "max")


@function("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_average(call: Call, input: Any, output_size: Any) -> MapValue:
    """Pool to a given number of cells by averages."""
    return adaptive(call, input, output_size, "avg")


@function("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_maximum(
    call: Call, input: Any, output_size: Any, return_indices: bool = False
) -> MapValue:
    """Pool to a given number of cells by maxima."""
    if return_indices:
        raise call.refused("return_indices", True, "False")
    return adaptive(call, input, output_size, "max")


@function("mean")
def mean(
    call: Call, input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> MapValue:
    """Average over channels, or over all cells of some dimensions of space."""
    if dtype is not None:
        raise call.refused("dtype", dtype, "None")
    return _reduce(call, input, dim, keepdim, "avg")


@function("amax")
def amax(call: Call, input: Any, dim: Any = (), keepdim: bool = False) -> MapValue:
    """Take the maximum over channels, or over all cells of some dimensions of space."""
    return _reduce(call, input, dim, keepdim, "max")


def adaptive(call: Call, input: Any, output_size: Any, kind: str) -> MapValue:
    """Return an adaptive pool, by the table above."""
    value = call.map(input)
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size,) * call.ndim
    out = tuple(n if o is None else o for n, o in zip(value.size, wanted, strict=True))
    if out == value.size:
        call.exchanged(f"{call.operation} of {out} to {out} cells ⇒ nothing")
        return value.viewed()
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


def pool_all(call: Call, value: MapValue, kind: str, dims: Sequence[int] | None = None) -> MapValue:
    """Return the pool over all cells of `dims` (default: all of space), as maps of one cell."""
    dims = range(call.ndim) if dims is None else dims
    if value.is_whole:
        return value.viewed()
    if len(dims) == call.ndim and not value.is_single and _gates(call.node):
        name, axes = ("mean" if kind == "avg" else "amax"), tuple(range(2, call.ndim + 2))
        node = call.walk.graph.call_method(name, (value.node,), {"dim": axes, "keepdim": True})
        call.breaks("pooled cells", value.size, "a result that stays apart from maps",
                    "squeeze-excite: the map is scaled by a mean over the window here, and over "
                    "the whole of a larger image there")  # fmt: skip
        whole = Axis.whole(call.site).breaking(value.culprits)
        return call.mapped(value, node, (whole,) * call.ndim)
    kernel = tuple(n if dim in dims else 1 for dim, n in enumerate(value.size))
    return _pooled(call, value, kernel, kind)


def _pooled(call: Call, value: MapValue, kernel: tuple[int, ...], kind: str) -> MapValue:
    """Return the pool of `kernel` cells, its own stride in the model and 1 on the grid."""
    axes = tuple(axis.pooled(k) for axis, k in zip(value.axes, kernel, strict=True))
    if all(k == 1 for k in kernel):
        call.exchanged(f"{call.operation} of one cell ⇒ nothing")
        return call.mapped(value, value.node, axes)
    text = times(kernel)
    if kind == "avg" and value.is_spread:
        node = call.walk.function(grid.dilated_mean, value.node, kernel, value.step)
    else:
        spacing = {"dilation": value.step} if kind == "max" else {}
        pool = grid.POOLS[kind, call.ndim](kernel, stride=1, **spacing)
        node = call.walk.module(call.site, pool, value.node)
    name = {"avg": "AvgPool", "max": "MaxPool"}[kind]
    call.exchanged(f"{call.operation} ⇒ {name}{call.ndim}d k{text} s1")
    return call.mapped(value, node, axes)


def _folded_later(call: Call, value: MapValue, out: tuple[int, ...]) -> MapValue:
    """Return the pooled cells, which the next Linear has to read off the map."""
    pooled = tuple(
        Axis(o, axis.stride, axis.step, axis.slack, (axis.culprits,) * o)
        for axis, o in zip(value.axes, out, strict=True)
    )
    call.exchanged(f"{value.size} to {out} cells ⇒ folded into the next Linear")
    return replace(call.mapped(value, value.node, pooled), unpooled=value.axes, pool=call.node)


def _reduce(call: Call, input: Any, dim: Any, keepdim: bool, kind: str) -> MapValue:
    value = call.value(input)
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
        node = call.walk.graph.call_method(name, (value.node,), {"dim": 1, "keepdim": True})
        if keepdim:
            roles = value.roles
        return value.moved(node, channels=1, roles=roles, source=call.node)
    dims = [role - 1 for role in reduced if role]
    return _laid(pool_all(call, value, kind, dims), roles, call.node)


def _reduce_flattened(
    call: Call, value: MapValue, axes: list[int], keepdim: bool, kind: str
) -> MapValue:
    """Return the reduction of a flattened map over an axis that runs over all of its cells."""
    channels = None
    if len(axes) == 1:
        channels = layout.pooled_channels(value.elements, axes[0], value.map_shape)
    pooled = None
    if channels is not None:
        shape = (value.channels, *(1,) * call.ndim)
        pooled = layout.arrangement(channels.unsqueeze(axes[0]) if keepdim else channels, shape)
    if pooled is None or not pooled.is_all_of((value.channels, *(1,) * call.ndim)):
        raise call.refused("dim", axes[0] + 1, "an axis that runs over all cells of a channel")
    return _laid(pool_all(call, value, kind), pooled.roles, call.node)


def _laid(value: MapValue, roles: layout.Roles, source: fx.Node) -> MapValue:
    return value.viewed(roles=roles, source=source, numbers=None)


def _gates(pool: fx.Node) -> bool:
    """Whether the pooled cell meets a map again, as squeeze-excite does."""
    seen, waiting = {pool}, [pool]
    while waiting:
        node = waiting.pop()
        for user in node.users:
            shape = native_shape(user)
            if user in seen or user.meta["dtype"] is None:
                continue
            seen.add(user)
            operands = [other for other in user.all_input_nodes if other.op != "get_attr"]
            spread = math.prod(shape) > math.prod(native_shape(node)) and math.prod(shape[2:]) > 1
            if spread and len(operands) > 1:
                return True
            waiting.append(user)
    return False
