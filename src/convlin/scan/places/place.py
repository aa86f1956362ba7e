"""Where the pixels of a source lie, as its format says it: on the ground, or in physical units.

Two conventions meet here. GeoTIFF counts from the corner of the first pixel: its transform takes
(column, row) = (0, 0) to that corner. OME counts from the middle of the first pixel: `translation`
is where that lies, and pixel i lies at translation + i·scale.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

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

    >>> Place(factor=(4.0, 4.0)) == Place.from_dict(Place(factor=(4.0, 4.0)).as_dict())
    True
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
        if self.transform is not None:
            a, b, _, d, e, _ = self.transform
            if a * e == b * d:
                allowed = "one that takes pixels to an area"
                raise Refused(Refusal("place", "transform", self.transform, allowed))
        for field in ("scale", "factor"):
            numbers = getattr(self, field)
            if numbers is not None and any(number <= 0 for number in numbers):
                raise Refused(Refusal("place", field, numbers, "above 0"))

    def as_dict(self) -> dict[str, Any]:
        """Return what is known as plain values, for JSON."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in known.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Place:
        """Return what `as_dict` gave."""
        plain = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**plain)
