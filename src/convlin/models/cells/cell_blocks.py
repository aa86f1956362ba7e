"""Stored cells as blocks of tensors, and a block made of pieces of others.

A block holds one group along each axis: (images, cells, runs, cells, runs, …, *channels), so that a
cell's numbers lie together. An operation sees it in the model's own order of dimensions, in one of
two ways:

| | the runs of a group are | neighbours in a run are |
|---|---|---|
| apart | side by side along the axis | as far apart as there are runs: the operation is dilated |
| batched | rows of the batch | neighbours |

One wide image is faster than many narrow ones, where the operation can be dilated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convlin.models.cells.pieces import Fill, Piece, Pieces

__all__ = ["Blocks", "gathered", "seen", "unseen"]

Blocks = dict[tuple[int, ...], Tensor]
Roles = tuple[int | None, ...]


def seen(block: Tensor, ndim: int, roles: Roles, batched: bool) -> Tensor:
    """Return a block as an operation sees it: a batch, in the model's order of dimensions."""
    if batched:
        cells, runs = range(1, 1 + 2 * ndim, 2), range(2, 2 + 2 * ndim, 2)
        rest = range(1 + 2 * ndim, block.ndim)
        flat = block.permute(0, *runs, *cells, *rest).flatten(0, ndim)
    else:
        flat = block
        for axis in range(ndim):
            flat = flat.flatten(1 + axis, 2 + axis)
    others = iter(range(1 + ndim, flat.ndim))
    return flat.permute(0, *(next(others) if role is None else 1 + role for role in roles))


