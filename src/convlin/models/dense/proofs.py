"""What is given to the judge: the model's own operations on the map, cut out, and the exchange.

The left side is the model's reshape nodes and its Linear, as a graph of their own on the map of the
window; nothing in it comes from the conversion but where the map lies. The right side is the new
convolution. Where cells lie apart on the grid, the left side first takes every step-th.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor, fx, nn

from convlin.models.claims import Claim
from convlin.models.dense.feature_map import DeferredPool, FeatureMap
from convlin.models.graph.value import Constant
from convlin.models.graph.varying import Batch, mapped

if TYPE_CHECKING:
    from convlin.models.dense.dense_call import DenseCall

__all__ = ["of_cell", "of_map", "of_norm"]

Exchange = Callable[[nn.Linear], nn.Module]


def of_norm(norm: nn.Module, exchanged: nn.Module, ndim: int) -> Callable[[], Claim]:
    """Return the claim that two normalisations are equal on the channels of one cell."""
    features: Any = norm.num_features
    return lambda: Claim(norm, _on_cells(exchanged, features, ndim), (features,))


def of_cell(
    linear: nn.Linear, exchanged: nn.Module, exchange: Exchange, ndim: int
) -> Callable[[], Claim]:
    """Return the claim that a Linear and a layer for maps are equal on the channels of one cell."""
    features = linear.in_features
    before = nn.Sequential(Batches(2), linear).eval()

    def made(batches: Any) -> nn.Module:
        return _on_cells(exchange(batches[1]), features, ndim)

    return lambda: Claim(before, _on_cells(exchanged, features, ndim), (features,), made)


def of_map(
    call: DenseCall, value: FeatureMap, linear: nn.Linear, exchanged: nn.Module,
    exchange: Exchange | None,
) -> Callable[[], Claim]:  # fmt: skip
    """Return the claim that the way from a map through `linear` equals a layer for that map."""
    pooled = isinstance(value, DeferredPool)
    axes = value.unpooled if isinstance(value, DeferredPool) else value.axes
    size = tuple((axis.size - 1) * axis.step + 1 for axis in axes)
    steps = tuple(axis.step for axis in axes)

    def made(chain: Any) -> nn.Module:
        assert exchange is not None
        return _on_map(exchange(chain.linear))

    def claim() -> Claim:
        chain = _chain(call, value, linear, steps)
        shape = (value.channels, *size)
        return Claim(chain, _on_map(exchanged), shape, made if exchange else None, pooled)

    return claim


class Batches(nn.Module):
    """Passes batches on, and nothing else: a Linear alone would take inputs of any rank."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank

    def forward(self, batch: Tensor) -> Tensor:
        """Return the batch."""
        if batch.ndim != self.rank:
            raise ValueError(f"{batch.ndim} axes, not {self.rank}")
        return batch


def _on_cells(layer: nn.Module, features: int, ndim: int) -> nn.Module:
    cell = nn.Unflatten(1, (features, *(1,) * ndim))
    return nn.Sequential(Batches(2), cell, layer, nn.Flatten(1)).eval()


def _on_map(layer: nn.Module) -> nn.Module:
    return nn.Sequential(layer, nn.Flatten(1)).eval()


def _chain(
    call: DenseCall, value: FeatureMap, linear: nn.Linear, steps: tuple[int, ...]
) -> fx.GraphModule:
    """Return the model's nodes from the map (or the pool behind it) to the Linear, as a module."""
    graph = fx.Graph()
    image = graph.placeholder("map")
    start = graph.call_module("batches", (image,))
    if max(steps) > 1:
        every = (slice(None), slice(None), *(slice(None, None, step) for step in steps))
        start = graph.call_function(operator.getitem, (start, every))
    at_first, ((first, _), *way) = call.way_from(value)
    pool = value.pool if isinstance(value, DeferredPool) else None
    env = {first: start if pool else _as_the_model_has_it(graph, start, at_first)}
    last = first
    for node, moves in way:  # all else on the way treats every element alike
        env[node] = _copied(call, graph, env, node) if moves or node is pool else env[last]
        last = node
    result = graph.call_module("linear", (env[last],))
    graph.output(graph.call_method("flatten", (result, 1)) if value.shape[1:] else result)
    return fx.GraphModule({"linear": linear, "batches": Batches(len(steps) + 2)}, graph).eval()


def _copied(
    call: DenseCall, graph: fx.Graph, env: dict[fx.Node, fx.Node], node: fx.Node
) -> fx.Node:
    """Write the model's own operation again."""

    def operand(arg: Any) -> Any:
        if isinstance(arg, fx.Node):
            return env[arg] if arg in env else call.parameter(Constant(arg, arg, ()))
        if not isinstance(arg, Batch):
            return arg
        # A number that grows with the batch, such as the x.size(0) in x.view(x.size(0), -1).
        count = graph.call_method("size", (env[node.all_input_nodes[0]], 0))
        return count if arg.each == 1 else graph.call_function(operator.mul, (count, arg.each))

    args, kwargs = mapped((node.args, node.kwargs), operand)
    return graph.create_node("call_function", node.target, args, kwargs)


def _as_the_model_has_it(graph: fx.Graph, start: fx.Node, value: Any) -> fx.Node:
    """Write the map with its axes in the model's order."""
    if not isinstance(value, FeatureMap) or value.is_map or value.roles is None:
        return start
    present = [role for role in value.roles if role is not None]
    absent = [role for role in range(len(value.map_shape)) if role not in present]
    permuted = graph.call_method("permute", (start, 0, *(role + 1 for role in [*present, *absent])))
    return graph.call_method("reshape", (permuted, -1, *value.shape))
