"""Polygons of GeoJSON as pixels: those that an outline holds or touches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlin.display.inputs import existing
from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.scan.places import Place
from convlin.scan.plan.contract import Box
from convlin.scan.sources.reader import required

__all__ = ["Outlines"]

AREAS = ("Polygon", "MultiPolygon")


@dataclass(frozen=True)
class Outlines:
    """Areas of an image: shapes of GeoJSON, and the transform from its pixels to theirs."""

    shapes: tuple[Mapping[str, Any], ...]
    transform: tuple[float, ...]

    @classmethod
    def read_from(cls, path: Path, size: tuple[int, ...], place: Place | None) -> Outlines:
        """Read them from a file."""
        try:
            found = json.loads(existing(path).read_text("utf-8"))
        except (ValueError, RecursionError) as error:
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
        if place is not None and place.transform is not None:
            return cls(shapes, place.transform)
        down, right = (place and place.factor) or (1.0, 1.0)
        return cls(shapes, (right, 0.0, 0.0, 0.0, down, 0.0))

    def read(self, box: Box) -> np.ndarray:
        """Return which pixels of a box lie in an area, or are touched by one."""
        features = required("rasterio.features", "GeoJSON")
        affine = required("affine", "GeoJSON")
        (top, bottom), (left, right) = box
        moved = affine.Affine(*_moved(self.transform, top, left))
        found: np.ndarray = features.geometry_mask(
            self.shapes, (bottom - top, right - left), moved, all_touched=True, invert=True
        )
        return found

    def identity(self) -> dict[str, Any]:
        """Return a checksum of all of it."""
        text = json.dumps([self.shapes, self.transform], sort_keys=True)
        return {"outlines": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}


def _areas(found: Any) -> list[Mapping[str, Any]]:
    """Return the polygons in GeoJSON of any kind."""
    if not isinstance(found, Mapping):
        raise Refused(Refusal("mask", "GeoJSON", type(found).__name__, "objects"))
    kind = found.get("type")
    if kind == "FeatureCollection":
        return [area for each in found.get("features", ()) for area in _areas(each)]
    if kind == "Feature":
        return _areas(found.get("geometry"))
    if kind == "GeometryCollection":
        return [area for each in found.get("geometries", ()) for area in _areas(each)]
    if kind in AREAS:
        return [found]
    raise Refused(Refusal("mask", "GeoJSON", kind, f"{' or '.join(AREAS)}, alone or in features"))


def _moved(transform: tuple[float, ...], row: int, column: int) -> tuple[float, ...]:
    """Return the transform of pixels that count from another corner."""
    a, b, c, d, e, f = transform
    return a, b, a * column + b * row + c, d, e, d * column + e * row + f
