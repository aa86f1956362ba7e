"""Which layers of a model have nothing between them, and are nobody else's business.

The model's own code runs once, without numbers, on an input of the shape given: the value between
two layers must be read by the second alone. What dropout does in eval mode is nothing, and leaves
no trace. A layer that is called twice, has two names, shares a parameter, or whose parameters
other code reads, is left as it is.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import fx, nn

from convlin.errors import Description, Refusal
from convlin.layers.merge_parts import NORMS
from convlin.layers.stock_layer import CONVOLUTIONS
from convlin.models.graph.function_of_images import require_function_of_images
from convlin.models.graph.recorder import Wanted
from convlin.models.graph.traced import record, shape_of
from convlin.models.rewrite.sites import holders_of

__all__ = ["KERNELS", "Neighbours", "is_mergeable", "is_norm", "neighbours"]

KERNELS = (*CONVOLUTIONS.values(), nn.Linear)
WHOLE = tuple(f"adaptive_avg_pool{dims}d" for dims in (1, 2, 3))
"""Operations whose parts set strides, which is no function of a tensor's elements."""


@dataclass(frozen=True)
class Neighbours:
    """A layer, and the one that gives it its input, if that does nothing else.

    taken, given: the shapes of that one's input and output, batch first. refusals: what stands
    against a merge, whatever the layers compute.
    """

    site: str
    before: str
    taken: tuple[int, ...]
    given: tuple[int, ...]
    refusals: tuple[Refusal, ...]


def is_norm(layer: nn.Module) -> bool:
    """Whether a layer is a batch normalisation, or of a class derived from one."""
    return isinstance(layer, (*NORMS, nn.SyncBatchNorm))


def is_mergeable(layer: nn.Module) -> bool:
    """Whether a layer is of a kind that may be merged, or of a class derived from one."""
    return is_norm(layer) or isinstance(layer, KERNELS)


def neighbours(model: nn.Module, shape: tuple[int, ...]) -> list[Neighbours]:
    """Return each layer that may be merged into the one before it, in the order in which they run.

    Normalisations without such a layer are among them, with `before` empty. Raises `Refused` for a
    model in training mode, and for what cannot be run so.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.BatchNorm2d(4), nn.ReLU())
    >>> [(pair.before, pair.site) for pair in neighbours(net.eval(), (3, 8, 9))]
    [('0', '2')]
    """
    require_function_of_images(model)
    wanted = Wanted(operations=WHOLE, layer=is_mergeable)
    graph = record(model, (2, *shape), wanted, lambda call: None)
    layers = [node for node in graph.nodes if node.op == "call_module"]
    odd = dict(_odd(model, graph, Counter(model.get_submodule(n.target) for n in layers)))
    return list(_pairs(model, layers, odd))


def _pairs(
    model: nn.Module, layers: list[fx.Node], odd: Mapping[str, Refusal]
) -> Iterator[Neighbours]:
    met = set()
    for node in layers:
        site = str(node.target)
        if site in met:
            continue
        met.add(site)
        given = node.all_input_nodes[0]
        before = str(given.target) if given.op == "call_module" else ""
        if not before and not is_norm(model.get_submodule(site)):
            continue
        refusals = [odd[name] for name in (before, site) if name in odd]
        refusals += _not_behind_each_other(model, node, given)
        taken = tuple(shape_of(given.all_input_nodes[0])) if before else ()
        yield Neighbours(site, before, taken, tuple(shape_of(given)), tuple(refusals))


def _not_behind_each_other(model: nn.Module, node: fx.Node, given: fx.Node) -> Iterator[Refusal]:
    """Yield what is between a layer and the one before it, or that none is."""
    site, before = str(node.target), str(given.target)
    layer = model.get_submodule(site)
    if given.op != "call_module":
        while given.target is operator.getitem:
            [given] = given.all_input_nodes
        value = Description("the input" if given.op == "placeholder" else f"of {given.target}")
        yield Refusal(site, "input", value, "a layer's output, to be merged into that layer")
        return
    if len(node.all_input_nodes) > 1:
        value = Description(f"{len(node.all_input_nodes)} tensors")
        yield Refusal(site, "input", value, "one tensor")
    if len(given.users) > 1:
        value = Description(f"read {len(given.users)} times")
        yield Refusal(before, "output", value, f"read by {site} alone")
    first, shape = model.get_submodule(before), tuple(shape_of(given))
    norm, linear = (any(map(kind, (layer, first))) for kind in (is_norm, _is_linear))
    if norm and linear and len(shape) != 2:
        allowed = "(N, features): else axis 1 is what is normalised"
        yield Refusal(site, "input.shape", shape, allowed)


def _is_linear(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear)


def _odd(
    model: nn.Module, graph: fx.Graph, calls: Counter[nn.Module]
) -> Iterator[tuple[str, Refusal]]:
    """Yield, by its site, what is not one layer's alone."""
    names = Counter(layer for _, layer in model.named_modules(remove_duplicate=False))
    read = {str(node.target) for node in graph.nodes if node.op == "get_attr" and node.users}
    shared = {
        site: (field, others)
        for holders in holders_of(model).values()
        for site, _, field in holders
        if (others := [name for name, _, _ in holders if name != site])
    }
    for site, layer in model.named_modules():
        if not is_mergeable(layer):
            continue
        if calls[layer] > 1:
            value = Description(f"called {calls[layer]} times")
            yield site, Refusal(site, "layer", value, "called once")
        elif names[layer] > 1:
            yield site, Refusal(site, "layer", Description("shared"), "one with one name")
        elif site in shared:
            field, others = shared[site]
            value = Description(f"that of {', '.join(others)} too")
            yield site, Refusal(site, field, value, "its own")
        elif fields := [name for name in read if name.rpartition(".")[0] == site]:
            value = Description("read by other code than its own")
            yield site, Refusal(site, fields[0].rpartition(".")[2], value, "its own")
