"""A rewritten model as a graph for inference, without the permutes that neighbours undo.

A layer that runs as a convolution on (B, C, 1, S) puts the channels first before and last behind.
Between two such layers, and whatever is elementwise between them, the one undoes the other. What
LayerNorm and attention need stays, and is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from convlin.models.graph.operations import name_of
from convlin.models.permutes.captured import captured, tensor_of
from convlin.models.permutes.readers import ORDERS, order_of, site_of
from convlin.models.permutes.relaid import Relaid

__all__ = ["Kept", "Permutes", "cancelled"]

CONVOLUTIONS = {"conv1d", "conv2d", "conv3d"}
ENDS = {"placeholder": "input", "get_attr": "parameter", "output": "output"}


@dataclass(frozen=True)
class Kept:
    """How many permutes an operation of a module keeps."""

    site: str
    operation: str
    count: int


@dataclass(frozen=True)
class Permutes:
    """Transposes and permutes that move data of the inputs, and how the convolutions lie.

    `largest_rank` and `smallest_last_axis` are of what the exchanged convolutions take and give,
    in the example; `batch` is the only one that the graph takes, None: it takes any.
    """

    before: int
    after: int
    kept: tuple[Kept, ...]
    largest_rank: int
    smallest_last_axis: int
    batch: int | None


def cancelled(
    model: nn.Module, example_args: Sequence[Any], example_kwargs: Mapping[str, Any],
    sites: Collection[str] | None = None,
) -> tuple[fx.GraphModule, Permutes]:  # fmt: skip
    """Return the model's inference as a graph with few permutes, and what was counted.

    The graph shares every tensor with the model. `sites` are the exchanged layers; None: every
    convolution is one. Raises `Refused` for what torch.export does not take.
    """
    module = captured(model, example_args, example_kwargs)

    def is_exchanged(node: fx.Node) -> bool:
        path = site_of(node)
        within = sites is None or any(f"{path}.".startswith(f"{site}.") for site in sites)
        return within and name_of(node.target) in CONVOLUTIONS

    before = len(list(_moving(module.graph)))
    activations = list(_activations(filter(is_exchanged, module.graph.nodes)))
    results = [_relaid(module, is_exchanged, early) for early in (True, False)]
    graph, kept = min(results, key=lambda result: len(result[1]))
    counts = Counter(map(_named, kept))
    return graph, Permutes(
        before,
        len(kept),
        tuple(Kept(site, operation, count) for (site, operation), count in counts.items()),
        largest_rank=max((tensor.dim() for tensor in activations), default=0),
        smallest_last_axis=min((_number(t.shape[-1]) for t in activations), default=0),
        batch=_batch(graph.graph),
    )


def _relaid(
    module: fx.GraphModule, is_exchanged: Callable[[fx.Node], bool], early: bool
) -> tuple[fx.GraphModule, list[fx.Node]]:
    """Return the module with permutes cancelled, and who keeps each that stays."""
    tensors = [*module.parameters(), *module.buffers(), *vars(module).values()]
    copied = deepcopy(module, {id(t): t for t in tensors if isinstance(t, Tensor)})
    keepers = Relaid(copied.graph, is_exchanged, early).keepers
    copied.graph.lint()
    copied.recompile()
    return copied, [keepers[permute] for permute in _moving(copied.graph)]


def _moving(graph: fx.Graph) -> Iterator[fx.Node]:
    """Yield what puts elements that depend on the inputs into another order."""
    varying: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or varying.intersection(node.all_input_nodes):
            varying.add(node)
            if name_of(node.target) in ORDERS:
                shape = node.args[0].meta["val"].shape
                axes = [axis for axis in order_of(node) if _number(shape[axis]) != 1]
                if axes != sorted(axes):
                    yield node


def _activations(convolutions: Iterator[fx.Node]) -> Iterator[Tensor]:
    for node in convolutions:
        for tensor in (tensor_of(node.args[0]), tensor_of(node)):
            assert tensor is not None
            yield tensor


def _batch(graph: fx.Graph) -> int | None:
    """Return the first size of the first input with axes, if it is fixed."""
    inputs = [tensor_of(node) for node in graph.nodes if node.op == "placeholder"]
    first = next(
        (tensor.shape[0] for tensor in inputs if tensor is not None and tensor.dim()), None
    )
    return first if isinstance(first, int) else None


def _number(size: Any) -> int:
    """Return a size as it is in the example."""
    return int(size if isinstance(size, int) else size.node.hint)


def _named(node: fx.Node) -> tuple[str, str]:
    if node.op == "placeholder":
        return str(node.target), "input"
    return site_of(node), ENDS.get(node.op, name_of(node.target))
