"""Where the cells of scores lie: each at the middle of its window.

Window i of an axis is the pixels [i·S, i·S + P). Counted from the corner of the first pixel, its
middle is i·S + P/2; as an area of a score map, cell i is as large as a step and has that middle:
[i·S + (P - S)/2, i·S + (P + S)/2). So a map of scores has the transform

    T · translate((P - S)/2) · scale(S)

behind the image's own, T. Counted from the middle of the first pixel, as OME does, the middle of
window i is i·S + (P - 1)/2 pixels on: scale S·p and translation t + (P - 1)/2·p, where p is the
pixel's size and t where the first one lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convlin.arguments import shown, wholes
from convlin.errors import Refusal, Refused
from convlin.scanning.places.place import Affine, Place

__all__ = ["CellPlaces"]


@dataclass(frozen=True)
class CellPlaces:
    """Windows of `window` pixels every `stride`; the first stored cell is `first` of the image.

    >>> places = CellPlaces((8, 6), (4, 2), (0, 3), Place(factor=(2.0, 2.0)))
    >>> places.box((1, 0)), places.centre((1, 0)), places.full_centre((1, 0))
    (((4, 12), (6, 12)), (8.0, 9.0), (16.0, 18.0))
    """

    window: tuple[int, ...]
    stride: tuple[int, ...]
    first: tuple[int, ...]
    place: Place = Place()  # noqa: RUF009 - it is frozen

    def __post_init__(self) -> None:
        """Raise `Refused` for numbers that are no windows, or of several dimensions."""
        for field in ("window", "stride", "first"):
            least = 0 if field == "first" else 1
            numbers = wholes("places", field, getattr(self, field), least)
            object.__setattr__(self, field, numbers)
            self._require(len(numbers) == self.ndim, field, numbers)
        self._require(self.ndim in (1, 2, 3), "window", self.window, "1, 2 or 3 sizes")
        self._require(self.place.ndim in (None, self.ndim), "dimensions of place", self.place.ndim)

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions."""
        return len(self.window)

    def box(self, cell: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Return the pixels [start, stop) of a stored cell's window."""
        self._require(len(cell) == self.ndim, "cell", cell)
        sides = zip(cell, self.first, self.stride, self.window, strict=True)
        return tuple(((i + f) * s, (i + f) * s + p) for i, f, s, p in sides)

    def centre(self, cell: Sequence[int]) -> tuple[float, ...]:
        """Return the middle of a stored cell's window, from the corner of the first pixel."""
        return tuple((start + stop) / 2 for start, stop in self.box(cell))

    def full_box(self, cell: Sequence[int]) -> tuple[tuple[float, float], ...]:
        """Return a window in pixels of full resolution."""
        sides = zip(self.box(cell), self._factor, strict=True)
        return tuple((start * factor, stop * factor) for (start, stop), factor in sides)

    def full_centre(self, cell: Sequence[int]) -> tuple[float, ...]:
        """Return the middle of a window in pixels of full resolution."""
        return tuple(n * factor for n, factor in zip(self.centre(cell), self._factor, strict=True))

    def world(self, row: float, column: float) -> tuple[float, float]:
        """Return (x, y) of a point in pixels of the scanned level; without a transform, those.

        >>> north_up = Place((10.0, 0.0, 500_000.0, 0.0, -10.0, 4_100_000.0), "EPSG:32633")
        >>> CellPlaces((8, 6), (4, 2), (0, 0), north_up).world(*(4.0, 3.0))
        (500030.0, 4099960.0)
        """
        if self.place.transform is None:
            return column, row
        a, b, c, d, e, f = self.place.transform
        return a * column + b * row + c, d * column + e * row + f

    def geotransform(self) -> Affine:
        """Return the transform of a map of the scores, in two dimensions.

        >>> CellPlaces((8, 6), (4, 2), (0, 3)).geotransform()
        (2.0, 0.0, 8.0, 0.0, 4.0, 2.0)
        """
        self._require(self.ndim == 2, "dimensions", self.ndim, "2, of a map")
        a, b, c, d, e, f = self.place.transform or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        # the corner of the first cell, in pixels
        row, column = (
            first * s + (p - s) / 2
            for first, s, p in zip(self.first, self.stride, self.window, strict=True)
        )
        down, right = self.stride
        return (
            a * right, b * down, a * column + b * row + c,
            d * right, e * down, d * column + e * row + f,
        )  # fmt: skip

    def ome(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return scale and translation of the scores, from the middle of the first pixel.

        >>> half = Place(scale=(0.5, 0.5), units=("micrometer", "micrometer"))
        >>> CellPlaces((8, 6), (4, 2), (0, 3), half).ome()
        ((2.0, 1.0), (1.75, 4.25))
        """
        ndim = self.ndim
        sizes = self.place.scale or self._factor
        # the middle of a coarse level's first pixel, in pixels of full resolution, where nothing
        # else says it
        middle = tuple((factor - 1) / 2 for factor in self._factor)
        begins = self.place.translation or (
            (0.0,) * ndim if self.place.scale is not None else middle
        )
        sides = list(zip(sizes, begins, self.first, self.stride, self.window, strict=True))
        scale = tuple(size * s for size, _, _, s, _ in sides)
        return scale, tuple(t + (f * s + (p - 1) / 2) * size for size, t, f, s, p in sides)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "window": list(self.window),
            "stride": list(self.stride),
            "first": list(self.first),
            "place": self.place.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CellPlaces:
        """Return what `as_dict` gave."""
        window, stride, first = (tuple(values[name]) for name in ("window", "stride", "first"))
        return cls(window, stride, first, Place.from_dict(values["place"]))

    @property
    def _factor(self) -> tuple[float, ...]:
        return self.place.factor or (1.0,) * self.ndim

    def _require(self, fits: bool, field: str, value: Any, allowed: str = "") -> None:
        if not fits:
            allowed = allowed or f"{self.ndim}, one for each dimension of the window"
            raise Refused(Refusal("places", field, shown(value), allowed))
