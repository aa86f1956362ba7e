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

from convlin.models.dense import registry
from convlin.models.dense.claims import Claim
from convlin.models.dense.fx_graph import BATCH
from convlin.models.dense.value import MapValue, PlainValue

if TYPE_CHECKING:
    from convlin.models.dense.call import Call

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
    call: Call, value: MapValue, linear: nn.Linear, exchanged: nn.Module, exchange: Exchange
) -> Callable[[], Claim]:
    """Return the claim that the way from a map through `linear` equals a layer for that map."""
    axes = value.unpooled or value.axes
    size = tuple((axis.size - 1) * axis.step + 1 for axis in axes)
    steps = tuple(axis.step for axis in axes)

    def made(chain: Any) -> nn.Module:
        return _on_map(exchange(chain.linear))

    def claim() -> Claim:
        chain = _chain(call, value, linear, steps)
        shape = (value.channels, *size)
        return Claim(chain, _on_map(exchanged), shape, made, value.unpooled is not None)

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
    call: Call, value: MapValue, linear: nn.Linear, steps: tuple[int, ...]
) -> fx.GraphModule:
    """Return the model's nodes from the map (or the pool behind it) to the Linear, as a module."""
    walk, graph = call.walk, fx.Graph()
    modules: dict[str, Any] = {"linear": linear, "batches": Batches(len(steps) + 2)}
    image = graph.placeholder("map")
    start = graph.call_module("batches", (image,))
    if max(steps) > 1:
        every = (slice(None), slice(None), *(slice(None, None, step) for step in steps))
        start = graph.call_function(operator.getitem, (start, every))
    if value.pool is None:
        source = walk.values[value.source]
        env = {value.source: _as_the_model_has_it(graph, start, source)}
    else:
        env = {value.pool.all_input_nodes[0]: start}
    way, node = [], call.node.all_input_nodes[0]
    while node not in env:
        way.append(node)
        node = next(n for n in node.all_input_nodes if isinstance(walk.values[n], MapValue | tuple))
    for node in reversed(way):
        env[node] = _copied(call, graph, modules, env, node)
    graph.output(graph.call_module("linear", (env[call.node.all_input_nodes[0]],)))
    return fx.GraphModule(modules, graph).eval()


def _copied(
    call: Call, graph: fx.Graph, modules: dict[str, Any], env: dict[fx.Node, fx.Node], node: fx.Node
) -> fx.Node:
    walk = call.walk
    module = walk.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    rule = registry.find(node, module)
    inner = next(n for n in node.all_input_nodes if n in env)
    is_pool = walk.values[node].pool is node if isinstance(walk.values[node], MapValue) else False
    if rule is None or not (is_pool or registry.KINDS[rule] == "reshape"):
        return env[inner]  # it treats all elements alike, and is no part of the exchange

    def operand(arg: fx.Node) -> Any:
        if arg in env:
            return env[arg]
        known = walk.values[arg]
        assert isinstance(known, PlainValue)
        if known.smaller == known.larger:
            return known.smaller
        # A number that grows with the batch, such as the x.size(0) in x.view(x.size(0), -1).
        count = graph.call_method("size", (env[inner], 0))
        times = known.smaller // BATCH
        return count if times == 1 else graph.call_function(operator.mul, (count, times))

    copied = graph.node_copy(node, operand)
    if module is not None:
        copied.target = f"step{len(modules)}"
        modules[copied.target] = module
    return copied


def _as_the_model_has_it(graph: fx.Graph, start: fx.Node, value: Any) -> fx.Node:
    """Write the map with its axes in the model's order."""
    if not isinstance(value, MapValue) or value.is_map or value.roles is None:
        return start
    present = [role for role in value.roles if role is not None]
    absent = [role for role in range(len(value.map_shape)) if role not in present]
    permuted = graph.call_method("permute", (start, 0, *(role + 1 for role in [*present, *absent])))
    return graph.call_method("reshape", (permuted, -1, *value.shape))
