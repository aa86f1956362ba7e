"""Padding, slices, flips and rolls: other names for cells that are there.

They compute nothing: what reads them reads the cells that they are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from convlin.models.cells.cell_call import CellCall
from convlin.models.cells.cell_map import CellMap
from convlin.models.cells.names import Name
from convlin.models.cells.rules.every_cell import part

Axis = tuple[Name, ...]


def padded(call: CellCall) -> CellMap | None:
    """Share padding of any mode; negative padding cuts cells off."""
    value, mode = call.map(call.arg(0)), call.arg(2, "constant", "mode")
    sides = call.arg(1, name="pad")
    if value is None or len(call.maps) > 1:
        return None
    filled = (
        call.names.padding(float(call.arg(3, None, "value") or 0)) if mode == "constant" else None
    )
    axes = list(value.axes)
    for place, role in enumerate(reversed(value.roles)):
        before, after = sides[2 * place : 2 * place + 2] or (0, 0)
        if role is not None:
            axes[role] = _padded(axes[role], before, after, mode, filled)
        elif before or after:
            return None
    return None if any(sides[2 * len(value.roles) :]) else value.named(tuple(axes))


def sliced(call: CellCall) -> CellMap | None:
    """Share a slice: of channels, or of cells."""
    start, stop, step = call.arg(2, None, "start"), call.arg(3, None, "end"), call.arg(4, 1, "step")
    if not all(number is None or isinstance(number, int) for number in (start, stop, step)):
        return None
    return part(call) or _along(call, [call.arg(1, 0, "dim")], lambda names: names[start:stop:step])


def narrowed(call: CellCall) -> CellMap | None:
    """Share some of the channels, or of the cells."""
    dim, start, length = (call.arg(place) for place in (1, 2, 3))
    if not isinstance(start, int):
        return None
    return part(call) or _along(call, [dim], lambda names: names[start:][:length])


def indexed(call: CellCall) -> CellMap | None:
    """Share channels by an index, or cells by one that the model's code makes."""
    if (channels := part(call)) is not None:
        return channels
    index = call.numbers_of(call.arg(2))
    if index is None:
        return None
    return _along(call, [call.arg(1)], lambda names: tuple(names[place] for place in index))


def flipped(call: CellCall) -> CellMap | None:
    """Share a map that is turned round along axes."""
    return _along(call, call.arg(1, (), "dims"), lambda names: names[::-1])


def rolled(call: CellCall) -> CellMap | None:
    """Share a map that is rolled along axes."""
    shifts, dims = call.arg(1, (), "shifts"), call.arg(2, (), "dims")
    value = call.map(call.arg(0))
    for shift, dim in zip(shifts, dims, strict=True) if len(dims) == len(shifts) else ():

        def roll(names: Axis, by: int = shift) -> Axis:
            start = -by % len(names)
            return names[start:] + names[:start]

        value = value and _renamed(value, [dim], roll)
    return value if dims else None


def _along(call: CellCall, dims: Sequence[int], change: Callable[[Axis], Axis]) -> CellMap | None:
    value = call.map(call.arg(0))
    return value and _renamed(value, dims, change)


def _renamed(value: CellMap, dims: Sequence[int], change: Callable[[Axis], Axis]) -> CellMap | None:
    """Return a map with other names along some dimensions; None if those are no axes."""
    axes: list[Any] = list(value.axes)
    for dim in dims:
        place = dim % (len(value.roles) + 1) - 1
        role = value.roles[place] if place >= 0 else None
        if role is None:
            return None
        axes[role] = change(axes[role])
    return value.named(tuple(axes)) if all(axes) else None


def _padded(names: Axis, before: int, after: int, mode: str, filled: Name | None) -> Axis:
    """Return the names of an axis with padding at both ends."""
    n = len(names)
    places = range(-before, n + after)
    if mode == "constant":
        assert filled is not None
        return tuple(names[i] if 0 <= i < n else filled for i in places)
    if mode == "replicate":
        return tuple(names[min(max(i, 0), n - 1)] for i in places)
    if mode == "circular":
        return tuple(names[i % n] for i in places)
    last = n - 1  # reflect, which counts the border once
    return tuple(names[abs(i) if i <= last else 2 * last - i] for i in places)


RULES = {
    "pad": padded,
    "constant_pad_nd": padded,
    "slice": sliced,
    "narrow": narrowed,
    "index_select": indexed,
    "flip": flipped,
    "roll": rolled,
}
