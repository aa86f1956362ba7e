"""Polygons of GeoJSON as pixels: those that an outline holds or touches."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlin.display.inputs import existing
from convlin.errors import Description, InputError, Refusal, Refused, one_line
from convlin.scanning.places import Place
from convlin.scanning.plan.contract import Box
from convlin.scanning.sources.reader import required

__all__ = ["Outlines"]

AREAS = {"Polygon": 1, "MultiPolygon": 2}  # how deep their rings lie in lists
EACH = 200  # bytes of a corner, as Python's numbers in lists

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Outlines:
    """Areas of an image: shapes of GeoJSON, and the transform from its pixels to theirs.

    bounds: of each shape, as pixels (top, bottom, left, right).
    """

    shapes: tuple[Mapping[str, Any], ...]
    transform: tuple[float, ...]
    bounds: tuple[Bounds, ...]

    @classmethod
    def read_from(cls, path: Path, size: tuple[int, ...], place: Place | None) -> Outlines:
        """Read them from a file."""
        try:
            found = json.loads(existing(path).read_text("utf-8-sig"))
        except (ValueError, RecursionError, OSError) as error:
            raise InputError(f"{path}: not readable GeoJSON: {one_line(error)}") from error
        if not isinstance(found, Mapping):
            raise InputError(f"{path}: not readable GeoJSON: no object")
        return cls.of(found, size, place)

    @classmethod
    def of(cls, found: Mapping[str, Any], size: tuple[int, ...], place: Place | None) -> Outlines:
        """Return the areas that GeoJSON holds: one geometry, a feature or a collection of them."""
        if len(size) != 2:
            allowed = "2, of an image: outlines have no others"
            raise Refused(Refusal("mask", "dimensions", len(size), allowed))
        shapes = tuple(_areas(found))
        if not shapes:
            raise Refused(Refusal("mask", "GeoJSON", found.get("type"), "at least one polygon"))
        down, right = (place and place.factor) or (1.0, 1.0)
        transform: tuple[float, ...] = (right, 0.0, 0.0, 0.0, down, 0.0)
        if place is not None and place.transform is not None:
            transform = place.transform
            _require_same_crs(found, place)
        bounds = tuple(_bounds(shape, transform) for shape in shapes)
        _require_near(bounds, size, transform)
        return cls(shapes, transform, bounds)

    @property
    def memory(self) -> int:
        """Bytes of all corners."""
        return EACH * sum(1 for shape in self.shapes for _ in _corners(shape))

    def read(self, box: Box) -> np.ndarray:
        """Return which pixels of a box lie in an area, or are touched by one."""
        features = required("rasterio.features", "GeoJSON")
        affine = required("affine", "GeoJSON")
        (top, bottom), (left, right) = box
        near = [
            shape
            for shape, (a, b, c, d) in zip(self.shapes, self.bounds, strict=True)
            if a <= bottom and b >= top and c <= right and d >= left
        ]
        if not near:
            return np.zeros((bottom - top, right - left), bool)
        moved = affine.Affine(*_moved(self.transform, top, left))
        found: np.ndarray = features.geometry_mask(
            near, (bottom - top, right - left), moved, all_touched=True, invert=True
        )
        return found

    def identity(self) -> dict[str, Any]:
        """Return a checksum of all of it."""
        text = json.dumps([self.shapes, self.transform], sort_keys=True)
        return {"outlines": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _areas(found: Any) -> list[Mapping[str, Any]]:
    """Return the polygons in GeoJSON of any kind."""
    if not isinstance(found, Mapping):
        raise Refused(Refusal("mask", "GeoJSON", type(found).__name__, "objects"))
    kind = found.get("type")
    if kind == "FeatureCollection":
        return [area for each in found.get("features") or () for area in _areas(each)]
    if kind == "Feature":
        return [] if found.get("geometry") is None else _areas(found["geometry"])
    if kind == "GeometryCollection":
        return [area for each in found.get("geometries") or () for area in _areas(each)]
    if kind not in AREAS:
        allowed = f"{' or '.join(AREAS)}, alone or in features"
        raise Refused(Refusal("mask", "GeoJSON", kind, allowed))
    area = {"type": kind, "coordinates": found.get("coordinates")}
    try:
        rings = area["coordinates"]
        for _ in range(AREAS[kind] - 1):
            rings = [ring for polygon in rings for ring in polygon]
        corners = [math.isfinite(x + y) for ring in rings for x, y, *_ in ring]
        sound = all(len(ring) >= 4 for ring in rings) and all(corners) and corners
    except (TypeError, ValueError) as error:
        raise Refused(_broken(kind)) from error
    if not sound:
        raise Refused(_broken(kind))
    return [area]


def _broken(kind: str) -> Refusal:
    allowed = "rings of at least 4 corners (x, y)"
    return Refusal("mask", "coordinates", Description(f"those of a {kind}"), allowed)


def _corners(shape: Mapping[str, Any]) -> Iterator[Sequence[float]]:
    """Yield the corners of a shape."""
    lists = shape["coordinates"]
    for _ in range(AREAS[shape["type"]]):
        lists = itertools.chain.from_iterable(lists)
    yield from lists


def _bounds(shape: Mapping[str, Any], transform: tuple[float, ...]) -> Bounds:
    """Return the pixels that a shape lies between: (top, bottom, left, right)."""
    a, b, c, d, e, f = transform
    area = a * e - b * d
    points = [(x - c, y - f) for x, y, *_ in _corners(shape)]
    rows = [(a * y - d * x) / area for x, y in points]
    columns = [(e * x - b * y) / area for x, y in points]
    return min(rows), max(rows), min(columns), max(columns)


def _require_near(
    bounds: Sequence[Bounds], size: tuple[int, ...], transform: tuple[float, ...]
) -> None:
    """Refuse outlines of which none touches the image: their coordinates are others."""
    height, width = size
    if any(a <= height and b >= 0 and c <= width and d >= 0 for a, b, c, d in bounds):
        return
    top, bottom = min(a for a, *_ in bounds), max(b for _, b, *_ in bounds)
    left, right = min(c for *_, c, _ in bounds), max(d for *_, d in bounds)
    value = Description(f"at rows {top:.6g} to {bottom:.6g}, columns {left:.6g} to {right:.6g}")
    allowed = f"some within {height} rows and {width} columns"
    why = f"by the transform {transform} from pixels to their coordinates"
    raise Refused(Refusal("mask", "outlines", value, allowed, why))


def _require_same_crs(found: Mapping[str, Any], place: Place) -> None:
    """Refuse GeoJSON that names another CRS than the image has."""
    named = found.get("crs")
    name = named.get("properties", {}).get("name") if isinstance(named, Mapping) else None
    if name is None or place.crs is None:
        return
    crs = required("rasterio.crs", "GeoJSON").CRS
    try:
        same = crs.from_user_input(name) == crs.from_wkt(place.crs)
    except Exception as error:  # of names that PROJ does not know
        raise Refused(Refusal("mask", "crs", name, "one that PROJ knows")) from error
    if not same:
        raise Refused(Refusal("mask", "crs", name, f"the image's: {place.crs[:80]}"))


def _moved(transform: tuple[float, ...], row: int, column: int) -> tuple[float, ...]:
    """Return the transform of pixels that count from another corner."""
    a, b, c, d, e, f = transform
    return a, b, a * column + b * row + c, d, e, d * column + e * row + f
