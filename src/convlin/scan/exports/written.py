"""Which file is written of a finished scan, by its suffix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convlin.errors import InputError
from convlin.scan.exports.geotiff import write_geotiff
from convlin.scan.exports.listed import write_csv, write_geojson
from convlin.scan.exports.ome_zarr import write_ome_zarr
from convlin.scan.exports.plain import write_npy
from convlin.scan.places import CellPlaces

__all__ = ["export_of", "write_export"]

SUFFIXES = {
    ".ome.zarr": "ome", ".tif": "geotiff", ".tiff": "geotiff", ".npy": "npy", ".csv": "csv",
    ".geojson": "geojson",
}  # fmt: skip


def export_of(path: Path) -> str:
    """Return what kind of file a path asks for; nothing for a folder of Zarr.

    >>> export_of(Path("a.ome.zarr")), export_of(Path("a.zarr")), export_of(Path("a.TIF"))
    ('ome', '', 'geotiff')
    """
    name = path.name.lower()
    return next((kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), "")


def write_export(
    arrays: Mapping[str, Any], places: CellPlaces, path: Path, *,
    threshold: float | None = None, top: int | None = None, classes: Sequence[int] | None = None,
) -> None:  # fmt: skip
    """Write scores (K, *cells) to a file, whole or not at all.

    classes: numbers of the K, where they are some of the model's. threshold, top: which windows a
    list has. Raises `Refused` for what the format has no place for, `InputError` if it fails.
    """
    kind = export_of(path)
    if kind in ("csv", "geojson"):
        write = write_csv if kind == "csv" else write_geojson
        write(arrays, places, path, threshold=threshold, top=top, classes=classes)
        return
    if len(arrays) > 1:
        names = ", ".join(arrays)
        raise InputError(f"{path}: one output fits in, expected outputs= to choose of {names}")
    ((name, scores),) = arrays.items()
    if kind == "ome":
        write_ome_zarr(scores, places, path, name)
    elif kind == "geotiff":
        write_geotiff(scores, places, path)
    else:
        write_npy(scores, path)
