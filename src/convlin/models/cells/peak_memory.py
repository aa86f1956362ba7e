"""How many bytes a layout takes at once, from sizes alone: never less than its run does.

| while | there are |
|---|---|
| a step runs | what is read later, what the step makes, and what one of its operations takes |
| windows run | what they read, and of each of a batch of windows what its operations hold |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx

from convlin.models.cells.analysis import Analysis
from convlin.models.cells.cell_map import Stored
from convlin.models.cells.chains import Windows
from convlin.models.cells.laid_out import Layout, Step, cells_of
from convlin.models.graph.traced import shape_of

__all__ = ["Sizes"]

# Bytes that PyTorch takes once, for pools of threads and code that is loaded at its first use, and
# those of the code that oneDNN makes for each shape of a convolution, of which it keeps 1,024.
# Measured: 20 to 60 MB, and 34 kB (depthwise) to 210 kB each, on two threads.
ONCE, EACH, KEPT = 64 * 2**20, 224 * 2**10, 1024
# Copies of what an operation takes: pieces are cut and laid side by side, or slices laid out anew.
COPIES = 2
# Bytes that the allocator holds for each that is used: it gives small blocks back late, and others
# do not fit into the gaps. Measured up to 1.6 (MobileNetV2, four tiles of 800²).
HELD = 1.75


@dataclass(frozen=True)
class Sizes:
    """Bytes of a model's values, for a dtype; `unfolds`: its convolutions copy every patch."""

    analysis: Analysis
    dtype: torch.dtype
    images: int

    @property
    def unfolds(self) -> bool:
        """Whether convolutions in this dtype are products with copied patches, as on the CPU."""
        return self.dtype not in (torch.float32, torch.bfloat16, torch.float16)

    def once(self, layout: Layout, layouts: int) -> int:
        """Return what is there all the time: the library, and the largest kernel, laid out anew.

        layouts: how many there are, of different tiles.
        """
        kernels = [math.prod(shape) for shape in map(shape_of, self.analysis.constants)
                   if len(shape) > 2]  # fmt: skip
        products = sum(self.analysis.products.get(node, 0) > 0 for node in layout.nodes)
        shapes = products + layouts * sum(
            math.prod(len(lattice.groups) for lattice in step.lattices)
            for step in layout.steps
            if step.stored.multiply_adds
        )
        code = EACH * min(shapes, KEPT)
        return ONCE + code + 2 * self.dtype.itemsize * max(kernels, default=0)

    def least(self, shared: frozenset[Stored], windows: Sequence[Windows]) -> int:
        """Return bytes that so many windows take at least: those of their largest shared value."""
        sizes = (
            cells_of(stored, windows) * self.images * stored.numbers * self._item(stored.node)
            for stored in shared
            if stored.sources
        )  # fmt: skip
        return max(sizes, default=0)

    def shared(self, layout: Layout) -> tuple[int, int]:
        """Return the most bytes while steps run, and those that are left for the windows."""
        live: dict[Stored, int] = {}
        most = 0
        for number, step in enumerate(layout.steps):
            own = math.prod(step.cells) * self._cell(step)
            most = max(most, sum(live.values()) + own + self._working(step))
            live[step.stored] = own
            for stored in [s for s in live if layout.last_use.get(s, -1) <= number]:
                del live[stored]
        return int(HELD * most), int(HELD * sum(live.values()))

    def window(self, layout: Layout) -> int:
        """Return the most bytes that one window of every image holds at once."""
        entering = {entrance.node: self._node(entrance.node) for entrance in layout.entrances}
        live = dict(entering)
        most = COPIES * sum(live.values())
        uses = {node: len(node.users) for node in (*entering, *layout.nodes)}
        for node in layout.nodes:
            live[node] = self._node(node)
            most = max(most, sum(live.values()) + live[node] + self._patches(node))
            for operand in node.all_input_nodes:
                if operand in uses:
                    uses[operand] -= 1
                    if not uses[operand]:
                        live.pop(operand, None)
        return max(1, int(HELD * self.images * most))

    def _cell(self, step: Step) -> int:
        cell: int = step.stored.numbers * self._item(step.stored.node)
        return self.images * cell

    def _working(self, step: Step) -> int:
        """Return what the largest of a step's operations takes."""
        most = weights = 0
        if "conv_transpose" in step.stored.node.name:  # as many as one cell's products, laid anew
            weights = COPIES * step.stored.multiply_adds * self.dtype.itemsize
        for chosen in step.groups():
            taken = 0
            for source, axes in zip(step.stored.sources, step.reads, strict=True):
                if not any(axes):
                    continue  # it is read where it lies
                numbers = source.map.stored.numbers * self._item(source.map.stored.node)
                cells = 1
                for axis, (its, n) in enumerate(zip(axes, chosen, strict=True)):
                    group = step.lattices[axis].groups[n]
                    cells *= group.count * (group.length if its is None else its[n].length)
                taken += self.images * cells * numbers
            cells = math.prod(
                lattice.groups[n].count * lattice.groups[n].length
                for lattice, n in zip(step.lattices, chosen, strict=True)
            )
            most = max(most, COPIES * taken + cells * self._patch(step))
        return most + weights

    def _patch(self, step: Step) -> int:
        """Return the bytes of the patches that make one cell, where they are copied."""
        if not (self.unfolds and step.stored.multiply_adds):
            return 0
        source = step.stored.sources[0]
        taps = math.prod(len(reads.taps) for reads in source.reads)
        return self.images * taps * source.map.stored.numbers * self.dtype.itemsize

    def _patches(self, node: fx.Node) -> int:
        """Return the same of a convolution that is run for every window."""
        if not (self.unfolds and self.analysis.products.get(node) and "conv" in node.name):
            return 0
        x, weight = map(shape_of, node.all_input_nodes[:2])
        numbers: int = math.prod((*shape_of(node)[2:], *weight[2:], x[1]))
        return numbers * self.dtype.itemsize

    def _node(self, node: fx.Node) -> int:
        shape = shape_of(node)
        shapes: Sequence[Sequence[int]] = (
            [shape] if not shape or isinstance(shape[0], int) else shape
        )
        return sum(math.prod(its[1:]) for its in shapes) * self._item(node)

    def _item(self, node: fx.Node) -> int:
        value = node.meta["value"]
        dtype = value[0].dtype if isinstance(value, tuple) else value.dtype
        return int(self.dtype.itemsize if dtype == self.analysis.trace.dtype else dtype.itemsize)
