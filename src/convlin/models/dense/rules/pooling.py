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
from convlin.models.graph.aliases import Value
from convlin.models.graph.rule import Rule
from convlin.models.graph.traced import shape_of


def adaptive_average(call: DenseCall, input: Any, output_size: Any) -> FeatureMap:
    """Pool to a given number of cells by averages."""
    return adaptive(call, input, output_size, "avg")


def adaptive_maximum(call: DenseCall, input: Any, output_size: Any) -> Any:
    """Pool to a given number of cells by maxima; ATen returns their indices too."""
    require_no_indices(call)
    return adaptive(call, input, output_size, "max"), None


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
    if len(dims) == call.ndim and not value.is_single and gates(call.node):
        name, axes = ("mean" if kind == "avg" else "amax"), tuple(range(2, call.ndim + 2))
        node = call.function(getattr(torch, name), value.node, dim=axes, keepdim=True)
        return whole(call, value, node, tuple(range(call.ndim + 1)))
    kernel = tuple(n if dim in dims else 1 for dim, n in enumerate(value.size))
    return _pooled(call, value, kernel, kind)


def whole(call: DenseCall, value: FeatureMap, node: fx.Node, roles: layout.Roles) -> FeatureMap:
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


def require_no_indices(call: DenseCall) -> None:
    """Refuse maxima whose indices are read."""
    if call.is_read(1):
        raise call.refused("return_indices", True, "False", "indices count within one image")


def gates(pool: fx.Node) -> bool:
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
)  # fmt: skip
