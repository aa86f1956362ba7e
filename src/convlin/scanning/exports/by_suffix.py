"""Which file is written of a finished scan, by its suffix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convlin.errors import InputError
from convlin.scanning.exports.csv_rows import write_csv
from convlin.scanning.exports.fitting import require_fits
from convlin.scanning.exports.geojson import write_geojson
from convlin.scanning.exports.geotiff import write_geotiff
from convlin.scanning.exports.listing import Listing, require_names
from convlin.scanning.exports.ome_zarr import write_ome_zarr
from convlin.scanning.exports.plain import write_npy
from convlin.scanning.places import CellPlaces
from convlin.scanning.store.durable import named, sync

__all__ = ["export_of", "require_export", "write_export"]

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


def require_export(
    arrays: Mapping[str, Any], ndim: int, path: Path, *, threshold: float | None = None,
    top: int | None = None, classes: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
) -> None:  # fmt: skip
    """Refuse, before a scan, what `write_export` would refuse behind it.

    Of arrays, shape and dtype are asked alone.
    """
    kind = export_of(path)
    require_fits(kind, path, arrays, ndim)
    if kind in ("csv", "geojson"):
        Listing(threshold, top, classes, names).require(arrays, ndim, path)
    elif kind == "geotiff":
        require_names(classes, names, arrays, ndim, path)


def write_export(
    arrays: Mapping[str, Any], places: CellPlaces, path: Path, *,
    threshold: float | None = None, top: int | None = None, classes: Sequence[int] | None = None,
    names: Sequence[str] | None = None, shape: str = "box", objects: str = "annotation",
) -> None:  # fmt: skip
    """Write scores (K, *cells) to a file, whole or not at all.

    classes: numbers of the K, where they are some of the model's; names: of the model's classes,
    by number. threshold, top: which windows a list has; shape, objects: what they are in GeoJSON.
    Raises `Refused` for what the format has no place for, `InputError` if it fails.

    >>> import numpy as np, tempfile
    >>> places = CellPlaces(window=(8, 6), stride=(4, 2), first=(0, 0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "best.csv"
    ...     write_export({"scores": np.eye(3)[None]}, places, path, top=1, names=["cat"])
    ...     print(path.read_text().splitlines()[1])
    scores,0,cat,1.0,0,0,4.0,3.0,0.0,8.0,0.0,6.0
    """
    require_export(
        arrays, places.ndim, path, threshold=threshold, top=top, classes=classes, names=names
    )
    kind = export_of(path)
    if not kind:
        raise InputError(f"{path}: the name must end in one of {', '.join(SUFFIXES)}")
    if path.exists() or path.is_symlink():
        raise InputError(f"{path}: exists; remove it, or name another file")
    if not path.parent.is_dir():
        raise InputError(f"{path}: no such folder: {path.parent}")
    listing = Listing(threshold, top, classes, names)
    if kind == "csv":
        write_csv(arrays, places, path, listing)
    elif kind == "geojson":
        write_geojson(arrays, places, path, listing, shape, objects)
    else:
        ((output, scores),) = arrays.items()
        if kind == "ome":
            write_ome_zarr(scores, places, path, output)
        elif kind == "geotiff":
            write_geotiff(scores, places, path, _bands(scores, classes, names))
        else:
            write_npy(scores, path)
    with named(path):
        sync(path.parent)  # its name too: what it was made of may be removed now


def _bands(scores: Any, classes: Sequence[int] | None, names: Sequence[str] | None) -> list[str]:
    """Return what each class is called, where that is not its number alone."""
    if classes is None and names is None:
        return []
    many = scores.shape[0] if len(scores.shape) == 3 else 1
    numbers = range(many) if classes is None else classes
    return [f"class {n}" if names is None else names[n] for n in numbers]
