"""GeoTIFF: a band for each class, its transform that of a map of cells."""

from __future__ import annotations

import itertools
import os
import secrets
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, one_line
from convlin.scanning.places import CellPlaces
from convlin.scanning.sources.reader import required

__all__ = ["write_geotiff"]

TILE = 256
AT_ONCE = 2**24  # bytes of scores that are in memory at once, or a tile of a band
CACHE = 64 * 2**20  # bytes that GDAL keeps of tiles that are not written yet


def write_geotiff(scores: Any, places: CellPlaces, path: Path, bands: Sequence[str] = ()) -> None:
    """Write scores (K, rows, columns); NaN is no data. Tiles are packed without loss.

    bands: what each of them is called. Whole numbers have no NaN, so all of them are data.
    """
    rasterio, affine = required("rasterio", "GeoTIFF"), required("affine", "GeoTIFF")
    dtype = np.dtype(scores.dtype)
    *many, rows, columns = scores.shape
    partial = path.with_name(f".convlin-{secrets.token_hex(8)}.tif")
    floating = dtype.kind == "f"
    options = {
        "driver": "GTiff", "height": rows, "width": columns, "count": many[0] if many else 1,
        "dtype": str(dtype), "nodata": float("nan") if floating else None,
        "crs": places.place.crs, "transform": affine.Affine(*places.geotransform()),
        "tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "deflate",
        "predictor": 3 if floating else 2, "BIGTIFF": "IF_SAFER", "interleave": "band",
    }  # fmt: skip
    try:
        with (
            warnings.catch_warnings(),
            rasterio.Env(GDAL_CACHEMAX=CACHE),
            rasterio.open(partial, "w", **options) as file,
        ):
            warnings.simplefilter("ignore")  # of maps that lie nowhere
            for number, name in enumerate(bands, 1):
                file.set_band_description(number, name)
            for place in _tiles(scores):
                first, down, right = place
                part = np.asarray(scores[place if many else place[1:]])
                window = rasterio.windows.Window.from_slices(down, right)
                numbers = list(range(first.start + 1, first.stop + 1))
                file.write(part.reshape(len(numbers), *part.shape[-2:]), numbers, window=window)
        with rasterio.open(partial) as file:  # what a full disk has cut off shows here
            last = rasterio.windows.Window(columns - 1, rows - 1, 1, 1)
            file.read([1, file.count], window=last)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        if path.exists():
            raise InputError(f"{path}: exists; remove it, or name another file")
        partial.replace(path)
    except (OSError, rasterio.errors.RasterioError, rasterio.errors.CRSError) as error:
        why = one_line(error).replace(partial.name, path.name)
        raise InputError(f"{path}: cannot be written: {why}") from error
    finally:
        partial.unlink(missing_ok=True)


def _tiles(scores: Any) -> Iterator[tuple[slice, slice, slice]]:
    """Yield (bands, rows, columns) of whole tiles, of as many bands as are unpacked together.

    >>> next(_tiles(np.zeros((3, 300, 500))))
    (slice(0, 3, None), slice(0, 256, None), slice(0, 256, None))
    """
    *many, rows, columns = scores.shape
    count = many[0] if many else 1
    packed = (getattr(scores, "chunks", None) or scores.shape)[0] if many else 1
    most = max(1, AT_ONCE // (TILE * TILE * np.dtype(scores.dtype).itemsize))
    sizes, steps = (rows, columns, count), (TILE, TILE, min(packed, most))
    starts = (range(0, size, step) for size, step in zip(sizes, steps, strict=True))
    for corner in itertools.product(*starts):
        down, right, bands = (
            slice(start, min(start + step, size))
            for start, step, size in zip(corner, steps, sizes, strict=True)
        )
        yield bands, down, right
