"""Tiled TIFF, OME-TIFF, BigTIFF, and pyramids such as SVS, by tifffile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, one_line
from convlin.scan.places import Place
from convlin.scan.plan.contract import Box
from convlin.scan.sources.on_disk import file_identity
from convlin.scan.sources.reader import Facts, required

__all__ = ["TiffReader", "is_georeferenced"]

JPEG = "JPEG tiles: damage inside of one decodes to other pixels, and cannot be found"
AT_ONCE = 10  # tiles that are decoded at once, by zarr's own default


class TiffReader:
    """One level of a TIFF's first image."""

    def __init__(self, path: Path, level: int) -> None:
        tifffile, zarr = required("tifffile", "TIFF"), required("zarr", "TIFF")
        self._path, self._level = path, level
        try:
            self._file = tifffile.TiffFile(path)
            series = self._file.series[0]
            levels = series.levels
        except Exception as error:  # of damaged files: whatever tifffile stumbles over
            raise InputError(f"{path}: not a readable TIFF: {one_line(error)}") from error
        if level >= len(levels):
            self._file.close()
            allowed = f"0 to {len(levels) - 1}" if len(levels) > 1 else "0: it has one level"
            raise InputError(f"{path}: level is {level}, expected {allowed}")
        chosen, whole = levels[level], levels[0]
        self._store = series.aszarr(level=level)
        self._array: Any = zarr.open(self._store, mode="r")
        page = chosen.keyframe
        compression = page.compression.name
        space = [n for n, axis in enumerate(chosen.axes) if axis in "ZYX"]
        kind = "SVS" if getattr(self._file, "is_svs", False) else (
            "OME-TIFF" if self._file.is_ome else "BigTIFF" if self._file.is_bigtiff else "TIFF"
        )  # fmt: skip
        tile = int(np.prod(self._array.chunks)) * page.dtype.itemsize
        self.facts = Facts(
            path.name,
            f"{kind}, {compression}" + (f", level {level} of {len(levels)}" * (len(levels) > 1)),
            tuple(chosen.shape), np.dtype(page.dtype), chosen.axes, tuple(self._array.chunks),
            memory=2 * AT_ONCE * tile,
            place=Place(factor=tuple(whole.shape[n] / chosen.shape[n] for n in space)),
            notes=(JPEG,) * ("JPEG" in compression),
        )  # fmt: skip

    def read(self, box: Box) -> np.ndarray:
        """Return these numbers, of the tiles that they lie in."""
        found: np.ndarray = self._array[tuple(slice(start, stop) for start, stop in box)]
        return found

    def identity(self) -> dict[str, Any]:
        """Return what the file is known by."""
        return file_identity(self._path)

    def reopened(self) -> str:
        """Return the path."""
        return str(self._path)

    def close(self) -> None:
        """Close the file."""
        self._store.close()
        self._file.close()


def is_georeferenced(path: Path) -> bool:
    """Whether a TIFF says where on the ground it lies."""
    tifffile = required("tifffile", "TIFF")
    try:
        with tifffile.TiffFile(path) as file:
            return bool(file.pages[0].is_geotiff)
    except Exception as error:  # of damaged files: whatever tifffile stumbles over
        raise InputError(f"{path}: not a readable TIFF: {one_line(error)}") from error
