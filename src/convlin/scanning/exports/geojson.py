"""GeoJSON: a feature for each window in a list, for QuPath and for maps."""

from __future__ import annotations

import colorsys
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convlin.arguments import choice
from convlin.display.atomic import replacing
from convlin.errors import InputError, one_line
from convlin.scanning.exports.listing import Listed, Listing
from convlin.scanning.places import CellPlaces
from convlin.scanning.sources.reader import required

__all__ = ["OBJECTS", "SHAPES", "write_geojson"]

SHAPES = ("box", "centre")
OBJECTS = ("annotation", "detection")

# Turns of a hue by this much never come back, and every next class is far from those before it.
GOLDEN = (math.sqrt(5) - 1) / 2


def write_geojson(
    arrays: Mapping[str, Any], places: CellPlaces, path: Path, listing: Listing,
    shape: str = "box", objects: str = "annotation",
) -> None:  # fmt: skip
    """Write each window's box, or its centre, as QuPath reads them.

    Coordinates are (x, y) from the corner of the first pixel, in pixels of full resolution. Of an
    image that lies on the ground they are those of its CRS: longitude and latitude of EPSG:4326,
    what GeoJSON means. Of any other one the file says which, as GDAL and QGIS read it. objects:
    what they are to QuPath, annotations or detections.
    """
    choice(path.name, "shape", shape, SHAPES)
    choice(path.name, "objects", objects, OBJECTS)
    head = {"type": "FeatureCollection"} | _crs(places, path)
    with replacing(path, force=False) as file:
        file.write(json.dumps(head).encode()[:-1] + b', "features": [')
        before = b"\n"
        for window in listing.of(arrays, places.ndim, path):
            if math.isinf(window.score):
                reason = f"JSON has no number {window.score}, the score of cell {window.cell}"
                raise InputError(f"{path}: {reason}; write .csv")
            feature = _feature(places, window, shape, objects)
            file.write(before + json.dumps(feature).encode())
            before = b",\n"
        file.write(b"\n]}\n")


def _feature(places: CellPlaces, window: Listed, shape: str, objects: str) -> dict[str, Any]:
    kind = {
        "name": window.name or f"{window.output} {window.number}",
        "color": colour(window.number),
    }
    properties = {
        "objectType": objects,
        "classification": kind,
        "measurements": {"score": window.score},
        "output": window.output,
        "class": window.number,
        "cell": list(window.cell),
    }
    geometry = _geometry(places, window.cell, shape)
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def colour(number: int) -> list[int]:
    """Return red, green and blue of a class, from 0 to 255: always the same, unlike its neighbours.

    >>> colour(0), colour(1)
    ([230, 46, 46], [46, 99, 230])
    """
    return [round(255 * part) for part in colorsys.hsv_to_rgb(number * GOLDEN % 1, 0.8, 0.9)]


def _geometry(places: CellPlaces, cell: tuple[int, ...], shape: str) -> dict[str, Any]:
    """Return a window's middle, or its corners in order, as (x, y)."""
    grounded = places.place.transform is not None
    factor = (1.0, 1.0) if grounded else (places.place.factor or (1.0, 1.0))

    def point(row: float, column: float) -> list[float]:
        if grounded:
            return list(places.world(row, column))
        return [column * factor[1], row * factor[0]]

    if shape == "centre":
        return {"type": "Point", "coordinates": point(*places.centre(cell))}
    (top, bottom), (left, right) = places.box(cell)
    corners = [(top, left), (top, right), (bottom, right), (bottom, left), (top, left)]
    return {"type": "Polygon", "coordinates": [[point(*corner) for corner in corners]]}


def _crs(places: CellPlaces, path: Path) -> dict[str, Any]:
    """Return what says the CRS, if it is not GeoJSON's own and has a number."""
    text = places.place.crs
    if text is None or places.place.transform is None:
        return {}
    rasterio = required("rasterio", "GeoJSON of an image that lies on the ground")
    try:
        number = rasterio.crs.CRS.from_user_input(text).to_epsg()
    except rasterio.errors.CRSError as error:
        raise InputError(f"{path}: cannot be written: {one_line(error)}") from error
    if number in (None, 4326):
        return {}
    name = f"urn:ogc:def:crs:EPSG::{number}"
    return {"crs": {"type": "name", "properties": {"name": name}}}
