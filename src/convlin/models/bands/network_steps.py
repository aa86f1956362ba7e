"""The graph of a network as steps: by a table from layers and functions to rules.

| an operation | is |
|---|---|
| of the model's tensors alone | a constant, computed once |
| that reads a few rows of one value | `neighbour_steps.py`, `pool_steps.py` |
| that treats every row alike, puts values together or takes cells | `cell_steps.py` |
| anything else | refused by its name |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ReceptiveField
from convlin.internals.fakes import fake_tensors
from convlin.internals.trees import named_leaves
from convlin.models.bands import cell_steps, neighbour_steps, pool_steps
from convlin.models.bands.band_step import Asked, Step
from convlin.models.bands.row_flow import field_of
from convlin.models.containers import opened
from convlin.models.dense.network import FullyConvolutional
from convlin.models.graph.operations import name_of
from convlin.models.trace import sample

__all__ = ["NetworkSteps", "steps_of"]

Rule = Callable[[Asked], Step]
MODULES: Mapping[type[nn.Module], Rule] = {
    **neighbour_steps.MODULES, **pool_steps.MODULES, **cell_steps.MODULES,
}  # fmt: skip
FUNCTIONS: Mapping[str, Rule] = {
    **neighbour_steps.FUNCTIONS, **pool_steps.FUNCTIONS, **cell_steps.FUNCTIONS,
}  # fmt: skip
SINGLE = "scores"


@dataclass(frozen=True)
class NetworkSteps:
    """What a network does, in order; `outputs` by name, `fields` of all values."""

    graph: fx.GraphModule
    images: fx.Node
    channels: int
    ndim: int
    constants: tuple[fx.Node, ...]
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, fx.Node], ...]
    fields: Mapping[fx.Node, ReceptiveField]
    dtype: torch.dtype

    @property
    def field(self) -> ReceptiveField:
        """What a cell of any output reads."""
        return _union(self.fields[node] for _, node in self.outputs)

    def dtype_of(self, seen: torch.dtype, images: torch.dtype) -> torch.dtype:
        """Return the dtype of a value that had dtype `seen` on images of the network's own."""
        return images if seen == self.dtype else seen

    def sizes(self, image: tuple[int, ...]) -> dict[fx.Node, tuple[int, ...]]:
        """Return the sizes of all values, for an image of this size."""
        known = {self.images: image}
        for step in self.steps:
            known[step.node] = step.sizes(image, known)
        return known


def steps_of(network: FullyConvolutional) -> NetworkSteps:
    """Return the network's steps; refuse, by name, all that cannot be done in bands."""
    graph = network.network
    channels, *window = network.window
    # two windows and a rest: sizes that differ from each other tell axes apart
    size = tuple(n + 2 * s + d for d, (n, s) in enumerate(zip(window, network.stride, strict=True)))
    values, images = _values(graph, channels, size)
    ndim, nodes = len(window), list(graph.graph.nodes)
    rows: dict[fx.Node, int] = {images: -ndim}
    constants: list[fx.Node] = []
    steps: list[Step] = []
    fields = {images: ReceptiveField.pixel(ndim)}
    known = {images: size}
    refusals: list[Refusal] = []
    refused: set[fx.Node] = set()
    for node in nodes:
        made = any(read in rows for read in node.all_input_nodes)
        if node.op in ("placeholder", "output") or not isinstance(values[node], Tensor):
            if node.op == "call_function" and node.target is getattr:
                constants.append(node)
            continue
        if not made:
            constants.append(node)
            continue
        try:
            step = _step(graph, node, ndim, values, rows)
            # of what is behind a refused one, the rule alone is asked: it may be refused too
            if not refused & {*node.all_input_nodes}:
                known[node] = _sizes(step, size, known, values[node])
                fields[node] = _union(fields[r] for r in step.reads).then(field_of(step.axes))
        except Refused as error:
            refusals.extend(error.refusals)
            refused.add(node)
        if refused & {node, *node.all_input_nodes}:
            refused.add(node)
            rows[node] = -ndim
            continue
        steps.append(step)
        rows[node] = step.row_dim
    if refusals:
        raise Refused(refusals)
    outputs = _outputs(values, nodes[-1])
    return NetworkSteps(
        graph, images, channels, ndim, tuple(constants), tuple(steps), outputs, fields,
        values[images].dtype,
    )  # fmt: skip


def _values(
    graph: fx.GraphModule, channels: int, size: tuple[int, ...]
) -> tuple[dict[fx.Node, Any], fx.Node]:
    """Return a tensor without numbers for every node, and the node of the images."""
    values: dict[fx.Node, Any] = {}

    class Watched(fx.Interpreter):
        def run_node(self, node: fx.Node) -> Any:
            values[node] = super().run_node(node)
            return values[node]

    like = sample(graph, (0,))
    with fake_tensors(), torch.no_grad():
        images = torch.zeros((2, channels, *size), dtype=like.dtype, device=like.device)
        Watched(graph).run(images)
    return values, next(node for node in graph.graph.nodes if node.op == "placeholder")


def _sizes(
    step: Step, image: tuple[int, ...], known: Mapping[fx.Node, tuple[int, ...]], value: Tensor
) -> tuple[int, ...]:
    """Return the sizes of what a step makes, which must be those that the network makes."""
    sizes = step.sizes(image, known)
    start = value.ndim + step.row_dim
    seen = tuple(value.shape[start : start + len(sizes)])
    if sizes != seen:
        raise Refused(Refusal(step.site, "sizes", Description(seen), f"{sizes}"))
    return sizes


def _step(
    graph: fx.GraphModule,
    node: fx.Node,
    ndim: int,
    values: Mapping[fx.Node, Any],
    rows: Mapping[fx.Node, int],
) -> Step:
    """Return a node's step, by its rule."""
    module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
    site = node.meta.get("site", str(node.target) if module is not None else node.name)
    name = "" if module is not None else name_of(node.target)
    asked = Asked(node, site, name, module, ndim, values, rows)
    rule = FUNCTIONS.get(name) if module is None else _of_module(module)
    if rule is None:
        raise asked.refused("operation", asked.operation, "a layer whose outputs read some rows "
                            "alone", "convlin has no rule for it in bands")  # fmt: skip
    return rule(asked)


def _of_module(module: nn.Module) -> Rule | None:
    """Return the rule of a layer that runs PyTorch's own code, or the project's."""
    own = type(module).__module__.startswith(("torch.nn.modules.", "convlin.layers."))
    kinds = (kind for kind in type(module).__mro__ if kind in MODULES)
    return MODULES.get(next(kinds, nn.Module)) if own and "forward" not in vars(module) else None


def _outputs(values: Mapping[fx.Node, Any], output: fx.Node) -> tuple[tuple[str, fx.Node], ...]:
    """Return the outputs by their names."""
    plain, _ = opened(values[output])
    nodes = {id(value): node for node, value in values.items() if node is not output}
    leaves = [(name, leaf) for name, leaf in named_leaves(plain) if isinstance(leaf, Tensor)]
    return tuple((name or SINGLE, nodes[id(leaf)]) for name, leaf in leaves)


def _union(fields: Iterable[ReceptiveField]) -> ReceptiveField:
    """Return the least field that has all of these in it, which have one stride."""
    first, *others = fields
    for other in others:
        starts = tuple(map(min, first.offset, other.offset))
        stops = (
            max(a + n, b + m)
            for a, n, b, m in zip(first.offset, first.size, other.offset, other.size, strict=True)
        )
        sizes = tuple(stop - start for stop, start in zip(stops, starts, strict=True))
        first = ReceptiveField(sizes, first.stride, starts)
    return first