def unseen(result: Tensor, images: int, runs: Sequence[int], roles: Roles, batched: bool) -> Tensor:
    """Return what an operation has made as a block."""
    ndim = len(runs)
    places = [1 + roles.index(axis) for axis in range(ndim)]
    rest = [1 + place for place, role in enumerate(roles) if role is None]
    flat = result.permute(0, *places, *rest)
    if batched:
        apart = flat.reshape(images, *runs, *flat.shape[1:])
        order = ((1 + ndim + axis, 1 + axis) for axis in range(ndim))
        return apart.permute(0, *itertools.chain(*order), *range(1 + 2 * ndim, apart.ndim))
    sizes = flat.shape[1 : 1 + ndim]
    pairs = ((size // count, count) for size, count in zip(sizes, runs, strict=True))
    return flat.reshape(images, *itertools.chain(*pairs), *flat.shape[1 + ndim :])


def gathered(
    blocks: Blocks, axes: Sequence[Pieces | None], chosen: tuple[int, ...], outside: float,
    batched: bool,
) -> Tensor:  # fmt: skip
    """Return what one group along each axis reads, of the blocks that hold it.

    axes: its pieces along each axis; None: the group itself, as it lies in the block `chosen`.
    batched: how it will be seen, and lies best.
    """
    if all(pieces is None for pieces in axes):
        return blocks[chosen]
    listed = [
        _whole(blocks, axis, chosen[axis]) if pieces is None else pieces
        for axis, pieces in enumerate(axes)
    ]
    combined = list(itertools.product(*(pieces.pieces for pieces in listed)))
    if len(combined) == 1 and (taken := _taken(blocks, combined[0])) is not None:
        return taken
    made = _empty(next(iter(blocks.values())), listed, batched)
    for pieces in combined:
        taken = _taken(blocks, pieces)
        _put(made, pieces, _value(pieces, outside) if taken is None else taken)
    return made


def _empty(like: Tensor, axes: Sequence[Pieces], batched: bool) -> Tensor:
    """Return a block without numbers yet."""
    ndim = len(axes)
    rest = like.shape[1 + 2 * ndim :]
    if not batched:
        pairs = itertools.chain(*((its.length, its.count) for its in axes))
        return like.new_empty((len(like), *pairs, *rest))
    counts, lengths = (its.count for its in axes), (its.length for its in axes)
    flat = like.new_empty((math.prod((len(like), *counts)), *lengths, *rest))
    roles = (*range(ndim), *(None for _ in rest))
    return unseen(flat, len(like), [its.count for its in axes], roles, batched=True)


def _whole(blocks: Blocks, axis: int, group: int) -> Pieces:
    """Return a group's own cells as pieces."""
    block = next(block for key, block in blocks.items() if key[axis] == group)
    length, count = block.shape[1 + 2 * axis], block.shape[2 + 2 * axis]
    runs = tuple((row,) * length for row in range(count))
    piece = Piece(tuple(range(count)), (0, length), group, runs, (tuple(range(length)),) * count)
    return Pieces(count, length, (piece,))


def _value(pieces: Sequence[Piece], outside: float) -> float:
    """Return what fills cells without a source: what the reader pads with, or the last padding."""
    fills = [piece.source for piece in pieces if isinstance(piece.source, Fill)]
    paddings = [fill.padding for fill in fills if fill.padding is not None]
    if len(paddings) < len(fills):
        return outside
    return max(paddings, key=lambda padding: padding.order).value


def _taken(blocks: Blocks, pieces: Sequence[Piece]) -> Tensor | None:
    """Return these pieces of the block that they lie in; None if they lie in none."""
    if any(isinstance(piece.source, Fill) for piece in pieces):
        return None
    key: Any = tuple(piece.source for piece in pieces)
    block = blocks[key]
    slices = [piece.slices for piece in pieces]
    if None not in slices:
        pairs = ((places, runs) for runs, places in slices)  # type: ignore[misc]
        return block[(slice(None), *itertools.chain(*pairs))]
    if not block.is_contiguous():  # to be indexed it would be copied each time
        blocks[key] = block = block.contiguous()
    return _indexed(block, pieces)


def _indexed(block: Tensor, pieces: Sequence[Piece]) -> Tensor:
    """Return the cells of any runs and places, each copied with all of its numbers."""
    ndim = len(pieces)
    sizes = block.shape[1 : 1 + 2 * ndim]
    steps = [math.prod(sizes[place + 1 :]) for place in range(2 * ndim)]
    index = torch.zeros((), dtype=torch.int64)
    for axis, piece in enumerate(pieces):
        places, runs = torch.tensor(piece.places), torch.tensor(piece.runs)
        its = (places * steps[2 * axis] + runs * steps[2 * axis + 1]).T
        index = index + its[(...,) + (None,) * (2 * (ndim - 1 - axis))]
    images, rest = len(block), block.shape[1 + 2 * ndim :]
    cells = block.reshape(images * math.prod(sizes), math.prod(rest))
    whole = index.flatten() + torch.arange(images)[:, None] * math.prod(sizes)
    taken = cells.index_select(0, whole.flatten().to(block.device))
    return taken.reshape(images, *index.shape, *rest)


def _put(made: Tensor, pieces: Sequence[Piece], value: Tensor | float) -> None:
    """Write pieces where they belong."""
    ndim = len(pieces)
    columns = [slice(*piece.columns) for piece in pieces]
    firsts = [piece.rows[0] for piece in pieces]
    rows = [
        slice(first, first + len(piece.rows)) for first, piece in zip(firsts, pieces, strict=True)
    ]
    if all(piece.rows == tuple(range(*row.indices(row.stop)))
           for piece, row in zip(pieces, rows, strict=True)):  # fmt: skip
        made[(slice(None), *itertools.chain(*zip(columns, rows, strict=True)))] = value
        return
    # rows that lie apart: all axes' runs in front, where PyTorch takes lists of them
    runs = range(2, 2 + 2 * ndim, 2)
    lists = torch.meshgrid(*(torch.tensor(piece.rows) for piece in pieces), indexing="ij")
    front = tuple(range(ndim))
    inner = made.movedim(tuple(runs), front)[(slice(None),) * (1 + ndim) + tuple(columns)]
    inner[lists] = value.movedim(tuple(runs), front) if isinstance(value, Tensor) else value
