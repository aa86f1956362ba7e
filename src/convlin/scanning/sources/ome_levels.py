"""Levels of OME-Zarr images (0.4 and 0.5): which array, which axes, and where its pixels lie.

A level's own scale and translation come first, then those of the whole image: pixel i of an axis
lies at (i·scale + translation)·scale' + translation'. How much coarser a level is, is the quotient
of the scales, not of the sizes: the last pixels may fill none of the level's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convlin.errors import InputError
from convlin.scanning.places import Place
from convlin.scanning.sources.reader import level_of

__all__ = ["OmeLevel", "ome_level"]

SPACE = "ZYX"
LISTED = 8  # names of arrays that a message lists


@dataclass(frozen=True)
class OmeLevel:
    """What a level says: letters of its axes, where it lies along those of space, in words."""

    axes: str
    place: Place | None
    space: tuple[int, ...]
    text: str = ""


def ome_level(group: Any, level: int, name: str) -> tuple[Any, OmeLevel]:
    """Return the array of a level of a group's first image; raise `InputError` if it has none."""
    attributes = dict(group.attrs)
    images = attributes.get("ome", attributes).get("multiscales")
    if not images:
        members = sorted(name for name, _ in group.members())
        few = ", ".join(members[:LISTED]) or "nothing"
        one = members[0] if members else "ARRAY"
        raise InputError(f"{name}: a group, no image; it holds {few}: name one, as {name}/{one}")
    image = images[0]
    sets = image["datasets"]
    its = sets[level_of(name, level, len(sets))]
    array, whole = group[its["path"]], group[sets[0]["path"]]
    axes = [_axis(axis) for axis in image["axes"]]
    if len(axes) != array.ndim:
        raise InputError(f"{name}: {len(axes)} axes, expected {array.ndim}, as the array has")
    space = tuple(n for n, (_, kind, _) in enumerate(axes) if kind == "space")
    scale, translation = _transform(image, its, len(axes))
    first, _ = _transform(image, sets[0], len(axes))
    if any(number <= 0 for number in (*scale, *first)):
        raise InputError(f"{name}: scale is {scale}, expected numbers above 0")
    same = level > 0 and scale == first and array.shape != whole.shape
    place = Place(
        scale=tuple(scale[n] for n in space),
        translation=tuple(translation[n] for n in space),
        units=tuple(axes[n][2] for n in space),
        names=tuple(axes[n][0] for n in space),
        # some writers leave scales out
        factor=tuple(
            whole.shape[n] / array.shape[n] if same else scale[n] / first[n] for n in space
        ),
    )
    many = f", level {level} of {len(sets)}" * (len(sets) > 1)
    more = f", the first of {len(images)} images" * (len(images) > 1)
    return array, OmeLevel(_letters(axes), place, space, many + more)


def _axis(axis: Any) -> tuple[str, str, str | None]:
    """Return name, type and unit of an axis; before 0.4 there were names alone."""
    if isinstance(axis, str):
        axis = {"name": axis}
    name = str(axis["name"])
    usual = {"t": "time", "c": "channel"}.get(name.lower(), "space")
    unit = axis.get("unit")
    return name, str(axis.get("type", usual)), None if unit is None else str(unit)


def _letters(axes: Sequence[tuple[str, str, str | None]]) -> str:
    """Return a letter for each axis, by its type; those of space by their order."""
    ndim = sum(kind == "space" for _, kind, _ in axes)
    space = iter(SPACE[-ndim:] if ndim <= len(SPACE) else "")
    letters = {"time": "T", "channel": "C"}
    return "".join(
        next(space, "?") if kind == "space" else letters.get(kind, name[:1].upper() or "?")
        for name, kind, _ in axes
    )


def _transform(
    image: Mapping[str, Any], dataset: Mapping[str, Any], ndim: int
) -> tuple[list[float], list[float]]:
    """Return scale and translation of a level: its own, then the image's."""
    scale, translation = [1.0] * ndim, [0.0] * ndim
    for holder in (dataset, image):
        for its in holder.get("coordinateTransformations", ()):
            if its["type"] == "scale":
                by = [float(n) for n in its["scale"]]
                scale = [a * b for a, b in zip(scale, by, strict=True)]
                translation = [a * b for a, b in zip(translation, by, strict=True)]
            elif its["type"] == "translation":
                on = [float(n) for n in its["translation"]]
                translation = [a + b for a, b in zip(translation, on, strict=True)]
            elif its["type"] != "identity":
                raise InputError(f"a transformation of type {its['type']}, expected a scale")
    return scale, translation
