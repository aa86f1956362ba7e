"""One pass through the model's graph, in order, that writes the network for large images.

Every node is answered by its rule (`registry`, `rules/`). What a rule refuses is noted, what is
made from it is lost, and the walk goes on, so that all refusals come together.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from convlin.backends.pytorch.fully_convolutional import registry
from convlin.backends.pytorch.fully_convolutional.axis import Axis
from convlin.backends.pytorch.fully_convolutional.place import Constant, Known, Lost, Place
from convlin.backends.pytorch.fully_convolutional.tracing import BATCH, native_shape, site_of
from convlin.errors import Refusal, Refused
from convlin.proof import Verdict

__all__ = ["Call", "Layer", "Walk"]

_PLUMBING = ("out", "_stacklevel")  # arguments that torch's Python functions pass on


@dataclass(frozen=True)
class Layer:
    """A layer met on the walk: what it was exchanged for, if it was, and how to prove that."""

    site: str
    operation: str
    exchange: str
    prove: Callable[[], Verdict] | None


class Walk:
    """The walk's state: the graph being written, its modules, and what is known so far."""

    def __init__(self, traced: fx.GraphModule, window: tuple[int, ...], head: str) -> None:
        self.traced = traced
        self.window = window
        self.head = head
        self.graph = fx.Graph()
        self.modules: dict[str, Any] = {}
        self.values: dict[fx.Node, Any] = {}
        self.layers: list[Layer] = []
        self.refusals: list[Refusal] = []
        self.breaks: dict[str, Refusal] = {}
        self.shared: dict[Any, nn.Parameter] = {}
        self.places: list[Place] = []  # one for each output
        self.stride: tuple[int, ...] = ()
        self.images: fx.Node | None = None
        self._leaves = {node.target for node in traced.graph.nodes if node.op == "call_module"}
        self._order = {node: index for index, node in enumerate(traced.graph.nodes)}

    def run(self) -> None:
        """Walk through the whole graph."""
        for node in self.traced.graph.nodes:
            try:
                self.values[node] = self._value(node)
            except Refused as refused:
                self.refusals.extend(refused.refusals)
                self.values[node] = Lost()

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self._input(node)
        if node.op == "get_attr":
            return self._constant(node)
        operands = [self.values[operand] for operand in node.all_input_nodes]
        if any(isinstance(operand, Lost) for operand in operands):
            return self._lost(node)
        if operands and all(isinstance(operand, Known) for operand in operands):
            return self._known(node)
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        call = Call(self, node, module)
        made_of_images = any(isinstance(operand, Place | tuple) for operand in operands)
        if operands and not made_of_images and node.meta["dtype"] is not None:
            return Constant(call.keep(), tuple(native_shape(node)))
        rule = registry.find(node, module)
        if rule is None:
            known = "convlin has no rule for it" if module or registry.name_of(node) else (
                "it is no function of PyTorch's")  # fmt: skip
            raise call.refused("operation", call.operation, "a layer known to act alike on every "
                               "window", known)  # fmt: skip
        return call.answer(rule)

    def _input(self, node: fx.Node) -> Place | Known:
        if self.images is not None:
            return Known.fixed(node.args[0])
        self.images = self.graph.placeholder(str(node.target))
        axes = tuple(Axis.image(pixels) for pixels in self.window[1:])
        roles = tuple(range(len(self.window)))
        return Place(self.images, self.window[0], axes, roles, node, self.images)

    def _constant(self, node: fx.Node) -> Constant | Known:
        value: Any = self.traced
        for name in str(node.target).split("."):
            value = getattr(value, name)
        if not isinstance(value, Tensor):
            return Known.fixed(value)
        target = str(node.target)
        if target.rpartition(".")[0] in self._leaves:  # that name may hold another layer now
            target = target.replace(".", "_")
        self.modules[target] = value
        return Constant(self.graph.get_attr(target), tuple(value.shape), str(node.target))

    def _known(self, node: fx.Node) -> Known:
        """Compute a value without images, at both batches."""

        def run(batch: str) -> Any:
            args, kwargs = map_aggregate(
                (node.args, node.kwargs),
                lambda arg: getattr(self.values[arg], batch) if isinstance(arg, fx.Node) else arg,
            )
            if node.op == "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            assert callable(node.target)
            return node.target(*args, **kwargs)

        return Known(run("at2"), run("at3"))

    def _lost(self, node: fx.Node) -> Lost:
        """Refuse what would be refused whatever it takes, behind something lost."""
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        rule = registry.find(node, module)
        if rule is not None and registry.KINDS[rule] == "never":
            Call(self, node, module).answer(rule)
        return Lost()

    def later_users(self, node: fx.Node, after: fx.Node) -> bool:
        """Whether some node behind `after` uses the value of `node`."""
        return any(self._order[user] > self._order[after] for user in node.users)

    def module(self, name: str, module: nn.Module, *inputs: Any, **options: Any) -> fx.Node:
        """Write a call of a module, under its name or, if another one has that, the next free."""
        free, count = name, 1
        while self.modules.get(free, module) is not module:
            count += 1
            free = f"{name}_{count}"
        self.modules[free] = module
        return self.graph.call_module(free, inputs, options)

    def function(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """Write a call of a function."""
        return self.graph.call_function(target, args, kwargs)


class Call:
    """One operation of the model: what a rule may ask and do."""

    def __init__(self, walk: Walk, node: fx.Node, module: nn.Module | None) -> None:
        self.walk = walk
        self.node = node
        self._module = module
        self.site = site_of(node)
        self.name = registry.name_of(node) if module is None else None
        self.exchange = "kept"
        self.prove: Callable[[], Verdict] | None = None

    @property
    def module(self) -> Any:
        """The module called."""
        assert self._module is not None
        return self._module

    @property
    def operation(self) -> str:
        """The class or function, as a person would say it."""
        if self._module is not None:
            return type(self._module).__name__
        return str(getattr(self.node.target, "__name__", self.node.target))

    @property
    def shape(self) -> tuple[int, ...]:
        """The result's shape at the window, without the batch."""
        return tuple(native_shape(self.node)[1:])

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions."""
        return len(self.walk.window) - 1

    def answer(self, rule: registry.Rule) -> Any:
        """Return the rule's answer for this call's arguments, and note the layer."""
        kind = registry.KINDS[rule]
        args, kwargs = map_aggregate(
            (self.node.args, self.node.kwargs), lambda arg: self._operand(arg, kind)
        )
        kwargs = {key: value for key, value in kwargs.items() if key not in _PLUMBING}
        try:
            inspect.signature(rule).bind(self, *args, **kwargs)
        except TypeError as error:
            raise self.refused("arguments", error, "the ones convlin knows") from None
        result = rule(self, *args, **kwargs)
        if kind == "compute":
            layer = Layer(self.site, self.operation, self.exchange, self.prove)
            self.walk.layers.append(layer)
        return result

    def _operand(self, arg: Any, kind: registry.Kind) -> Any:
        if not isinstance(arg, fx.Node):
            return arg
        value = self.walk.values[arg]
        if not isinstance(value, Known):
            return value
        if kind != "reshape" and value.at2 != value.at3:
            raise self.refused(
                arg.name,
                value.at2,
                "a number that does not depend on the batch",
                f"it is {value.at2} at batch {BATCH} and {value.at3} at batch 3",
            )
        return value.at2

    def refused(self, field: str, value: Any, allowed: str, reason: str = "") -> Refused:
        """Return the refusal of this layer, to be raised."""
        return Refused(Refusal(self.site, field, value, allowed, reason))

    def breaks(self, field: str, value: Any, allowed: str, reason: str) -> None:
        """Note why the cells that this layer breaks differ from the large image's."""
        self.walk.breaks.setdefault(self.site, Refusal(self.site, field, value, allowed, reason))

    def exchanged(self, text: str, prove: Callable[[], Verdict] | None = None) -> None:
        """Note that the layer was exchanged, and how to prove it."""
        self.exchange, self.prove = text, prove

    def keep(self, operands: dict[fx.Node, fx.Node] | None = None, **changes: Any) -> fx.Node:
        """Write the operation as it is, on the values of the new graph.

        `operands` replaces some of them, `changes` some keyword arguments.
        """

        def operand(node: fx.Node) -> Any:
            if operands and node in operands:
                return operands[node]
            value = self._operand(node, "compute")
            return value.node if isinstance(value, Place | Constant) else value

        args, kwargs = fx.node.map_arg((self.node.args, {**self.node.kwargs, **changes}), operand)
        if self._module is not None:
            return self.walk.module(self.site, self._module, *args, **kwargs)
        return self.walk.graph.create_node(self.node.op, self.node.target, args, kwargs)

    def map(self, value: Any) -> Place:
        """Return the operand if the model has it as a map (N, C, *size); refuse it otherwise."""
        place = self.place(value)
        if not place.is_map:
            raise self.refused(
                "input",
                (BATCH, *place.shape),
                f"(N, {place.channels}, {', '.join(map(str, place.size))})",
                self._lying(place),
            )
        return place

    def place(self, value: Any) -> Place:
        """Return the operand if it is made of the images and pooled; refuse it otherwise."""
        if not isinstance(value, Place):
            raise self.refused("input", type(value).__name__, "a value made of the images")
        if value.unpooled is not None and value.pool is not None:
            pooled = tuple(axis.size for axis in value.unpooled)
            raise self.refused(
                "input", f"{site_of(value.pool)} of {pooled} to {value.size} cells",
                "a pool whose output size is its input's, or divides it",
                "pooled cells of unequal size can only be folded into a Linear, with nothing but "
                "reshapes between",
            )  # fmt: skip
        return value

    def mapped(
        self, place: Place, node: fx.Node, axes: tuple[Axis, ...], channels: int | None = None
    ) -> Place:
        """Return the map (N, C, *size) that this layer made of another one."""
        return place.moved(
            node, axes=axes, channels=channels or place.channels, source=self.node, numbers=None,
            roles=tuple(range(self.ndim + 1)), base=place.base if node is place.node else node,
        )  # fmt: skip

    @contextmanager
    def resited(self) -> Iterator[None]:
        """Give the refusals of another function this layer's name."""
        try:
            yield
        except Refused as refused:
            raise Refused([replace(r, site=self.site) for r in refused.refusals]) from None

    def _lying(self, place: Place) -> str:
        if place.roles is None:
            return f"a map of {place.map_shape} was flattened across its axes"
        names = ["1" if role is None else "CDHW"[role and role + 3 - self.ndim]
                 for role in place.roles]  # fmt: skip
        return f"the axes behind the batch are ({', '.join(names)}) of a map {place.map_shape}"
