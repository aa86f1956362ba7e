"""What is known of a value that is made of the images: a feature map, or a pool that waits.

The new graph keeps channels first whatever the model does: `roles` say in which order the axes lie
in the model (as in `layout`), and `numbers` stand in for them where the model has flattened the
map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, fx

from convlin.models.dense import layout
from convlin.models.dense.axis import Axis, Broken

__all__ = ["BatchSecond", "DeferredPool", "FeatureMap", "NoElements"]


@dataclass(frozen=True)
class FeatureMap:
    """A map (N, C, *grid) in the new graph, at `node`, and how the model has it.

    `source` is the model's last node where it still was a map.
    """

    node: fx.Node
    channels: int
    axes: tuple[Axis, ...]
    roles: layout.Roles | None
    source: fx.Node
    numbers: Tensor | None = field(default=None, compare=False)

    @property
    def size(self) -> tuple[int, ...]:
        """The map's own size at the window."""
        return tuple(axis.size for axis in self.axes)

    @property
    def map_shape(self) -> tuple[int, ...]:
        """(C, *size) at the window."""
        return (self.channels, *self.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """The model's shape at the window, without the batch."""
        if self.roles is None:
            return tuple(self.elements.shape)
        return tuple(1 if role is None else self.map_shape[role] for role in self.roles)

    @property
    def elements(self) -> Tensor:
        """The number of the map element at every index of the model's value."""
        if self.numbers is not None:
            return self.numbers
        assert self.roles is not None
        return layout.elements(self.map_shape, self.roles)

    @property
    def channel_axis(self) -> int | None:
        """The axis behind the batch along which the channels of one cell lie, in order."""
        if self.roles is not None:
            return layout.axis_of_channels(self.roles)
        axes = (axis for axis in (0, -1) if layout.cells_of_tokens(
            self.elements.movedim(axis, -1), self.map_shape) is not None)  # fmt: skip
        return next((axis % self.elements.ndim for axis in axes), None)

    @property
    def is_map(self) -> bool:
        """Whether the model has it as (N, C, *size) too."""
        return self.roles is not None and self.shape == self.map_shape and all(
            role == axis or (role is None and self.shape[axis] == 1)
            for axis, role in enumerate(self.roles)
        )  # fmt: skip

    @property
    def is_single(self) -> bool:
        """Whether the map has one cell."""
        return all(n == 1 for n in self.size)

    @property
    def is_whole(self) -> bool:
        """Whether it was pooled over the whole image."""
        return any(axis.is_whole for axis in self.axes)

    @property
    def step(self) -> tuple[int, ...]:
        """Grid cells between neighbours of the window's map."""
        return tuple(axis.step for axis in self.axes)

    @property
    def is_spread(self) -> bool:
        """Whether the window's neighbours lie apart on the grid."""
        return any(step > 1 for step in self.step)

    def grid_stride(self, stride: Sequence[int]) -> tuple[int, ...]:
        """Return the stride on the grid of a layer with this stride: 1 where cells lie apart."""
        return tuple(s if q == 1 else 1 for s, q in zip(stride, self.step, strict=True))

    @property
    def culprits(self) -> Broken:
        """All layers that break some cell."""
        return frozenset().union(*(axis.culprits for axis in self.axes))

    def laid(self, numbers: Tensor, source: fx.Node) -> FeatureMap:
        """Return the value with its elements in this order: a map, at `source`, if it is one."""
        lying = layout.arrangement(numbers, self.map_shape)
        if lying is None or not lying.is_all_of(self.map_shape):
            return replace(self, roles=None, numbers=numbers)
        return replace(self, roles=lying.roles, numbers=None, source=source)

    def moved(self, node: fx.Node, **changes: Any) -> FeatureMap:
        """Return what is known of a value at another node of the new graph."""
        return replace(self, node=node, **changes)


@dataclass(frozen=True)
class DeferredPool(FeatureMap):
    """The cells of an adaptive average pool that no pool with one kernel size can make.

    The new graph has not pooled yet: `node` holds the map in front of it, whose axes are
    `unpooled`, and the next Linear must pool. `pool` is the pool in the model's graph.
    """

    unpooled: tuple[Axis, ...] = ()
    pool: fx.Node | None = None


@dataclass(frozen=True)
class BatchSecond:
    """Values stacked in front of the batch, for a reduction: `value` has that axis behind it."""

    value: FeatureMap


@dataclass(frozen=True)
class NoElements:
    """A part of a value that is empty: nothing reads it, or what does refuses it."""
