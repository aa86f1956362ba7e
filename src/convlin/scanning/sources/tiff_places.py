"""Where the pixels of a TIFF lie, as OME-XML or an Aperio scanner says it."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree
from collections.abc import Sequence
from typing import Any

from convlin.scanning.places import Place

__all__ = ["SPACE", "factors_of", "place_of"]

# As OME-XML abbreviates them, and as OME-Zarr spells them.
UNITS = {
    "µm": "micrometer", "μm": "micrometer", "um": "micrometer", "nm": "nanometer",
    "mm": "millimeter", "cm": "centimeter", "m": "meter", "pm": "picometer", "Å": "angstrom",
}  # fmt: skip
SPACE = "ZYX"


def place_of(file: Any, series: Any, chosen: Any) -> Place:
    """Return where a level lies: each of its pixels is as much larger as it is coarser.

    The corner of the first pixel is the same on all levels. So the middle of the first pixel of a
    level that is `factor` times coarser lies at (factor - 1)/2 pixels of full resolution, where
    that of full resolution lies at 0.
    """
    letters = [axis for axis in SPACE if axis in chosen.axes]
    sizes_of = [
        (series.shape[series.axes.index(letter)], chosen.shape[chosen.axes.index(letter)])
        for letter in letters
    ]
    factor = factors_of(sizes_of)
    sizes = _of_ome(file.ome_metadata) if file.is_ome else _of_aperio(file)
    if not letters or any(letter not in sizes for letter in letters):
        return Place(factor=factor)
    pairs = list(zip((sizes[letter] for letter in letters), factor, strict=True))
    return Place(
        scale=tuple(size * ratio for (size, _), ratio in pairs),
        translation=tuple(size * (ratio - 1) / 2 for (size, _), ratio in pairs),
        units=tuple(unit for (_, unit), _ in pairs),
        names=tuple(letter.lower() for letter in letters),
        factor=factor,
    )


def factors_of(sizes: Sequence[tuple[int, int]]) -> tuple[float, ...]:
    """Return how much coarser a level is, from (whole, coarse) sizes: no TIFF states it.

    Writers that shrink by whole numbers leave out the last pixels that fill none of the level's
    own: where each size is such a quotient, the divisors are the factors. Others stretch the level
    over the whole.

    >>> factors_of([(195, 48), (263, 65)]), factors_of([(195, 49), (264, 66)])
    ((4.0, 4.0), (3.979591836734694, 4.0))
    """
    whole = [max(1, round(n / few)) for n, few in sizes]
    if all(n // by == few for by, (n, few) in zip(whole, sizes, strict=True)):
        return tuple(map(float, whole))
    return tuple(n / few for n, few in sizes)


def _of_ome(text: str) -> dict[str, tuple[float, str]]:
    """Return size and unit of a pixel along each axis of the first image."""
    try:
        root = xml.etree.ElementTree.fromstring(text)
    except (xml.etree.ElementTree.ParseError, TypeError, ValueError):
        return {}
    pixels = next((each for each in root.iter() if each.tag.endswith("}Pixels")), None)
    found = {}
    for letter in SPACE if pixels is not None else "":
        assert pixels is not None
        size = _number(pixels.get(f"PhysicalSize{letter}"))
        unit = UNITS.get(pixels.get(f"PhysicalSize{letter}Unit", "µm"))
        if size is not None and unit is not None:
            found[letter] = size, unit
    return found


def _of_aperio(file: Any) -> dict[str, tuple[float, str]]:
    """Return size and unit of a pixel as an Aperio scanner writes it: micrometres, along both."""
    said = re.search(r"\bMPP\s*=\s*([0-9.eE+-]+)", str(file.pages.first.description))
    size = _number(said[1]) if said and file.is_svs else None
    return {} if size is None else dict.fromkeys("YX", (size, "micrometer"))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number > 0 and math.isfinite(number) else None
