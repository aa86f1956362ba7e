"""Lists of windows: CSV for tables, GeoJSON for maps and for QuPath."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from convlin.display.atomic import replacing
from convlin.errors import Refusal, Refused
from convlin.scan.exports.chosen import Hit, hits
from convlin.scan.places import CellPlaces

__all__ = ["write_csv", "write_geojson"]


def write_csv(
    arrays: Mapping[str, Any], places: CellPlaces, path: Path, *, threshold: float | None,
    top: int | None, classes: Sequence[int] | None,
) -> None:  # fmt: skip
    """Write a row for each window listed: its score, cell, middle and box.

    Pixels are those of full resolution, from the corner of the first one; x and y are on the
    ground, where the image's transform says that.
    """
    letters = "zyx"[3 - len(places.window) :]
    columns = ["output", "class", "score", *(f"cell_{axis}" for axis in letters)]
    columns += [f"centre_{axis}" for axis in letters]
    columns += [f"{end}_{axis}" for axis in letters for end in ("first", "stop")]
    grounded = places.place.transform is not None
    columns += ["x", "y"] * grounded
    with replacing(path, force=False) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        rows = csv.writer(text)
        rows.writerow(columns)
        for name, kind, hit in _listed(arrays, places, path, threshold, top, classes):
            sides = places.full_box(hit.cell)
            row = [name, kind, repr(hit.score), *hit.cell, *places.full_centre(hit.cell)]
            row += [end for side in sides for end in side]
            if grounded:
                row += places.world(*places.centre(hit.cell))
            rows.writerow(row)
        text.detach()


def write_geojson(
    arrays: Mapping[str, Any], places: CellPlaces, path: Path, *, threshold: float | None,
    top: int | None, classes: Sequence[int] | None, shape: str = "box",
) -> None:  # fmt: skip
    """Write a feature for each window listed, as QuPath reads them: its box, or its middle.

    Coordinates are pixels of full resolution; of an image that lies on the ground, those of its
    CRS, which a GeoJSON reader takes for longitude and latitude.
    """
    if len(places.window) != 2:
        allowed = "2, of an image: GeoJSON has no others"
        raise Refused(Refusal(path.name, "dimensions", len(places.window), allowed))
    with replacing(path, force=False) as file:
        file.write(b'{"type": "FeatureCollection", "features": [')
        before = b"\n"
        for name, kind, hit in _listed(arrays, places, path, threshold, top, classes):
            feature = {
                "type": "Feature",
                "geometry": _geometry(places, hit, shape),
                "properties": {
                    "objectType": "annotation",
                    "classification": {"name": f"{name} {kind}"},
                    "measurements": {"score": hit.score},
                    "output": name,
                    "class": kind,
                    "cell": list(hit.cell),
                },
            }
            file.write(before + json.dumps(feature).encode())
            before = b",\n"
        file.write(b"\n]}\n")


def _listed(
    arrays: Mapping[str, Any], places: CellPlaces, path: Path, threshold: float | None,
    top: int | None, classes: Sequence[int] | None,
) -> Iterator[tuple[str, int, Hit]]:  # fmt: skip
    """Yield the windows listed of each output, with the number of their class."""
    if threshold is None and top is None:
        allowed = "a threshold, or top: the best of each class"
        raise Refused(Refusal(path.name, "windows", None, allowed))
    ndim = len(places.window)
    for name, scores in arrays.items():
        if len(scores.shape) - ndim > 1:
            allowed = "one axis of classes"
            raise Refused(Refusal(path.name, f"shape of {name}", tuple(scores.shape), allowed))
        for hit in hits(scores, ndim, threshold, top):
            yield name, hit.kind if classes is None else classes[hit.kind], hit


def _geometry(places: CellPlaces, hit: Hit, shape: str) -> dict[str, Any]:
    """Return a window's middle, or its corners in order, as (x, y)."""
    grounded = places.place.transform is not None
    factor = (1.0, 1.0) if grounded else (places.place.factor or (1.0, 1.0))

    def point(row: float, column: float) -> list[float]:
        if grounded:
            return list(places.world(row, column))
        return [column * factor[1], row * factor[0]]

    if shape == "centre":
        return {"type": "Point", "coordinates": point(*places.centre(hit.cell))}
    (top, bottom), (left, right) = places.box(hit.cell)
    corners = [(top, left), (top, right), (bottom, right), (bottom, left), (top, left)]
    return {"type": "Polygon", "coordinates": [[point(*corner) for corner in corners]]}
