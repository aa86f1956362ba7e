"""Where the pixels of a source lie, as its format says it: on the ground, or in physical units.

Two conventions meet here. GeoTIFF counts from the corner of the first pixel: its transform takes
(column, row) = (0, 0) to that corner. OME counts from the middle of the first pixel: `translation`
is where that lies, and pixel i lies at translation + i·scale.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from convlin.arguments import elements, shown
from convlin.errors import Refusal, Refused

__all__ = ["Affine", "Place"]

Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Place:
    """What a source says of its pixels; None: nothing.

    transform: (a, b, c, d, e, f) takes a corner (column, row) to x = a·column + b·row + c and
    y = d·column + e·row + f in the coordinates of `crs`, as text. scale, translation: along each
    dimension, in `units`; names: of those dimensions. factor: pixels of full resolution along each
    dimension for one of the level that is scanned.

    >>> level = Place(factor=(4, 3.97))
    >>> level.as_dict(), Place.from_dict(level.as_dict()) == level
    ({'factor': [4.0, 3.97]}, True)
    >>> Place(scale=(0.5, 0.5), units=("micrometer",))
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: place: units is ('micrometer',), expected 2, one for each dimension
    """

    transform: Affine | None = None
    crs: str | None = None
    scale: tuple[float, ...] | None = None
    translation: tuple[float, ...] | None = None
    units: tuple[str | None, ...] | None = None
    names: tuple[str, ...] | None = None
    factor: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Raise `Refused` for what places nothing."""
        for field in ("transform", "scale", "translation", "factor"):
            self._set(field, _numbers)
        for field in ("units", "names"):
            self._set(field, _words)
        self._require(self.crs is None or isinstance(self.crs, str), "crs", "text")
        if self.transform is not None:
            self._require(len(self.transform) == 6, "transform", "6 numbers: a, b, c, d, e, f")
            a, b, _, d, e, _ = self.transform
            allowed = "one that takes pixels to an area"
            self._require(a * e != b * d, "transform", allowed)
        for field in ("scale", "factor"):
            numbers = getattr(self, field) or ()
            self._require(all(number > 0 for number in numbers), field, "above 0")
        many = 2 if self.transform is not None else None
        for field in ("scale", "translation", "units", "names", "factor"):
            values = getattr(self, field)
            if values is not None:
                many = len(values) if many is None else many
                allowed = f"{many}, one for each dimension"
                self._require(len(values) == many > 0, field, allowed)

    @property
    def ndim(self) -> int | None:
        """Number of dimensions that it speaks of; None: it says nothing of any."""
        if self.transform is not None:
            return 2
        several = (self.scale, self.translation, self.units, self.names, self.factor)
        return next((len(values) for values in several if values is not None), None)

    def as_dict(self) -> dict[str, Any]:
        """Return what is known as plain values, for JSON."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in known.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Place:
        """Return what `as_dict` gave.

        >>> Place.from_dict({"scales": [2, 2]})
        Traceback (most recent call last):
            ...
        convlin.errors.Refused: place: field is 'scales', expected one of transform, crs, scale, \
translation, units, names, factor
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                allowed = f"one of {', '.join(known)}"
                raise Refused(Refusal("place", "field", shown(name), allowed))
        return cls(**values)

    def _set(self, field: str, read: Any) -> None:
        """Set a field to a tuple of what it holds, or refuse it."""
        value = getattr(self, field)
        if value is not None:
            object.__setattr__(self, field, read(field, value))

    def _require(self, fits: bool, field: str, allowed: str) -> None:
        if not fits:
            raise Refused(Refusal("place", field, shown(getattr(self, field)), allowed))


def _numbers(field: str, value: Any) -> tuple[float, ...]:
    """Return finite numbers as plain floats; NumPy's will do."""
    try:
        # text is a number to float() too
        items = None if any(isinstance(n, str) for n in value) else elements(value)
        found = tuple(float(number) for number in items or ())
    except Exception:  # whatever objects of others raise
        items, found = None, ()
    if items is None or not all(map(math.isfinite, found)):
        raise Refused(Refusal("place", field, shown(value), "finite numbers"))
    return found


def _words(field: str, value: Any) -> tuple[str | None, ...]:
    """Return words, or None where a unit is not known."""
    items = elements(value)
    if items is None or any(not isinstance(n, str) and (n or field == "names") for n in items):
        raise Refused(Refusal("place", field, shown(value), "words"))
    return tuple(n if isinstance(n, str) else None for n in items)
