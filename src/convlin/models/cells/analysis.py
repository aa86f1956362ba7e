"""What windows share of a model: each value of its graph, in order, answered by its rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from convlin.arguments import shown
from convlin.errors import Description, Refusal, Refused
from convlin.internals.dispatch import is_operator, schema_arguments
from convlin.models.cells.cell_call import CellCall
from convlin.models.cells.cell_map import CellMap, Numbers, Stored
from convlin.models.cells.names import Names
from convlin.models.cells.rules.every_cell import SEVERAL, parts_over
from convlin.models.cells.rules.several_maps import PARTS_READ, stacks_in_front
from convlin.models.cells.rules.shared_operations import LAYERS, RULES, WANTED
from convlin.models.graph.operations import is_random, name_of
from convlin.models.graph.recorder import Wanted
from convlin.models.graph.traced import Trace, line_of, site_of, trace
from convlin.models.graph.varying import BATCH, MODEL_DTYPE, Batch, mapped

__all__ = ["Analysis", "analysed"]

# Operations that may multiply, whose products are worth counting.
MULTIPLIES = re.compile(r"conv(?!ert)|linear|mm(_|$)|matmul|einsum|attention|lstm|gru|rnn|dot|mv$")


@dataclass(frozen=True)
class Analysis:
    """A traced model, and what windows share of each node: a `CellMap`, or nothing, None.

    constants: nodes that are made of the model's tensors alone. products: multiply-adds of one
    window.
    """

    trace: Trace
    names: Names
    values: dict[fx.Node, CellMap | None]
    constants: set[fx.Node]
    products: dict[fx.Node, int]

    @cached_property
    def numbers(self) -> dict[str, Tensor]:
        """The tensors that the model's code makes, by name."""
        made = (node for node in self.trace.graph.nodes if "numbers" in node.meta)
        return {str(node.target): self.trace.tensors[str(node.target)] for node in made}

    @property
    def window(self) -> tuple[int, ...]:
        """The window's size, in pixels."""
        (images,) = (node for node in self.trace.graph.nodes if node.op == "placeholder")
        value = self.values[images]
        assert value is not None
        return value.size

    @property
    def output(self) -> fx.Node:
        """The node that returns the model's outputs."""
        last: fx.Node = next(reversed(self.trace.graph.nodes))
        return last


def analysed(model: nn.Module, window: tuple[int, ...]) -> Analysis:
    """Trace the model at the window and return what its windows share.

    Raises `Refused`: what cannot be traced, draws random numbers, or mixes the images of a batch.
    """
    traced = trace(model, window, Wanted(WANTED, lambda layer: type(layer) in LAYERS))
    made = Analysis(traced, Names(), {}, set(), {})
    parts: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            made.values[node] = _images(node, window, made.names)
        elif node.op == "get_attr":
            made.values[node] = None
            made.constants.add(node)
        elif node.op == "output":
            _require_outputs(node)
        else:
            _require_function_of_one(node)
            made.products[node] = _multiply_adds(node, traced.dtype)
            made.values[node] = _value(node, made, parts)
    return made


def _value(node: fx.Node, made: Analysis, parts: set[fx.Node]) -> CellMap | None:
    """Return what windows share of a node; note constants, and what gives parts of a shared map."""
    call = CellCall(node, made.values, made.names, made.products[node], made.numbers)
    operands = node.all_input_nodes
    if all(operand in made.constants for operand in operands):
        if not call.depends_on_batch:
            made.constants.add(node)
            made.products[node] *= BATCH  # it is no batch's
        return None
    known = made.constants | parts if call.name in PARTS_READ else made.constants
    if any(made.values[n] is None and n not in known for n in operands):
        return None
    if call.name in SEVERAL or stacks_in_front(call):
        if call.name == "stack" or parts_over(call) is not None:
            parts.add(node)
        return None
    if isinstance(node.meta["value"], tuple) or 0 in call.shape:
        return None
    if node.op == "call_module":
        return LAYERS[type(node.meta["origin"].call.layer)](call)
    rule = RULES.get(call.name)
    return rule and rule(call)


def _images(node: fx.Node, window: tuple[int, ...], names: Names) -> CellMap:
    """Return the images: every pixel is a cell of its own."""
    axes = tuple(tuple(map(names.pixel, range(size))) for size in window[1:])
    roles = (None, *range(len(axes)))

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        return numbers.tensor(node)

    return CellMap(Stored(node, axes, roles, (), compute, window[:1]), axes)


def _multiply_adds(node: fx.Node, dtype: torch.dtype) -> int:
    """Return what an operation multiplies for one window, its padding counted too."""
    if node.op != "call_function" or not MULTIPLIES.search(name_of(node.target)):
        return 0

    def empty(arg: Any) -> Any:
        if isinstance(arg, fx.Node):
            value = arg.meta["value"]
            if isinstance(value, tuple):
                return [torch.empty(part.shape, dtype=part.dtype, device="meta") for part in value]
            return torch.empty(value.shape, dtype=value.dtype, device="meta")
        if arg is MODEL_DTYPE:
            return dtype
        return arg.smaller if isinstance(arg, Batch) else arg

    operation: Any = node.target
    args, kwargs = mapped((node.args, node.kwargs), empty)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        operation(*args, **kwargs)
    return int(counter.get_total_flops()) // (2 * BATCH)


def _require_outputs(output: fx.Node) -> None:
    """Refuse outputs that are not one for each image."""
    for node in output.all_input_nodes:
        value = node.meta["value"]
        if "images" not in node.meta or value.shape[:1] != (BATCH,):
            shape = Description(f"{value.shape} for a batch of {BATCH}")
            allowed = "one for each image, computed from it"
            raise Refused(Refusal(site_of(node), "output", shape, allowed, line_of(node)))
    if not output.all_input_nodes:
        allowed = "at least one tensor computed from the images"
        raise Refused(Refusal("output", "output", shown(output.args[0]), allowed))


def _require_function_of_one(node: fx.Node) -> None:
    """Refuse what draws random numbers, or computes statistics of the batch."""
    if node.op != "call_function":
        return
    named = {}
    if is_operator(node.target):
        for place, argument in enumerate(schema_arguments(node.target)):
            given = place < len(node.args)
            named[argument.name] = (
                node.args[place]
                if given
                else node.kwargs.get(argument.name, argument.default_value)
            )
    off = any(named.get(name) is False for name in ("train", "training")) or not named.get(
        "dropout_p", 1
    )
    name = name_of(node.target)
    if is_random(node.target) and not off:
        raise _refused(node, name, "one that draws no random numbers")
    if name == "batch_norm" and named.get("training"):
        raise _refused(node, name, "running statistics", "those of a batch are no function of one "
                       "window")  # fmt: skip


def _refused(node: fx.Node, value: str, allowed: str, reason: str = "") -> Refused:
    said = "; ".join(filter(None, (reason, line_of(node))))
    return Refused(Refusal(site_of(node), "operation", Description(value), allowed, said))
