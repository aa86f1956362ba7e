"""CSV: a row for each window in a list."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convlin.display.atomic import replacing
from convlin.scanning.exports.listing import Listing
from convlin.scanning.places import CellPlaces

__all__ = ["write_csv"]


def write_csv(arrays: Mapping[str, Any], places: CellPlaces, path: Path, listing: Listing) -> None:
    """Write output, class, its name if it has one, score, cell, middle and box of each window.

    Pixels are those of full resolution, from the corner of the first one; x and y are on the
    ground, where the image's transform says that.
    """
    letters = "zyx"[3 - places.ndim :]
    columns = ["output", "class", "name", "score", *(f"cell_{axis}" for axis in letters)]
    columns += [f"centre_{axis}" for axis in letters]
    columns += [f"{end}_{axis}" for axis in letters for end in ("first", "stop")]
    grounded = places.place.transform is not None
    columns += ["x", "y"] * grounded
    with replacing(path, force=False) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        rows = csv.writer(text)
        rows.writerow(columns)
        for output, number, name, score, cell in listing.of(arrays, places.ndim, path):
            sides = places.full_box(cell)
            row = [output, number, name, repr(score), *cell, *places.full_centre(cell)]
            row += [end for side in sides for end in side]
            if grounded:
                row += places.world(*places.centre(cell))
            rows.writerow(row)
        text.detach()
