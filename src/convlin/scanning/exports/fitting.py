"""What a format has place for: asked of shapes and dtypes alone, so before a scan too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import Description, InputError, Refusal, Refused

__all__ = ["require_fits"]

NUMBERS = "fiu"  # kinds of NumPy's dtypes: real numbers
BANDS = 65535  # of a TIFF: it counts them in 16 bits


def require_fits(kind: str, path: Path, arrays: Mapping[str, Any], ndim: int) -> None:
    """Refuse arrays, of which shape and dtype are asked, that a kind of file has no place for.

    >>> require_fits("geotiff", Path("a.tif"), {"scores": np.zeros((5, 100))}, ndim=1)
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: a.tif: shape of scores is (5, 100), expected (K, rows, columns): a map \
for each class
    """
    if not kind:  # a folder of Zarr has place for everything
        return
    if kind not in ("csv", "geojson") and len(arrays) > 1:
        names = ", ".join(arrays)
        raise InputError(f"{path}: one output fits in, expected outputs= to choose of {names}")
    if kind == "npy":
        return
    for name, scores in arrays.items():
        shape, dtype = tuple(scores.shape), np.dtype(scores.dtype)
        for fits, field, value, allowed in _rules(kind, name, shape, dtype, ndim):
            if not fits:
                raise Refused(Refusal(path.name, field, value, allowed))


def _rules(
    kind: str, name: str, shape: tuple[int, ...], dtype: np.dtype, ndim: int
) -> list[tuple[bool, str, Any, str]]:
    """Return what has to hold; if it does not, which field is what, and what would fit."""
    many = len(shape) - ndim
    what, numbers = f"shape of {name}", f"dtype of {name}"
    if kind == "geotiff":
        plain = ndim == 2 and many in (0, 1)
        half = "float32 or float64: GeoTIFF has no others that hold NaN"
        bands = shape[0] if many else 1
        return [
            (plain, what, shape, "(K, rows, columns): a map for each class"),
            (dtype != np.float16, numbers, dtype, half),
            (dtype.kind in NUMBERS, numbers, dtype, "real numbers"),
            (bands <= BANDS, what, shape, f"at most {BANDS} classes, a band each"),
        ]
    flat = (many in (0, 1), what, shape, "one axis of classes")
    real = (dtype.kind in NUMBERS, numbers, dtype, "real numbers")
    said = Description(str(ndim))
    if kind == "ome":
        allowed = "2 or 3: OME-Zarr has images and volumes"
        return [(ndim in (2, 3), "dimensions", said, allowed), flat, real]
    if kind == "geojson":
        return [
            (ndim == 2, "dimensions", said, "2, of an image: GeoJSON has no others"),
            flat,
            real,
        ]
    return [flat, real]
