"""One operation of the model: what a rule may ask, refuse, note and write."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import fx, nn
from torch.fx.node import map_aggregate

from convlin.display.article import indefinite
from convlin.errors import Description, Refusal, Refused
from convlin.models.dense import registry
from convlin.models.dense.axis import Axis
from convlin.models.dense.claims import Claim
from convlin.models.dense.fx_graph import BATCH, native_shape, site_of
from convlin.models.dense.layer_met import Layer
from convlin.models.dense.value import Constant, MapValue, PlainValue
from convlin.models.dense.writer import Writer

__all__ = ["Call"]

_PLUMBING = ("out", "_stacklevel")  # arguments that torch's Python functions pass on, out as None


class Call:
    """One operation of the model: what a rule may ask and do."""

    def __init__(self, walk: Writer, node: fx.Node, module: nn.Module | None) -> None:
        self.walk = walk
        self.node = node
        self._module = module
        self.site = site_of(node)
        self.name = registry.name_of(node) if module is None else None
        self.exchange = "kept"
        self.claim: Callable[[], Claim] | None = None

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
        if kwargs.get("out") is not None:
            raise self.refused("out", "a tensor", "None", "the network has no such tensor")
        kwargs = {key: value for key, value in kwargs.items() if key not in _PLUMBING}
        try:
            inspect.signature(rule).bind(self, *args, **kwargs)
        except TypeError as error:
            others = f"unknown to convlin: {error}"
            raise self.refused("arguments", others, "those that its rule knows") from None
        result = rule(self, *args, **kwargs)
        if kind == "compute":
            layer = Layer(self.site, self.operation, self.exchange, self.claim)
            self.walk.layers.append(layer)
        return result

    def _operand(self, arg: Any, kind: registry.Kind) -> Any:
        if not isinstance(arg, fx.Node):
            return arg
        value = self.walk.values[arg]
        if not isinstance(value, PlainValue):
            return value
        if kind != "reshape" and value.smaller != value.larger:
            raise self.refused(
                arg.name,
                value.smaller,
                "a number that does not depend on the batch",
                f"it is {value.smaller} at batch {BATCH} and {value.larger} at batch {BATCH + 1}",
            )
        return value.smaller

    def refused(self, field: str, value: Any, allowed: str, reason: str = "") -> Refused:
        """Return the refusal of this layer, to be raised."""
        return Refused(Refusal(self.site, field, Description(value), allowed, reason))

    def breaks(self, field: str, value: Any, allowed: str, reason: str) -> None:
        """Note why the cells that this layer breaks differ from the large image's."""
        self.walk.breaks.setdefault(
            self.site, Refusal(self.site, field, Description(value), allowed, reason)
        )

    def exchanged(self, text: str, claim: Callable[[], Claim] | None = None) -> None:
        """Note that the layer was exchanged, and what is claimed of that."""
        self.exchange, self.claim = text, claim

    def keep(self, operands: dict[fx.Node, fx.Node] | None = None, **changes: Any) -> fx.Node:
        """Write the operation as it is, on the values of the new graph.

        `operands` replaces some of them, `changes` some keyword arguments.
        """

        def operand(node: fx.Node) -> Any:
            if operands and node in operands:
                return operands[node]
            value = self._operand(node, "compute")
            return value.node if isinstance(value, MapValue | Constant) else value

        args, kwargs = fx.node.map_arg((self.node.args, {**self.node.kwargs, **changes}), operand)
        if self._module is not None:
            return self.walk.module(self.site, self._module, *args, **kwargs)
        return self.walk.graph.create_node(self.node.op, self.node.target, args, kwargs)

    def map(self, operand: Any) -> MapValue:
        """Return the operand if the model has it as a map (N, C, *size); refuse it otherwise."""
        value = self.value(operand)
        if not value.is_map:
            raise self.refused(
                "input",
                (BATCH, *value.shape),
                f"(N, {value.channels}, {', '.join(map(str, value.size))})",
                self._lying(value),
            )
        return value

    def value(self, operand: Any) -> MapValue:
        """Return the operand if it is made of the images and pooled; refuse it otherwise."""
        if not isinstance(operand, MapValue):
            raise self.no_image(operand)
        if operand.unpooled is not None and operand.pool is not None:
            pooled = tuple(axis.size for axis in operand.unpooled)
            raise self.refused(
                "input", f"pooled by {site_of(operand.pool)} of {pooled} to {operand.size} cells",
                "a pool whose output size is its input's, or divides it",
                "pooled cells of unequal size can only be folded into a Linear, with nothing but "
                "reshapes between",
            )  # fmt: skip
        return operand

    def no_image(self, operand: Any) -> Refused:
        """Return the refusal of an operand that is not made of the images, or is several."""
        if isinstance(operand, Constant):
            kind = "a tensor of the model"
        elif isinstance(operand, tuple | list):
            kind = "several values"
        else:
            kind = indefinite(type(operand).__name__)
        return self.refused("input", kind, "a tensor computed from the images")

    def mapped(
        self, value: MapValue, node: fx.Node, axes: tuple[Axis, ...], channels: int | None = None
    ) -> MapValue:
        """Return the map (N, C, *size) that this layer made of another one."""
        return value.moved(
            node, axes=axes, channels=channels or value.channels, source=self.node, numbers=None,
            roles=tuple(range(self.ndim + 1)), base=value.base if node is value.node else node,
        )  # fmt: skip

    @contextmanager
    def resited(self) -> Iterator[None]:
        """Give the refusals of another function this layer's name."""
        try:
            yield
        except Refused as refused:
            raise Refused([replace(r, site=self.site) for r in refused.refusals]) from None

    def _lying(self, value: MapValue) -> str:
        if value.roles is None:
            return f"a map of {value.map_shape} was flattened across its axes"
        names = ["1" if role is None else "CDHW"[role and role + 3 - self.ndim]
                 for role in value.roles]  # fmt: skip
        return f"the axes behind the batch are ({', '.join(names)}) of a map {value.map_shape}"
