"""Operations on the same cell of several maps, and of the model's own tensors.

A cell of the result is named by its names in all of them; of a tensor with a number for each place
of the window, by the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from convlin.models.cells.cell_call import SAME, CellCall
from convlin.models.cells.cell_map import CellMap, Numbers, Source, Stored
from convlin.models.cells.names import Name
from convlin.models.cells.rules.every_cell import reduction
from convlin.models.graph.traced import shape_of

Roles = tuple[int | None, ...]


def joined(call: CellCall) -> CellMap | None:
    """Share a function of every element of maps and constants, broadcast as PyTorch does."""
    maps = dict(call.maps)
    first = next(iter(maps.values()))
    roles, size = first.roles, tuple(
        max(value.size[axis] for value in maps.values()) for axis in range(len(first.axes))
    )  # fmt: skip
    if any(value.roles != roles for value in maps.values()) or len(call.shape) != len(roles):
        return None
    rows: dict[fx.Node, CellMap] = {
        node: value.named(tuple(map(_stretched, value.axes, size))) for node, value in maps.items()
    }
    for node in call.constants:
        row = _placed(call, node, roles, size)
        if row is not None:
            rows[node] = row
        elif len(shape_of(node)) > len(call.shape) and shape_of(node)[0] != 1:
            return None
    return _together(call, rows, roles)


def concatenation(call: CellCall) -> CellMap | None:
    """Share maps side by side: as channels of one, or one behind another along an axis."""
    values = [call.map(part) for part in call.arg(0)]
    first = next(value for value in values if value is not None)
    place = call.arg(1, 0, "dim") % (len(first.roles) + 1) - 1
    maps = [value for value in values if value is not None and value.roles == first.roles]
    if place < 0 or len(maps) < len(values):
        return None
    axis = first.roles[place]
    if axis is not None:
        return _in_a_row(call, maps, axis)
    if any(value.size != first.size for value in maps):
        return None
    return _together(call, dict(call.maps), first.roles)


def _in_a_row(call: CellCall, maps: Sequence[CellMap], axis: int) -> CellMap:
    """Return maps one behind another: the sum of all, each filled with zeros to the whole length.

    A cell's name also says of which tensor it is.
    """
    zero = call.names.padding(0.0)
    filled, names = [], []
    tensors = [value.stored for value in maps]
    for number, value in enumerate(maps):
        before, after = (
            (zero,) * sum(len(other.axes[axis]) for other in others)
            for others in (maps[:number], maps[number + 1 :])
        )
        filled.append(value.along(axis, (*before, *value.axes[axis], *after)))
        tensor = call.names.mark("tensor", tensors.index(value.stored))
        names += [call.names.of((name, tensor)) for name in value.axes[axis]]
    axes = list(_names_in_all(call, filled))
    axes[axis] = tuple(names)

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        return sum(blocks[1:], blocks[0])

    sources = [Source(value, (SAME,) * len(axes)) for value in filled]
    return call.made(sources, tuple(axes), maps[0].roles, compute)


def stacked(call: CellCall) -> CellMap | None:
    """Share maps behind each other along a new dimension that is no axis."""
    values = [call.map(part) for part in call.arg(0)]
    first = next(value for value in values if value is not None)
    place = call.arg(1, 0, "dim") % (len(first.roles) + 2) - 1
    if place < 0 or any(
        value is None or (value.roles, value.size) != (first.roles, first.size) for value in values
    ):  # fmt: skip
        return None
    roles = (*first.roles[:place], None, *first.roles[place:])
    return _together(call, dict(call.maps), roles)


def stacks_in_front(call: CellCall) -> bool:
    """Whether it stacks maps of one size in front of the batch."""
    if call.name != "stack":
        return False
    values = [call.map(part) for part in call.arg(0)]
    first = values[0]
    return call.arg(1, 0, "dim") in (0, -1 - len(call.shape)) and all(
        first and value and (value.roles, value.size) == (first.roles, first.size)
        for value in values
    )


def reduced(call: CellCall) -> CellMap | None:
    """Share a reduction over channels, or over maps that are stacked in front of the batch."""
    stack, dims = call.arg(0), call.arg(1, None, "dim")
    if call.map(stack) is not None:
        return reduction()(call)
    if dims not in ([0], 0) or call.arg(2, False, "keepdim"):
        return None
    node, maps = call.node, [value for part in stack.args[0] if (value := call.map(part))]

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Any:
        return numbers.run(node, {stack: torch.stack(list(blocks))}, len(blocks[0]))

    axes = _names_in_all(call, maps)
    return call.made(
        [Source(its, (SAME,) * len(axes)) for its in maps], axes, maps[0].roles, compute
    )


def scaled_by(call: CellCall, value: CellMap, factors: Sequence[Sequence[float]]) -> CellMap:
    """Return a map times a number for each place along each axis; equal numbers are one name."""
    for axis, its in enumerate(factors):
        if all(factor == 1.0 for factor in its):
            continue
        sources = [Source(value, (SAME,) * len(factors)), numbers_along(call, value, axis, its)]
        axes = list(value.axes)
        pairs = zip(value.axes[axis], sources[1].map.axes[axis], strict=True)
        axes[axis] = tuple(call.names.of(pair) for pair in pairs)

        def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
            return blocks[0] * blocks[1].to(blocks[0].dtype)

        value = call.made(
            sources, tuple(axes), value.roles, compute, rest=value.stored.rest, multiply_adds=0
        )
    return value


def numbers_along(call: CellCall, value: CellMap, axis: int, numbers: Sequence[float]) -> Source:
    """Return one number for each place along an axis, as a map that is the same everywhere else."""
    distinct = sorted(set(numbers))
    alone = call.names.mark("alone")
    axes: list[tuple[Name, ...]] = [(alone,)] * len(value.axes)
    axes[axis] = tuple(call.names.mark("factor", number) for number in distinct)
    shape = tuple(len(distinct) if role == axis else 1 for role in value.roles)

    def compute(known: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        return known.made(distinct).reshape(1, *shape)

    rest = (1,) * value.roles.count(None)
    stored = Stored(call.node, tuple(axes), value.roles, (), compute, rest)
    seen = [tuple(alone for _ in names) for names in value.axes]
    seen[axis] = tuple(call.names.mark("factor", number) for number in numbers)
    return Source(CellMap(stored, tuple(seen)), (SAME,) * len(value.axes))


def _placed(call: CellCall, node: fx.Node, roles: Roles, size: tuple[int, ...]) -> CellMap | None:
    """Return a tensor of the model as a map, if it has numbers for the places of the window."""
    shape = tuple(shape_of(node))[-len(roles) :] if roles else ()
    whole = (*(1,) * (len(roles) - len(shape)), *shape)
    if all(n == 1 for n, role in zip(whole, roles, strict=True) if role is not None):
        return None
    axes: list[tuple[Name, ...]] = [()] * len(size)
    for length, role in zip(whole, roles, strict=True):
        if role is not None:
            axes[role] = tuple(call.names.mark(node.name, place) for place in range(length))

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        return numbers.tensor(node).reshape(1, *whole)

    pairs = zip(whole, roles, strict=True)
    rest = tuple(length for length, role in pairs if role is None)
    stored = Stored(node, tuple(axes), roles, (), compute, rest)
    return CellMap(stored, tuple(map(_stretched, axes, size)))


def _together(call: CellCall, rows: dict[fx.Node, CellMap], roles: Roles) -> CellMap:
    """Return what the operation makes of the same cell of all these maps."""
    node, operands = call.node, list(rows)

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Any:
        return numbers.run(node, dict(zip(operands, blocks, strict=True)), len(blocks[0]))

    axes = _names_in_all(call, list(rows.values()))
    sources = [Source(value, (SAME,) * len(axes)) for value in rows.values()]
    return call.made(sources, axes, roles, compute)


def _names_in_all(call: CellCall, maps: Sequence[CellMap]) -> tuple[tuple[Name, ...], ...]:
    """Return the names along each axis of what is made of the same cell of all these maps."""
    alike = [list(dict.fromkeys(names)) for names in zip(*(its.axes for its in maps), strict=True)]
    return tuple(
        names[0] if len(names) == 1 else tuple(map(call.names.of, zip(*names, strict=True)))
        for names in alike
    )


def _stretched(names: tuple[Name, ...], size: int) -> tuple[Name, ...]:
    """Return names of so many cells; one cell is broadcast."""
    return names * size if len(names) == 1 else names


PARTS_READ = ("getitem", "sum", "mean", "amax", "amin")

RULES = {
    **dict.fromkeys(
        ("add", "sub", "rsub", "mul", "multiply", "div", "divide", "true_divide", "maximum",
         "minimum", "pow", "where", "clamp", "clamp_min", "clamp_max", "clip", "addcmul", "addcdiv",
         "lerp", "atan2", "hypot", "fmod", "remainder", "gt", "ge", "lt", "le", "eq", "ne",
         "logical_and", "logical_or", "masked_fill", "copysign", "floor_divide", "xlogy"),
        joined,
    ),
    **dict.fromkeys(("cat", "concat", "concatenate"), concatenation),
    "stack": stacked,
    **dict.fromkeys(("sum", "mean", "amax", "amin"), reduced),
}  # fmt: skip
