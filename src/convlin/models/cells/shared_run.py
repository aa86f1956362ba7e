"""A grid of windows, run: every shared cell once, then every window, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, fx
from torch.fx.node import map_arg

from convlin.models.cells.blocks import Blocks, gathered, seen, unseen
from convlin.models.cells.cell_map import Stored
from convlin.models.cells.laid_out import Entrance, Layout, Step
from convlin.models.cells.running import Running

__all__ = ["run_shared", "run_windows"]


def run_shared(layout: Layout, running: Running, images: Tensor) -> dict[Stored, Blocks]:
    """Return the blocks of every shared value that windows read."""
    ndim = len(layout.windows)
    made: dict[Stored, Blocks] = {}
    for number, step in enumerate(layout.steps):
        stored = step.stored
        if stored.node.op == "placeholder":
            made[stored] = {(0,) * ndim: _rows(images, ndim)}
        elif not stored.sources:
            whole = unseen(stored.compute(running, ()), 1, (1,) * ndim, stored.roles)
            made[stored] = {(0,) * ndim: whole.expand(len(images), *whole.shape[1:])}
        else:
            made[stored] = {
                chosen: _computed(step, chosen, made, running) for chosen in step.groups()
            }
        for value in [value for value in made if layout.last_use.get(value, -1) <= number]:
            del made[value]
    return made


def run_windows(
    layout: Layout, running: Running, made: dict[Stored, Blocks], parts: Sequence[range],
    output: fx.Node,
) -> Any:  # fmt: skip
    """Return the model's outputs for some windows along each axis: (images·windows, …) each."""
    known: dict[fx.Node, Any] = {}
    for entrance in layout.entrances:
        known[entrance.node] = _windows(entrance, made[entrance.map.stored], parts)
    batch = len(next(iter(known.values()))) if known else 0
    uses = {node: len(node.users) for node in known}
    for node in layout.nodes:
        known[node] = running.run(node, known, batch)
        uses[node] = len(node.users)
        for operand in node.all_input_nodes:
            if operand in uses:
                uses[operand] -= 1
                if not uses[operand]:
                    del known[operand]
    return map_arg(output.args[0], lambda node: known.get(node, running))


def _rows(images: Tensor, ndim: int) -> Tensor:
    """Return the images as one block: one run along each axis, channels last."""
    return unseen(images, len(images), (1,) * ndim, (None, *range(ndim))).contiguous()


def _computed(
    step: Step, chosen: tuple[int, ...], made: dict[Stored, Blocks], running: Running
) -> Tensor:
    """Return a step's result for one choice of groups."""
    stored, ndim = step.stored, len(chosen)
    operands = [
        seen(_read(source.map.stored, made, axes, chosen, source.outside), ndim, source.map.roles)
        for source, axes in zip(stored.sources, _pieces(step, chosen), strict=True)
    ]
    result = stored.compute(running, operands)
    counts = [lattice.groups[n].count for lattice, n in zip(step.lattices, chosen, strict=True)]
    images = len(result)
    for count in counts:
        images //= count
    return unseen(result, images, counts, stored.roles)


def _read(
    stored: Stored, made: dict[Stored, Blocks], axes: Any, chosen: Any, outside: float
) -> Tensor:
    return gathered(made[stored], axes, chosen, outside)


def _pieces(step: Step, chosen: tuple[int, ...]) -> Iterator[list[Any]]:
    """Yield for each source its pieces along each axis."""
    for axes in step.reads:
        yield [None if its is None else its[n] for its, n in zip(axes, chosen, strict=True)]


def _windows(entrance: Entrance, blocks: Blocks, parts: Sequence[range]) -> Tensor:
    """Return a shared value for some windows, as a batch of whole maps."""
    pieces = [entrance.pieces(axis, part) for axis, part in enumerate(parts)]
    block = gathered(blocks, pieces, (0,) * len(parts), 0.0)
    return seen(block, len(parts), entrance.map.roles)
