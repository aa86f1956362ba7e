"""The rows of one value that are still to be read, in the pieces in which they were made.

Several layers may read a value, each from its own row on; what lies in front of all of them is
dropped as soon as the slowest has gone on. What stays of a large piece is copied out of it, since a
view would hold all of it. A piece that is kept for a later band lies as any other would, so that
what is computed of it does not depend on how the image was cut before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from convlin.models.bands.row_flow import Neighbours

__all__ = ["Chunk", "RowQueue"]


@dataclass(eq=False)
class Piece:
    """Rows from `start` on; `own`: nobody else holds this memory; `cut`: a part of what came."""

    start: int
    rows: Tensor
    own: bool
    cut: bool = False


@dataclass(frozen=True)
class Chunk:
    """Rows for one layer; `own`: they are its alone, and may be overwritten."""

    rows: Tensor
    own: bool


class RowQueue:
    """Rows of a value of `size` rows in all, along dimension `dim`; `readers` read them."""

    def __init__(self, size: int, dim: int, readers: dict[Hashable, int], lasting: bool) -> None:
        self.size = size
        self.come = 0
        self._dim = dim
        self._firsts = dict(readers)  # the first row that each still reads
        self._lasting = lasting
        self._pieces: deque[Piece] = deque()
        self._no_rows: Tensor | None = None

    @property
    def kept_bytes(self) -> int:
        """Bytes of the rows that are held."""
        return sum(piece.rows.nbytes for piece in self._pieces)

    def push(self, rows: Tensor, own: bool) -> None:
        """Take the next rows."""
        self._pieces.append(Piece(self.come, rows, own))
        if self._no_rows is None:
            shape = list(rows.shape)
            shape[self._dim] = 0
            self._no_rows = rows.new_empty(shape)
        self.come += rows.shape[self._dim]
        self._drop()

    def take(
        self, reader: Hashable, rows: tuple[int, int], flow: Neighbours, fill: float, first: int
    ) -> Chunk:
        """Return the rows [start, stop) for a reader, which reads from `first` on the next time.

        Those outside of the value are padding: of `fill`, or as the flow's mode has it.
        """
        start, stop = rows
        piece = self._whole(start, stop)
        taken = self._assembled(start, stop, flow, fill) if piece is None else piece.rows
        own = piece is None or piece.own
        self._firsts[reader] = first
        self._drop()
        return Chunk(taken, own and not any(_shares(p.rows, taken) for p in self._pieces))

    def disown(self, other: Tensor) -> None:
        """Note that another value now has the memory of one of the pieces too."""
        for piece in self._pieces:
            piece.own = piece.own and not _shares(piece.rows, other)

    def settle(self) -> None:
        """Let what is kept for later bands take no more memory than its rows, and lie as they."""
        for piece in self._pieces:
            compact = piece.own and self._lies(piece.rows)
            if not compact or piece.rows.untyped_storage().nbytes() > piece.rows.nbytes:
                piece.rows, piece.own, piece.cut = self._copy(piece.rows), True, False

    def _whole(self, start: int, stop: int) -> Piece | None:
        """Return the piece that is exactly these rows, if one is."""
        for piece in self._pieces:
            end = piece.start + piece.rows.shape[self._dim]
            if (piece.start, end) == (start, stop) and not piece.cut:
                return piece
        return None

    def _assembled(self, start: int, stop: int, flow: Neighbours, fill: float) -> Tensor:
        """Return these rows side by side, in new memory."""
        like = self._no_rows
        assert like is not None
        shape = list(like.shape)
        shape[self._dim] = stop - start
        made = torch.empty(
            shape, dtype=like.dtype, device=like.device, memory_format=self._format(like)
        )
        for piece in self._pieces:
            begin = max(start, piece.start)
            end = min(stop, piece.start + piece.rows.shape[self._dim])
            if begin < end:
                part = piece.rows.narrow(self._dim, begin - piece.start, end - begin)
                made.narrow(self._dim, begin - start, end - begin).copy_(part)
        for row in (*range(start, min(stop, 0)), *range(max(start, self.size), stop)):
            target = made.select(self._dim, row - start)
            source = flow.source(row, self.size)
            if source is None:
                target.fill_(fill)
            else:
                target.copy_(self._row(source))
        return made

    def _row(self, row: int) -> Tensor:
        for piece in self._pieces:
            if piece.start <= row < piece.start + piece.rows.shape[self._dim]:
                return piece.rows.select(self._dim, row - piece.start)
        raise AssertionError(f"row {row} is not kept")

    def _drop(self) -> None:
        """Forget the rows in front of what is still read."""
        first = min(self._firsts.values(), default=self.size)
        while self._pieces:
            piece = self._pieces[0]
            count = piece.rows.shape[self._dim]
            gone = min(first - piece.start, count)
            if gone <= 0:
                return
            if gone < count:
                left = piece.rows.narrow(self._dim, gone, count - gone)
                piece.start += gone
                # a view holds what it is a view of, a copy takes time: half is a fair price
                small = 2 * left.nbytes <= left.untyped_storage().nbytes()
                piece.rows = self._copy(left) if small else left
                piece.own, piece.cut = piece.own or small, not small
                return
            self._pieces.popleft()

    def _copy(self, rows: Tensor) -> Tensor:
        return rows.clone(memory_format=self._format(rows))

    def _lies(self, rows: Tensor) -> bool:
        return rows.is_contiguous(memory_format=self._format(rows))

    def _format(self, rows: Tensor) -> torch.memory_format:
        """Return how rows lie: with the channels of a pixel together, or in planes."""
        last = self._lasting and rows.ndim == 4 and self._dim == -2
        return torch.channels_last if last else torch.contiguous_format


def _shares(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
