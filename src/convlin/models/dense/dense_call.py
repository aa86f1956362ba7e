"""A call as the rules for feature maps see it: of what kind its operands are, and what it makes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx, nn

from convlin.display.article import indefinite
from convlin.errors import Refused
from convlin.models.dense.against_model import Refold
from convlin.models.dense.axis import Axis
from convlin.models.dense.feature_map import BatchSecond, DeferredPool, FeatureMap, NoElements
from convlin.models.graph.call import Call
from convlin.models.graph.facts import Facts
from convlin.models.graph.rule import Rule
from convlin.models.graph.traced import Trace, site_of
from convlin.models.graph.value import Constant
from convlin.models.graph.varying import BATCH
from convlin.models.graph.writer import Writer

__all__ = ["DenseCall", "DenseFacts"]


@dataclass
class DenseFacts(Facts):
    """What is known beside the values: of the window, how to run the head, what must be shared."""

    window: tuple[int, ...] = ()
    head: str = "conv"
    shared: dict[Any, nn.Parameter] = field(default_factory=dict)
    refolds: list[Refold] = field(default_factory=list)


class DenseCall(Call):
    """One operation of the model, on feature maps."""

    def __init__(self, trace: Trace, writer: Writer, facts: DenseFacts, node: fx.Node) -> None:
        super().__init__(trace, writer, facts, node)
        self._dense = facts

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions."""
        return len(self.pixels)

    @property
    def pixels(self) -> tuple[int, ...]:
        """The window's size."""
        return self._dense.window[1:]

    @property
    def head(self) -> str:
        """How Linear layers are to be run: "conv" or "linear"."""
        return self._dense.head

    def answer(self, rule: Rule) -> Any:
        """Return the rule's answer; refuse what is not so many elements for each image.

        A rule knows a value without its batch: that stands first, and nothing else grows with it.
        """
        result = super().answer(rule)
        parts = result if isinstance(result, tuple | list) else (result,)
        values, larger = (self.node.meta[key] for key in ("value", "larger"))
        seen = [each if isinstance(each, tuple | list) else (each,) for each in (values, larger)]
        for part, value, more in zip(parts, *seen, strict=False):
            if isinstance(part, FeatureMap):
                shapes = value.shape, more.shape
                if shapes != ((BATCH, *part.shape), (BATCH + 1, *part.shape)):
                    raise self.refused(
                        "result", f"{shapes[0]} at batch {BATCH}, {shapes[1]} at batch {BATCH + 1}",
                        f"(N, {', '.join(map(str, part.shape))})",
                        "the batch comes first, and all else is one image's",
                    )  # fmt: skip
        return result

    def map(self, operand: Any) -> FeatureMap:
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

    def value(self, operand: Any) -> FeatureMap:
        """Return the operand if it is made of the images and pooled; refuse it otherwise."""
        if isinstance(operand, DeferredPool):
            pooled, pool = tuple(axis.size for axis in operand.unpooled), operand.pool
            assert pool is not None
            raise self.refused(
                "input", f"pooled by {site_of(pool)} of {pooled} to {operand.size} cells",
                "a pool whose output size is its input's, or divides it",
                "pooled cells of unequal size can only be folded into a Linear, with nothing but "
                "reshapes between",
            )  # fmt: skip
        return self.lying(operand)

    def lying(self, operand: Any) -> FeatureMap:
        """Return the operand if it is made of the images, pooled or not."""
        if not isinstance(operand, FeatureMap):
            raise self.no_image(operand)
        return operand

    def no_image(self, operand: Any) -> Refused:
        """Return the refusal of an operand that is not made of the images, or is several."""
        if isinstance(operand, Constant):
            kind = "a tensor of the model"
        elif isinstance(operand, tuple | list):
            kind = "several values"
        elif isinstance(operand, BatchSecond):
            kind = "values stacked in front of the batch"
        elif isinstance(operand, NoElements):
            kind = "a part without elements"
        else:
            kind = indefinite(type(operand).__name__)
        return self.refused("input", kind, "a tensor computed from the images")

    def mapped(
        self, value: FeatureMap, node: fx.Node, axes: tuple[Axis, ...], channels: int | None = None
    ) -> FeatureMap:
        """Return the map (N, C, *size) that this layer made of another one."""
        return value.moved(
            node, axes=axes, channels=channels or value.channels, source=self.node, numbers=None,
            roles=tuple(range(self.ndim + 1)),
        )  # fmt: skip

    def said(self, operand: Any) -> str:
        """Return in words what an operand is."""
        if isinstance(operand, Constant):
            return f"a tensor {operand.shape} of the model"
        return "computed from the images" if isinstance(operand, FeatureMap) else repr(operand)

    def takes_all_images(self, start: Any, end: Any, step: int) -> bool:
        """Whether a slice of the batch is all of it, however large that is."""
        return start in (None, 0) and step == 1 and (end is None or end == sys.maxsize)

    def one_parameter(self, key: Any, weight: nn.Parameter) -> nn.Parameter:
        """Return the one parameter for all views of the same numbers."""
        return self._dense.shared.setdefault(key, weight)

    def refold(
        self, kernel: nn.Module, linear: nn.Module, exact: Callable[[Tensor, Any], Any]
    ) -> None:
        """Note that a kernel was computed, and so rounded."""
        self._dense.refolds.append(Refold(self.site, kernel, linear, exact))

    def way_from(self, value: FeatureMap) -> tuple[Any, list[tuple[fx.Node, bool]]]:
        """Return what is known of the map, and the model's nodes from there to this operation.

        The first holds the map, or what is pooled; with each comes whether it moves elements.
        """
        start = value.source
        if isinstance(value, DeferredPool) and value.pool is not None:
            start = value.pool.all_input_nodes[0]

        def leads(node: fx.Node) -> bool:
            known = self._facts.values[node]
            parts = known if isinstance(known, tuple | list) else (known,)
            return node is start or any(
                part.pool is value.pool if isinstance(value, DeferredPool) and
                isinstance(part, DeferredPool) else part.source is value.source
                for part in parts if isinstance(part, FeatureMap)
            )  # fmt: skip

        way: list[tuple[fx.Node, bool]] = []
        node = next(filter(leads, self.operands))
        while node is not start:
            way.append((node, node in self._facts.moves))
            node = next(filter(leads, node.all_input_nodes))
        return self._facts.values[start], [(start, False), *reversed(way)]

    def _lying(self, value: FeatureMap) -> str:
        if value.roles is None:
            return f"a map of {value.map_shape} was flattened across its axes"
        names = ["1" if role is None else "CDHW"[role and role + 3 - self.ndim]
                 for role in value.roles]  # fmt: skip
        return f"the axes behind the batch are ({', '.join(names)}) of a map {value.map_shape}"
