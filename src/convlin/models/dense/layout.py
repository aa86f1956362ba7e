"""Which element of the map stands where, found by sending arange(C·H·W) through the reshapes.

A reshaped value is described by a tensor of its shape at the window that holds, at every index,
the number of the map element (C order) that the model put there. Where every axis of it runs
along one axis of the map (permuted, cut, channels picked or shuffled, axes of size 1 come or gone),
the value still is a map: `arrangement` says which. Otherwise (flattened) it is only good for a
Linear that reads all of it, or for what treats all elements alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

__all__ = [
    "Arrangement",
    "Groups",
    "Roles",
    "arrangement",
    "axis_of_channels",
    "cells_of_tokens",
    "channel_groups",
    "elements",
    "of_view",
    "pooled_channels",
]

# channels that are taken together in every cell, and the numbers of what they make
Groups = tuple[tuple[tuple[int, ...], ...], Tensor]
Roles = tuple[int | None, ...]  # per axis behind the batch: 0 channels, 1 … space, None of size 1


@dataclass(frozen=True)
class Arrangement:
    """A value that is a part of a map: its channels, (start, count, every) per dimension, roles."""

    channels: tuple[int, ...]
    cells: tuple[tuple[int, int, int], ...]
    roles: Roles

    def is_all_of(self, map_shape: tuple[int, ...]) -> bool:
        """Whether nothing was left out, and the channels are in order."""
        return self.channels == tuple(range(map_shape[0])) and self.cells == tuple(
            (0, n, 1) for n in map_shape[1:]
        )


def elements(map_shape: tuple[int, ...], roles: Roles) -> Int64[Tensor, "*shape"]:
    """Return the element numbers of a whole map whose axes lie as `roles` say."""
    # Element (c, y, x) has the number (c·H + y)·W + x, its index in C order; roles only turn axes,
    # and what has no axis in the model has size 1, wherever it is put.
    numbers = torch.arange(math.prod(map_shape), device="cpu").reshape(map_shape)
    present = [role for role in roles if role is not None]
    absent = [role for role in range(len(map_shape)) if role not in present]
    shape = [1 if role is None else map_shape[role] for role in roles]
    return numbers.permute(*present, *absent).reshape(shape)


def arrangement(numbers: Int64[Tensor, "*shape"], map_shape: tuple[int, ...]) -> Arrangement | None:
    """Return which part of the map the value is; None if it is no map any more.

    >>> shuffled = torch.arange(24).reshape(2, 2, 3, 2).transpose(0, 1).reshape(4, 3, 2)
    >>> arrangement(shuffled, (4, 3, 2))
    Arrangement(channels=(0, 2, 1, 3), cells=((0, 3, 1), (0, 2, 1)), roles=(0, 1, 2))
    >>> arrangement(shuffled.flatten(), (4, 3, 2)) is None
    True
    """
    # Unravelled, every number says its channel and cell. The value is a map if each of these
    # indices moves along one axis at most, and no axis moves two: a line along it was picked.
    roles: list[int | None] = [None] * numbers.ndim
    picked: list[list[int]] = []
    for role, indices in enumerate(torch.unravel_index(numbers, map_shape)):
        moving = [
            axis for axis in range(indices.ndim) if (indices != indices.narrow(axis, 0, 1)).any()
        ]
        if len(moving) > 1 or (moving and roles[moving[0]] is not None):
            return None
        line = indices.movedim(moving[0], -1) if moving else indices.reshape(-1)[:1]
        picked.append(line.reshape(-1, line.shape[-1])[0].tolist())
        if moving:
            roles[moving[0]] = role
    again = [i for i, n in enumerate(numbers.shape) if roles[i] is None and n > 1]
    if again == again[:1] and again and 0 not in roles:  # one channel, over and over again
        roles[again[0]] = 0
        picked[0] *= numbers.shape[again[0]]
    elif again:
        return None
    cells = [_progression(line) for line in picked[1:]]
    if any(cell is None for cell in cells):
        return None
    shape = (len(picked[0]), *(len(line) for line in picked[1:]))
    if tuple(numbers.shape) == shape and all(r in (None, i) for i, r in enumerate(roles)):
        roles = list(range(len(shape)))
    elif len(picked[0]) == 1 and None in roles:
        roles[roles.index(None)] = 0
    return Arrangement(tuple(picked[0]), tuple(c for c in cells if c is not None), tuple(roles))


def of_view(
    size: Sequence[int], stride: Sequence[int], offset: int, map_shape: tuple[int, ...]
) -> Arrangement | None:
    """Return which part of the map a view of it is, from its strides alone.

    None where it is none, and also where a part of size 1 might be of any axis: `arrangement`
    looks at every element, which takes long for a large map.

    >>> view = torch.zeros(4, 3, 2)[1:, ::2].permute(1, 2, 0)
    >>> of_view(view.size(), view.stride(), view.storage_offset(), (4, 3, 2))
    Arrangement(channels=(1, 2, 3), cells=((0, 2, 2), (0, 2, 1)), roles=(1, 2, 0))
    """
    if 0 in size:
        return None
    # Element (c, y, x) has the number (c·H + y)·W + x; an axis of the view that steps by
    # every·(a stride of the map), and does not leave that axis of it, runs along it.
    steps = [math.prod(map_shape[axis + 1 :]) for axis in range(len(map_shape))]
    starts = [offset // step % n for step, n in zip(steps, map_shape, strict=True)]
    lines = [range(start, start + 1) for start in starts]
    roles: list[int | None] = []
    for n, step in zip(size, stride, strict=True):
        role = next((axis for axis, of in enumerate(steps) if step >= of and n > 1), None)
        if role is None or step % steps[role] or role in roles:
            return None
        every = step // steps[role]
        lines[role] = range(starts[role], starts[role] + (n - 1) * every + 1, every)
        if lines[role][-1] >= map_shape[role]:
            return None
        roles.append(role)
    cells = tuple((line.start, len(line), line.step) for line in lines[1:])
    return Arrangement(tuple(lines[0]), cells, tuple(roles))


def axis_of_channels(roles: Roles | None) -> int | None:
    """Return the axis (batch not counted) of the channels, if there is one."""
    return roles.index(0) if roles is not None and 0 in roles else None


def pooled_channels(
    numbers: Int64[Tensor, "*shape"], axis: int, map_shape: tuple[int, ...]
) -> Int64[Tensor, "*shape"] | None:
    """Return which channel each result of a reduction along `axis` stems from.

    None unless every result takes in each cell of one channel exactly once.
    """
    # In C order, number = channel·cells + cell: each group must hold every cell, of one channel.
    groups = numbers.movedim(axis, -1)
    cells = math.prod(map_shape[1:])
    channel, cell = groups // cells, groups % cells
    whole = groups.shape[-1] == cells and torch.equal(
        cell.sort(-1).values, torch.arange(cells, device="cpu").expand_as(cell)
    )
    return channel[..., 0] if whole and torch.equal(channel, channel[..., :1] + 0 * cell) else None


def channel_groups(
    numbers: Int64[Tensor, "*shape"], axis: int, map_shape: tuple[int, ...]
) -> Groups | None:
    """Return which channels a reduction along `axis` takes together; None if it leaves a cell.

    >>> stacked = torch.arange(12).reshape(2, 3, 2)  # two maps of 3 channels and 2 cells
    >>> channel_groups(stacked, 0, (6, 2))
    (((0, 3), (1, 4), (2, 5)), tensor([[0, 1],
            [2, 3],
            [4, 5]]))
    """
    cells = math.prod(map_shape[1:])
    lines = numbers.movedim(axis, -1)
    channel, cell = lines // cells, lines % cells
    if not torch.equal(cell, cell[..., :1].expand_as(cell)):
        return None
    groups, place = torch.unique(channel.reshape(-1, channel.shape[-1]), dim=0, return_inverse=True)
    numbers = place.reshape(cell.shape[:-1]) * cells + cell[..., 0]
    return tuple(tuple(group) for group in groups.tolist()), numbers


def cells_of_tokens(
    numbers: Int64[Tensor, "*shape"], map_shape: tuple[int, ...]
) -> Int64[Tensor, "*cells"] | None:
    """Return the cell that each line along the last axis holds all channels of, in order.

    >>> cells_of_tokens(torch.arange(6).reshape(3, 2).T, (3, 2))
    tensor([0, 1])
    """
    cells = math.prod(map_shape[1:])
    channels = torch.arange(map_shape[0], device="cpu")
    if not numbers.ndim or numbers.shape[-1] != map_shape[0]:
        return None
    cell = numbers[..., 0]
    return cell if torch.equal(numbers, cell[..., None] + cells * channels) else None


def _progression(line: list[int]) -> tuple[int, int, int] | None:
    """Return (start, count, every) of evenly rising numbers."""
    every = line[1] - line[0] if len(line) > 1 else 1
    if every < 1 or line != list(range(line[0], line[0] + every * len(line), every)):
        return None
    return line[0], len(line), every
