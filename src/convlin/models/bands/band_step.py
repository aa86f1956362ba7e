"""One operation of the network as bands see it: which rows it reads, and how it makes more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx

from convlin.errors import Description, Refusal, Refused
from convlin.models.bands.row_flow import Neighbours
from convlin.models.bands.row_queue import Chunk

__all__ = ["Asked", "Compute", "Limit", "Span", "Step"]

Sizes: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Span:
    """The outputs first … last - 1 along rows, of maps of these sizes in all."""

    first: int
    last: int
    read: Sizes
    made: Sizes


# (chunks of the values read, in order; the constants of the network; what is asked) → outputs
Compute: TypeAlias = Callable[[Sequence[Chunk], Mapping[fx.Node, Any], Span], Tensor]
# (sizes of the image, sizes of every value) → the most cells per dimension
Limit: TypeAlias = Callable[[Sizes, Mapping[fx.Node, Sizes]], Sizes]


@dataclass(frozen=True)
class Step:
    """An operation: output o reads rows of each of `reads` as `axes` say, one per dimension.

    `fill` is what constant padding along rows has; `row_dim` counts from the end. One output cell
    has numbers of the shape `lead` and takes `multiply_adds`. For each it copies `columns` numbers;
    `patch` more where convolutions are products with copied patches. `copies` of what it reads and
    `twins` of what it makes are there meanwhile; its `kernel` has so many numbers.
    """

    node: fx.Node
    site: str
    reads: tuple[fx.Node, ...]
    axes: tuple[Neighbours, ...]
    compute: Compute
    row_dim: int
    lead: Sizes
    dtype: torch.dtype
    fill: float = 0.0
    limit: Limit | None = None
    multiply_adds: int = 0
    columns: int = 0
    patch: int = 0
    copies: int = 0
    twins: int = 0
    kernel: int = 0

    @property
    def rows(self) -> Neighbours:
        """What it reads along rows."""
        return self.axes[0]

    def sizes(self, image: Sizes, known: Mapping[fx.Node, Sizes]) -> Sizes:
        """Return the sizes of what it makes in all."""
        given = {known[node] for node in self.reads}
        if len(given) != 1:
            raise Refused(Refusal(self.site, "sizes", Description(sorted(given)), "equal ones"))
        made = tuple(axis.size(n) for axis, n in zip(self.axes, *given, strict=True))
        if self.limit is None:
            return made
        return tuple(map(min, made, self.limit(image, known)))


@dataclass(frozen=True)
class Asked:
    """What a rule is asked: a node of the network, and what is known of it.

    `values` has a tensor without numbers for every node; `rows` those that are made of images.
    """

    node: fx.Node
    site: str
    name: str
    module: Any
    ndim: int
    values: Mapping[fx.Node, Any]
    rows: Mapping[fx.Node, int]

    @property
    def args(self) -> Any:
        """What it is called with, in order."""
        return self.node.args

    @property
    def read(self) -> list[fx.Node]:
        """The value that it reads, where it reads one."""
        return self.node.all_input_nodes[:1]

    @property
    def operation(self) -> str:
        """The class or function, as a person would say it."""
        return self.name if self.module is None else type(self.module).__name__

    def refused(self, field: str, value: Any, allowed: str, reason: str = "") -> Refused:
        """Return the refusal of this operation."""
        return Refused(Refusal(self.site, field, Description(value), allowed, reason))

    def step(
        self, reads: Sequence[fx.Node], axes: Sequence[Neighbours], compute: Compute, **more: Any
    ) -> Step:
        """Return the step of this node."""
        value = self.values[self.node]
        row_dim = self.rows[reads[0]]
        if self.name in TURNS:
            row_dim = TURNS[self.name] - self.ndim
        start = value.ndim + row_dim
        shape = tuple(value.shape)
        lead = (*shape[1:start], *shape[start + self.ndim :])
        return Step(
            self.node, self.site, tuple(reads), tuple(axes), compute, row_dim, lead, value.dtype,
            **more,
        )  # fmt: skip


# where rows are behind these, counted from the end, in front of the other axes of space
TURNS = {"channels_last": -1, "channels_first": 0}
