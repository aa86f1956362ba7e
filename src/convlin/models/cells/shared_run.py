"""A grid of windows, run: every shared cell once, then every window, a few at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, fx

from convlin.internals.storages import storage_id
from convlin.models.cells.cell_blocks import Blocks, gathered, seen, unseen
from convlin.models.cells.cell_map import Stored
from convlin.models.cells.freed_memory import give_back
from convlin.models.cells.laid_out import Entrance, Layout, Step
from convlin.models.cells.pieces import Line
from convlin.models.cells.running import Running
from convlin.models.graph.traced import site_of

__all__ = ["run_shared", "run_windows"]


def run_shared(
    layout: Layout, running: Running, images: Tensor, note: Callable[[str], None]
) -> dict[Stored, Blocks]:
    """Return the blocks of every shared value that windows read; `note` hears of each layer."""
    ndim = len(layout.windows)
    made: dict[Stored, Blocks] = {}
    for number, step in enumerate(layout.steps):
        stored = step.stored
        note(site_of(stored.node))
        if stored.node.op == "placeholder":
            made[stored] = {(0,) * ndim: _rows(images, ndim)}
        elif not stored.sources:
            whole = unseen(stored.compute(running, (), ()), 1, (1,) * ndim, stored.roles, False)
            made[stored] = {(0,) * ndim: whole.expand(len(images), *whole.shape[1:])}
        else:
            running.free = running.freed(
                source.map.stored.node
                for source, reads in zip(stored.sources, step.reads, strict=True)
                if not any(reads) and layout.readers[source.map.stored] == 1
            )
            made[stored] = {
                chosen: _computed(step, chosen, made, running) for chosen in step.groups()
            }
            running.free = ()
        for value in [value for value in made if layout.last_use.get(value, -1) <= number]:
            del made[value]
    give_back()  # once a tile: after every step, what is taken anew costs a fifth of the time
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
    uses, alone = {node: len(node.users) for node in known}, set(layout.nodes)
    for node in layout.nodes:
        running.free = running.freed(
            operand
            for operand in node.all_input_nodes
            if operand in alone and len(operand.users) == 1
        )
        known[node] = running.run(node, known, batch)
        uses[node] = len(node.users)
        for operand in node.all_input_nodes:
            if operand in uses:
                uses[operand] -= 1
                if not uses[operand]:
                    del known[operand]
    running.free = ()
    return _plain(output.args[0], known)


def _plain(value: Any, known: dict[fx.Node, Any]) -> Any:
    """Return the outputs in plain lists, tuples and dicts; a graph has kinds of its own."""
    if isinstance(value, fx.Node):
        return known[value]
    if isinstance(value, dict):
        return {key: _plain(part, known) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(_plain(part, known) for part in value)
    return value


def _rows(images: Tensor, ndim: int) -> Tensor:
    """Return the images as one block: one run along each axis, channels last."""
    block = unseen(images, len(images), (1,) * ndim, (None, *range(ndim)), batched=False)
    return block.contiguous()


def _computed(
    step: Step, chosen: tuple[int, ...], made: dict[Stored, Blocks], running: Running
) -> Tensor:
    """Return a step's result for one choice of groups."""
    stored, ndim = step.stored, len(chosen)
    if running.dilates and (lines := _lines(step, chosen)):
        return _in_lines(step, chosen, lines, made, running)
    counts = [lattice.groups[n].count for lattice, n in zip(step.lattices, chosen, strict=True)]
    several = math.prod(counts) > 1 and stored.runs != "alone"
    batched = several and (stored.runs != "apart" or not running.dilates)
    operands, images = [], 0
    for source, reads in zip(stored.sources, step.reads, strict=True):
        axes = [None if its is None else its[n] for its, n in zip(reads, chosen, strict=True)]
        block = gathered(made[source.map.stored], axes, chosen, source.outside, batched)
        operands.append(seen(block, ndim, source.map.roles, batched))
        images = len(block)
    result = stored.compute(running, operands, (1,) * ndim if batched else tuple(counts))
    if storage_id(result) in map(storage_id, operands):  # as of one map alone, concatenated
        running.aliases.add(stored.node)
    return unseen(result, images, counts, stored.roles, batched)


def _lines(step: Step, chosen: tuple[int, ...]) -> list[Line]:
    """Return what a choice of groups reads as one row along each axis; none if it does not."""
    lines = [its[n] if its else None for its, n in zip(step.lines, chosen, strict=False)]
    return [] if None in lines else [line for line in lines if line is not None]


def _in_lines(
    step: Step, chosen: tuple[int, ...], lines: Sequence[Line], made: dict[Stored, Blocks],
    running: Running,
) -> Tensor:  # fmt: skip
    """Return a step's result for groups that read one row along each axis, where it lies."""
    stored = step.stored
    block = made[stored.sources[0].map.stored][tuple(line.source for line in lines)]
    whole = seen(block, len(lines), stored.roles, batched=False)
    for axis, line in enumerate(lines):
        whole = whole.narrow(1 + stored.roles.index(axis), line.first, line.length)
    apart, steps = zip(*((line.apart, line.step) for line in lines), strict=True)
    result = stored.compute(running, [whole], apart, steps)
    counts = [lattice.groups[n].count for lattice, n in zip(step.lattices, chosen, strict=True)]
    return unseen(result, len(block), counts, stored.roles, batched=False)


def _windows(entrance: Entrance, blocks: Blocks, parts: Sequence[range]) -> Tensor:
    """Return a shared value for some windows, as a batch of whole maps."""
    pieces = [entrance.pieces(axis, part) for axis, part in enumerate(parts)]
    block = gathered(blocks, pieces, (0,) * len(parts), 0.0, batched=True)
    return seen(block, len(parts), entrance.map.roles, batched=True)
