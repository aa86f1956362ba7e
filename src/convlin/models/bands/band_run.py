"""One image through a network, in bands of rows: as its rows come, its outputs go.

After a band every value has as many rows as are final, whatever bands there were before; what
later rows still read is kept in its queue, and nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, fx

from convlin.errors import Description, Refusal, Refused
from convlin.models.bands.band_step import Span, Step
from convlin.models.bands.network_steps import NetworkSteps
from convlin.models.bands.row_flow import ALONE
from convlin.models.bands.row_queue import Chunk, RowQueue

__all__ = ["BandRun"]

OUTPUT = "output"


class BandRun:
    """An image of one size, from its first row on: `rows` have come, of `done` cells are given."""

    def __init__(self, network: NetworkSteps, size: tuple[int, ...]) -> None:
        self._network = network
        self._size = size
        self._sizes = network.sizes(size)
        self._done: dict[Hashable, int] = {step.node: 0 for step in network.steps}
        self._constants: dict[fx.Node, Any] = {}
        self._like: tuple[int, torch.dtype] | None = None
        self.rows = 0
        self.done = 0
        readers: dict[fx.Node, dict[Hashable, int]] = {node: {} for node in self._sizes}
        for step in network.steps:
            for read in step.reads:
                readers[read][step.node] = self._first(step)
        for _, node in network.outputs:
            readers[node][OUTPUT] = 0
        dims = {network.images: -network.ndim} | {s.node: s.row_dim for s in network.steps}
        self._queues = {
            node: RowQueue(sizes[0], dims[node], readers[node], lasting=network.ndim == 2)
            for node, sizes in self._sizes.items()
        }

    @property
    def kept_bytes(self) -> int:
        """Bytes of all rows that are kept for later bands."""
        return sum(queue.kept_bytes for queue in self._queues.values())

    @torch.inference_mode()
    def push(self, rows: Shaped[Tensor, "n c h *rest"]) -> list[Tensor]:
        """Take the next rows; return those of every output that have become final, maybe none."""
        self._require_fit(rows)
        if not self._constants:
            self._compute_constants(rows)
        images = self._network.images
        if self._network.ndim == 2:
            rows = rows.contiguous(memory_format=torch.channels_last)
        if rows.shape[2]:
            self._queues[images].push(rows, own=False)
        self.rows += rows.shape[2]
        for step in self._network.steps:
            self._go_on(step)
        outputs = self._outputs(rows)
        for queue in self._queues.values():
            queue.settle()
        return outputs

    def _go_on(self, step: Step) -> None:
        """Compute the rows of one value that have become final."""
        queues = [self._queues[node] for node in step.reads]
        come = min(queue.come for queue in queues)
        size, total = queues[0].size, self._sizes[step.node][0]
        first, last = self._done[step.node], min(step.rows.final(come, size), total)
        if last <= first:
            return
        self._done[step.node] = last
        reads, next_first = step.rows.rows(first, last, size), self._first(step)
        chunks = [
            queue.take(step.node, reads, step.rows, step.fill, next_first) for queue in queues
        ]
        span = Span(first, last, self._sizes[step.reads[0]], self._sizes[step.node])
        made = step.compute(chunks, self._constants, span)
        own = made.untyped_storage().nbytes() == made.nbytes
        for chunk, queue in zip(chunks, queues, strict=True):
            if _shared(made, chunk):
                own = own and chunk.own
                queue.disown(made)
        chunks.clear()
        self._queues[step.node].push(made, own)

    def _outputs(self, like: Tensor) -> list[Tensor]:
        """Return the new rows of all outputs."""
        nodes = [node for _, node in self._network.outputs]
        ready = min(self._queues[node].come for node in nodes)
        made = []
        for node in dict.fromkeys(nodes):
            queue = self._queues[node]
            if ready > self.done:
                chunk = queue.take(OUTPUT, (self.done, ready), ALONE, 0.0, ready)
                made.append((node, chunk.rows if chunk.own else chunk.rows.clone()))
        self.done = max(self.done, ready)
        given = dict(made)
        return [given[node] if node in given else self._empty(node, like) for node in nodes]

    def _empty(self, node: fx.Node, like: Tensor) -> Tensor:
        step = next((s for s in self._network.steps if s.node is node), None)
        assert step is not None
        shape = (like.shape[0], *step.lead, 0, *self._sizes[node][1:])
        return like.new_empty(shape, dtype=self._network.dtype_of(step.dtype, like.dtype))

    def _first(self, step: Step) -> int:
        """Return the first row that a step still reads."""
        size, done = self._sizes[step.reads[0]][0], self._done[step.node]
        if done >= self._sizes[step.node][0]:
            return size
        return step.rows.first_kept(done, size)

    def _compute_constants(self, images: Tensor) -> None:
        interpreter = fx.Interpreter(self._network.graph)
        interpreter.env[self._network.images] = images
        for node in self._network.constants:
            interpreter.env[node] = interpreter.run_node(node)
            self._constants[node] = interpreter.env[node]

    def _require_fit(self, rows: Tensor) -> None:
        """Refuse rows that are no part of this image."""
        left = self._size[0] - self.rows
        shape = tuple(rows.shape)
        fits = rows.ndim == self._network.ndim + 2 and shape[1] == self._network.channels
        like = (shape[0], rows.dtype)
        if not fits or shape[3:] != self._size[1:] or shape[2] > left or self._like not in (
            None, like
        ):  # fmt: skip
            n, dtype = self._like or ("N", rows.dtype)
            sizes = ", ".join(map(str, (n, self._network.channels, f"≤{left}", *self._size[1:])))
            value = f"{shape} of {rows.dtype}"
            raise Refused(Refusal("band", "rows", Description(value), f"({sizes}) of {dtype}",
                                  f"{self.rows} of {self._size[0]} rows have come"))  # fmt: skip
        self._like = like


def _shared(made: Tensor, chunk: Chunk) -> bool:
    return made.untyped_storage().data_ptr() == chunk.rows.untyped_storage().data_ptr()
