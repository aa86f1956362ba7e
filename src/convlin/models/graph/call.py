"""One operation of the model: what a rule may ask, refuse, note and write.

A rule is handed a `Call` and the operation's arguments, and talks to nothing else: the call passes
on to the writer what is to be written, and to the facts what is to be known.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from convlin.errors import Description, Refusal, Refused
from convlin.models.containers import Container
from convlin.models.graph.facts import Facts, Layer
from convlin.models.graph.operations import is_random, name_of
from convlin.models.graph.rule import Rule
from convlin.models.graph.traced import Trace, line_of, shape_of, site_of
from convlin.models.graph.value import Constant
from convlin.models.graph.varying import BATCH, MODEL_DTYPE, Batch, mapped
from convlin.models.graph.writer import Writer, public

__all__ = ["Call"]


class Call:
    """One operation of the model, at `site`; `layer` is the module that runs nothing else."""

    def __init__(self, trace: Trace, writer: Writer, facts: Facts, node: fx.Node) -> None:
        self._trace = trace
        self._writer = writer
        self._facts = facts
        self._exchange = "kept"
        self._claim: Callable[[], Any] | None = None
        self.node = node
        self.site = site_of(node)
        site = node.meta["layer"]
        self.layer: Any = None if site is None else trace.model.get_submodule(site)

    @property
    def name(self) -> str:
        """ATen's name of the operation; empty for a layer that is several."""
        return "" if self.node.op == "call_module" else name_of(self.node.target)

    @property
    def operation(self) -> str:
        """The class or function, as a person would say it."""
        return self.name if self.layer is None else type(self.layer).__name__

    @property
    def shape(self) -> tuple[int, ...]:
        """The result's shape at the window, without the batch."""
        return tuple(shape_of(self.node)[1:])

    @property
    def operands(self) -> list[fx.Node]:
        """The nodes of the model's graph that the operation reads, each once."""
        return list(self.node.all_input_nodes)

    @property
    def given(self) -> dict[fx.Node, Any]:
        """What is known of them."""
        return {node: self._facts.values[node] for node in self.operands}

    def closed(self, outputs: Any) -> Any:
        """Write the model's outputs as what they are, if not plain tuples, lists and dicts."""
        container: Container = self.node.meta["container"]
        return container.closed(outputs, self.function)

    def is_read(self, index: int) -> bool:
        """Whether anything reads this one of several results."""
        return any(user.args[1:] == (index,) for user in self.node.users)

    def answer(self, rule: Rule) -> Any:
        """Return the rule's answer for this call's arguments, and note the layer."""
        args, kwargs = self.arguments(rule.kind)
        try:
            inspect.signature(rule.answer).bind(self, *args, **kwargs)
        except TypeError as error:
            others = f"unknown to convlin: {error}"
            raise self.refused("arguments", others, "those that its rule knows") from None
        result = rule.answer(self, *args, **kwargs)
        if rule.kind == "reshape":
            self._facts.moves.add(self.node)
        if rule.kind == "compute":
            self._facts.layers.append(Layer(self.site, self.operation, self._exchange, self._claim))
        return result

    def arguments(self, kind: str = "compute") -> Any:
        """Return the operation's arguments: values for nodes, all else as it is at the window."""

        def known(arg: Any) -> Any:
            if isinstance(arg, fx.Node):
                return self._facts.values[arg]
            return self._at_window(arg) if kind == "compute" else _smaller(arg)

        return mapped((self.node.args, self.node.kwargs), known)

    def keep(
        self, instead: Mapping[fx.Node, fx.Node] | None = None, at: Mapping[int, Any] | None = None
    ) -> fx.Node:
        """Write the operation as it is, on the values of the new graph or those given `instead`.

        `at` has other arguments, by their place.
        """

        def written(arg: Any) -> Any:
            if isinstance(arg, fx.Node):
                return instead[arg] if instead and arg in instead else self._node(arg)
            return self.argument(arg)

        places = dict(enumerate(self.node.args)) | (dict(at) if at else {})
        args, kwargs = mapped((tuple(places.values()), self.node.kwargs), written)
        if self.layer is not None and self._reads_one:
            return self.module(self.layer, args[0])
        return self.function(public(self.node.target), *args, **kwargs)

    @property
    def _reads_one(self) -> bool:
        """Whether all that it takes is its first argument, and the layer's own tensors."""
        own = {id(tensor) for tensor in (*self.layer.parameters(), *self.layer.buffers())}
        tensors = self._trace.tensors
        others = [n for n in self.operands if id(tensors.get(str(n.target))) not in own]
        return self.node.op == "call_module" or others == [self.node.args[0]]

    def argument(self, value: Any) -> Any:
        """Return an argument of the model's operation as it is to be written."""
        if value is MODEL_DTYPE or isinstance(value, torch.device):
            return self._writer.like_images("dtype" if value is MODEL_DTYPE else "device")
        return self._at_window(value)

    def dtype_of(self, node: fx.Node) -> Any:
        """Return the dtype of a value of the model: `MODEL_DTYPE` if it follows the model's."""
        first = node.meta["value"].dtype
        other = node.meta.get("other", node.meta["value"]).dtype
        return MODEL_DTYPE if first != other and first == self._trace.dtype else first

    def cast(self, value: fx.Node, of: fx.Node) -> fx.Node:
        """Write the value in the dtype that this operation returns, if `of` has another one."""
        dtype = self.dtype_of(self.node)
        if dtype == self.dtype_of(of):
            return value
        return self.function(torch.Tensor.to, value, self.argument(dtype))

    def module(self, module: nn.Module, *inputs: fx.Node) -> fx.Node:
        """Write a call of a module in this one's place, under its name."""
        return self._sited(self._writer.module(self.site, module, *inputs))

    def function(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """Write a call of a function."""
        return self._sited(self._writer.function(target, *args, **kwargs))

    def _sited(self, node: fx.Node) -> fx.Node:
        """Note what a node of the new graph was written for."""
        node.meta["site"] = self.site
        return node

    @property
    def images(self) -> fx.Node:
        """The images, in the new graph."""
        return self._writer.images

    def literal(self, name: str, numbers: Tensor) -> fx.Node:
        """Write numbers that belong to this operation."""
        return self._writer.numbers(f"{self.site.replace('.', '_')}_{name}", numbers, False)

    def constant(self, node: fx.Node) -> Constant:
        """Return what is known of a result that is made of the model's tensors alone."""
        return Constant(node, self.node, tuple(shape_of(self.node)))

    def expanded(self, node: fx.Node, shape: tuple[int, ...], for_batch: bool = False) -> Constant:
        """Return what is known of a tensor of the model that is expanded to this result.

        `for_batch`: once for every image.
        """
        whole = self.constant(node)
        narrow = (*(1,) * (len(whole.shape) - len(shape)), *shape)
        wide = None
        if not for_batch and not self.depends_on_batch:
            wide = self.function(torch.Tensor.expand, node, whole.shape)
        return replace(whole, node=wide, narrow=(node, narrow))

    @property
    def depends_on_batch(self) -> bool:
        """Whether an argument grows with the batch."""
        found: list[Any] = []
        mapped((self.node.args, self.node.kwargs), found.append)
        return any(isinstance(arg, Batch) for arg in found)

    def parameter(self, constant: Constant) -> Tensor:
        """Return the model's tensor itself, or what it computes of them, as it is now."""
        tensor = self._trace.numbers(constant.traced)
        return tensor if constant.arranged is None else constant.arranged(tensor)

    def refused(self, field: str, value: Any, allowed: str, reason: str = "") -> Refused:
        """Return the refusal of this layer, to be raised."""
        return Refused(Refusal(self.site, field, Description(value), allowed, reason))

    def unknown(self) -> Refused:
        """Return the refusal of an operation that has no rule."""
        origin = self.node.meta["origin"]
        operation = self.operation if self.layer else origin.composite or self.operation
        why = "it draws random numbers" if self.is_random else "convlin has no rule for it"
        if operation != self.operation:
            why = f"{why.replace(' it', ' its')} {self.operation}"
        said = "; ".join(filter(None, (why, line_of(self.node))))
        allowed = "a layer known to act alike on every window"
        site = self.site if self.layer else ".".join(filter(None, (origin.site, operation)))
        return Refused(Refusal(site, "operation", Description(operation), allowed, said))

    @property
    def is_random(self) -> bool:
        """Whether the operation draws random numbers, or may."""
        return is_random(self.node.target)

    def breaks(self, field: str, value: Any, allowed: str, reason: str) -> None:
        """Note why the cells that this layer breaks differ from the large image's."""
        self._facts.breaks.setdefault(
            self.site, Refusal(self.site, field, Description(value), allowed, reason)
        )

    def exchanged(self, text: str, claim: Callable[[], Any] | None = None) -> None:
        """Note that the layer was exchanged, and what is claimed of that."""
        self._exchange, self._claim = text, claim

    @contextmanager
    def resited(self) -> Iterator[None]:
        """Give the refusals of another function this layer's name."""
        try:
            yield
        except Refused as refused:
            raise Refused([replace(r, site=self.site) for r in refused.refusals]) from None

    def _node(self, operand: fx.Node) -> fx.Node:
        node = self._facts.values[operand].node
        if node is None:
            raise self.refused("input", "a tensor of the model, once for every image of the batch",
                               "one for all of them")  # fmt: skip
        return cast(fx.Node, node)

    def _at_window(self, arg: Any) -> Any:
        if not isinstance(arg, Batch):
            return arg
        raise self.refused(
            "arguments", arg.smaller, "a number that does not depend on the batch",
            f"it is {arg.smaller} at batch {BATCH} and {arg.larger} at batch {BATCH + 1}",
        )  # fmt: skip


def _smaller(arg: Any) -> Any:
    return arg.smaller if isinstance(arg, Batch) else arg
