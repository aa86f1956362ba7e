"""GeoTIFF: a band for each class, its transform that of a map of cells."""

from __future__ import annotations

import os
import secrets
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.scan.places import CellPlaces
from convlin.scan.sources.reader import required

__all__ = ["write_geotiff"]

TILE = 256
CACHE = 64 * 2**20  # bytes that GDAL keeps of tiles that are not written yet


def write_geotiff(scores: Any, places: CellPlaces, path: Path) -> None:
    """Write scores (K, rows, columns); NaN is no data. Tiles are packed without loss."""
    rasterio, affine = required("rasterio", "GeoTIFF"), required("affine", "GeoTIFF")
    if len(places.window) != 2 or len(scores.shape) not in (2, 3):
        allowed = "(K, rows, columns): a map for each class"
        raise Refused(Refusal(path.name, "shape", tuple(scores.shape), allowed))
    if np.dtype(scores.dtype) == np.float16:
        allowed = "float32 or float64: GeoTIFF has no others that hold NaN"
        raise Refused(Refusal(path.name, "dtype", scores.dtype, allowed))
    *many, rows, columns = scores.shape
    bands = many[0] if many else 1
    partial = path.with_name(f".convlin-{secrets.token_hex(8)}.tif")
    options = {
        "driver": "GTiff", "height": rows, "width": columns, "count": bands,
        "dtype": str(scores.dtype), "nodata": float("nan"), "crs": places.place.crs,
        "transform": affine.Affine(*places.geotransform()), "tiled": True, "blockxsize": TILE,
        "blockysize": TILE, "compress": "deflate", "predictor": 3, "BIGTIFF": "IF_SAFER",
        "interleave": "band",
    }  # fmt: skip
    try:
        with (
            warnings.catch_warnings(),
            rasterio.Env(GDAL_CACHEMAX=CACHE),
            rasterio.open(partial, "w", **options) as file,
        ):
            warnings.simplefilter("ignore")  # of maps that lie nowhere
            for top in range(0, rows, TILE):
                for left in range(0, columns, TILE):
                    place = (..., slice(top, top + TILE), slice(left, left + TILE))
                    part = np.asarray(scores[place]).reshape(bands, *_size(place, rows, columns))
                    height, width = part.shape[1:]
                    file.write(part, window=rasterio.windows.Window(left, top, width, height))
        with rasterio.open(partial) as file:  # what a full disk has cut off shows here
            file.read(1, window=rasterio.windows.Window(columns - 1, rows - 1, 1, 1))
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        if path.exists():
            raise InputError(f"{path}: exists; remove it, or name another file")
        partial.replace(path)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise InputError(f"{path}: cannot be written: {one_line(error)}") from error
    finally:
        partial.unlink(missing_ok=True)


def _size(place: Any, rows: int, columns: int) -> tuple[int, int]:
    _, down, right = place
    return min(down.stop, rows) - down.start, min(right.stop, columns) - right.start
