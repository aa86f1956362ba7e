"""One pass through a model's graph, in order, in which every node is answered by its rule.

What a rule refuses is noted, what is made from it is lost, and the walk goes on, so that all
refusals come together. What is made of the model's tensors alone stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from convlin.errors import Refused
from convlin.models.graph.call import Call
from convlin.models.graph.facts import Facts
from convlin.models.graph.rule import Table
from convlin.models.graph.traced import Trace, shape_of
from convlin.models.graph.value import Constant, NoValue
from convlin.models.graph.varying import MODEL_DTYPE
from convlin.models.graph.writer import Writer

__all__ = ["walk"]


def walk(
    trace: Trace, table: Table, writer: Writer, facts: Facts, images: Any,
    call: Callable[[fx.Node], Call],
) -> None:  # fmt: skip
    """Answer every node of the trace but the output; `images` is what is known of the images.

    `call` makes the editor's own kind of `Call`.
    """
    for node in trace.graph.nodes:
        if node.op == "output":
            return
        try:
            facts.values[node] = _value(trace, table, writer, facts, images, call, node)
        except Refused as refused:
            facts.refusals.extend(refused.refusals)
            facts.values[node] = NoValue()


def _value(
    trace: Trace, table: Table, writer: Writer, facts: Facts, images: Any,
    call: Callable[[fx.Node], Call], node: fx.Node,
) -> Any:  # fmt: skip
    if node.op == "placeholder":
        return images
    if node.op == "get_attr":
        return _tensor(trace, writer, node)
    operands = [facts.values[operand] for operand in node.all_input_nodes]
    here = call(node)
    rule = table.of(node, here.layer)
    if any(isinstance(operand, NoValue) for operand in operands):
        if rule is not None and rule.kind == "never":
            here.answer(rule)  # refused whatever it takes
        return NoValue()
    alone = not any(_of_images(operand) for operand in operands)
    if alone and not (rule is not None and rule.of_constants):
        if here.is_random and (rule is None or True in node.args):  # it may be switched off
            raise here.unknown()
        return here.constant(here.keep())
    if rule is None:
        raise here.unknown()
    return here.answer(rule)


def _of_images(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_of_images, value))
    return not isinstance(value, Constant)


def _tensor(trace: Trace, writer: Writer, node: fx.Node) -> Constant:
    """Read a tensor of the model, or one that its code made."""
    name = str(node.target)
    tensor = trace.tensors[name]
    if "numbers" in node.meta:
        written = writer.numbers(name, tensor, node.meta["numbers"] is MODEL_DTYPE)
        return Constant(written, node, tuple(shape_of(node)))
    return Constant(writer.tensor(name, tensor), node, tuple(shape_of(node)), name)
