"""Stored cells as blocks of tensors, and a block made of pieces of others.

A block holds one group along each axis: (images, *runs, *cells, *channels), so that a cell's
numbers lie together. An operation sees (images·runs, …) in the model's own order of dimensions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from convlin.models.cells.pieces import Fill, Piece, Pieces

__all__ = ["Blocks", "gathered", "seen", "unseen"]

Blocks = Mapping[tuple[int, ...], Tensor]
Roles = tuple[int | None, ...]


def seen(block: Tensor, ndim: int, roles: Roles) -> Tensor:
    """Return a block as an operation sees it: a batch, in the model's order of dimensions."""
    batch = block.flatten(0, ndim) if block.ndim > ndim else block
    rest = iter(range(1 + ndim, batch.ndim))
    return batch.permute(0, *(next(rest) if role is None else 1 + role for role in roles))


def unseen(result: Tensor, images: int, runs: Sequence[int], roles: Roles) -> Tensor:
    """Return what an operation has made as a block."""
    ndim = len(runs)
    places = [1 + roles.index(axis) for axis in range(ndim)]
    rest = [1 + place for place, role in enumerate(roles) if role is None]
    return result.permute(0, *places, *rest).unflatten(0, (images, *runs))


def gathered(
    blocks: Blocks, axes: Sequence[Pieces | None], chosen: tuple[int, ...], outside: float
) -> Tensor:
    """Return what one group along each axis reads, of the blocks that hold it.

    axes: its pieces along each axis; None: the group itself, as it lies in the block `chosen`.
    """
    if all(pieces is None for pieces in axes):
        return blocks[chosen]
    some = next(iter(blocks.values()))
    ndim = len(axes)
    listed = [
        _whole(blocks, axis, chosen[axis]) if pieces is None else pieces
        for axis, pieces in enumerate(axes)
    ]
    combined = list(itertools.product(*(pieces.pieces for pieces in listed)))
    if len(combined) == 1:
        (pieces,) = combined
        taken = _taken(blocks, pieces)
        if taken is not None:
            return taken
    counts, lengths = [p.count for p in listed], [p.length for p in listed]
    shape = (len(some), *counts, *lengths, *some.shape[1 + 2 * ndim :])
    values = {_value(pieces, outside) for pieces in combined} - {None}
    made = some.new_full(shape, values.pop()) if len(values) == 1 else some.new_empty(shape)
    for pieces in combined:
        taken = _taken(blocks, pieces)
        place = _place(pieces, counts)
        if taken is not None:
            made[place] = taken
        elif values:
            made[place] = _value(pieces, outside)
    return made


def _whole(blocks: Blocks, axis: int, group: int) -> Pieces:
    """Return a group's own cells as pieces."""
    block = next(block for key, block in blocks.items() if key[axis] == group)
    ndim = len(next(iter(blocks)))
    count, length = block.shape[1 + axis], block.shape[1 + ndim + axis]
    runs = tuple((row,) * length for row in range(count))
    piece = Piece(tuple(range(count)), (0, length), group, runs, (tuple(range(length)),) * count)
    return Pieces(count, length, (piece,))


def _value(pieces: Sequence[Piece], outside: float) -> float | None:
    """Return what fills cells without a source: what the reader pads with, or the last padding."""
    fills = [piece.source for piece in pieces if isinstance(piece.source, Fill)]
    if not fills:
        return None
    paddings = [fill.padding for fill in fills if fill.padding is not None]
    if len(paddings) < len(fills):
        return outside
    return max(paddings, key=lambda padding: padding.order).value


def _taken(blocks: Blocks, pieces: Sequence[Piece]) -> Tensor | None:
    """Return these pieces of the block that they lie in; None if they lie in none."""
    if any(isinstance(piece.source, Fill) for piece in pieces):
        return None
    block = blocks[tuple(piece.source for piece in pieces)]  # type: ignore[misc]
    slices = [piece.slices for piece in pieces]
    if all(each is not None for each in slices):
        rows, places = zip(*slices, strict=True)  # type: ignore[arg-type]
        return block[(slice(None), *rows, *places)]
    return _indexed(block, pieces)


def _indexed(block: Tensor, pieces: Sequence[Piece]) -> Tensor:
    """Return the cells of any runs and places, each copied with all of its numbers."""
    ndim = len(pieces)
    sizes = block.shape[1 : 1 + 2 * ndim]
    steps = [math.prod(sizes[place + 1 :]) for place in range(2 * ndim)]
    index = torch.zeros((), dtype=torch.int64)
    for axis, piece in enumerate(pieces):
        its = (
            torch.tensor(piece.runs) * steps[axis] + torch.tensor(piece.places) * steps[ndim + axis]
        )
        shape = [1] * (2 * ndim)
        shape[axis], shape[ndim + axis] = its.shape
        index = index + its.reshape(shape)
    images, rest = len(block), block.shape[1 + 2 * ndim :]
    cells = block.reshape(images * math.prod(sizes), math.prod(rest))
    whole = index.flatten() + torch.arange(images)[:, None] * math.prod(sizes)
    taken = cells.index_select(0, whole.flatten().to(block.device))
    return taken.reshape(images, *index.shape, *rest)


def _place(pieces: Sequence[Piece], counts: Sequence[int]) -> tuple[object, ...]:
    """Return where pieces belong, as an index."""
    columns = [slice(*piece.columns) for piece in pieces]
    rows: list[object] = []
    for axis, piece in enumerate(pieces):
        first = piece.rows[0]
        if piece.rows == tuple(range(first, first + len(piece.rows))):
            rows.append(slice(first, first + len(piece.rows)))
        else:
            rows.append(list(piece.rows))
    if sum(isinstance(row, list) for row in rows) > 1:
        rows = [torch.arange(count)[row].reshape([-1 if at == axis else 1 for at in range(len(rows))])
                for axis, (row, count) in enumerate(zip(rows, counts, strict=True))]  # fmt: skip
    return (slice(None), *rows, *columns)
