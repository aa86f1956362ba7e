"""A value that windows share: which cells it has, what they are made of, and where they lie.

`Stored` is computed once for each of its distinct cells; a `CellMap` is how the model sees it, with
the names of one window's cells along each axis. Slices, flips and padding are other names for what
is stored already: they compute nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from torch import Tensor, fx

from convlin.models.cells.chains import Reads
from convlin.models.cells.names import Name

__all__ = ["CellMap", "Compute", "Numbers", "Runs", "Source", "Stored"]

Axes = tuple[tuple[Name, ...], ...]


class Numbers(Protocol):
    """What a step may ask while it runs: the model's tensors, its dtype, and the batch."""

    def run(
        self,
        node: fx.Node,
        instead: dict[fx.Node, Any],
        batch: int,
        at: dict[int, Any] | None = None,
    ) -> Any:
        """Run the operation of a node on those tensors; `at` has other arguments, by place."""

    def made(self, values: Sequence[float]) -> Tensor:
        """Return numbers as a tensor like the images."""

    def tensor(self, node: fx.Node) -> Tensor:
        """Return what a node is that is made of the model's tensors alone."""


# takes a block of each source, and how far apart neighbours lie along each axis
Compute = Callable[..., Any]
Runs = Literal["alone", "apart", "strided", "batched"]


@dataclass(frozen=True, eq=False)
class Source:
    """A map that is read, how along each axis, and what stands for cells beyond it."""

    map: CellMap
    reads: tuple[Reads, ...]
    outside: float = 0.0


@dataclass(frozen=True, eq=False)
class Stored:
    """What is computed once for each distinct cell.

    compute: takes a block of each source, as the model sees it, (B, *dimensions), with as many
    cells along each axis as the block has; returns the block of the result. runs: how it takes
    several runs: "alone": it reads no neighbours, and does not care; "apart": neighbours may lie
    apart; "strided": so they may if it is told its strides there, as `steps`; "batched": they may
    not. multiply_adds: of one cell. rest: the sizes of the dimensions
    that are no axis. No sources: the images, or numbers of the model (`compute` takes none then,
    and returns all cells of a window).
    """

    node: fx.Node
    axes: Axes
    roles: tuple[int | None, ...]
    sources: tuple[Source, ...]
    compute: Compute
    rest: tuple[int, ...]
    multiply_adds: int = 0
    runs: Runs = "alone"

    @property
    def numbers(self) -> int:
        """How many numbers a cell has."""
        return math.prod(self.rest)


@dataclass(frozen=True, eq=False)
class CellMap:
    """How the model sees a stored value: `axes` names one window's cells along each axis.

    roles: of each dimension behind the batch, the axis that it is; None: channels, or others.
    """

    stored: Stored
    axes: Axes

    @property
    def roles(self) -> tuple[int | None, ...]:
        """Which dimension behind the batch is which axis."""
        return self.stored.roles

    @property
    def size(self) -> tuple[int, ...]:
        """Cells along each axis, at the window."""
        return tuple(map(len, self.axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape at the window, without the batch."""
        rest = iter(self.stored.rest)
        return tuple(next(rest) if role is None else self.size[role] for role in self.roles)

    @property
    def is_plain(self) -> bool:
        """Whether it lies as (C, *size)."""
        return self.roles == (None, *range(len(self.axes)))

    def named(self, axes: Axes) -> CellMap:
        """Return the same stored cells, as other cells of the window."""
        return replace(self, axes=axes)

    def along(self, axis: int, names: tuple[Name, ...]) -> CellMap:
        """Return the same stored cells, as other cells along one axis."""
        return self.named((*self.axes[:axis], names, *self.axes[axis + 1 :]))
