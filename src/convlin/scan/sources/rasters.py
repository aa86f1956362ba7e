"""GeoTIFF, COG and VRT, by rasterio: one handle for each thread, and a bounded cache."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, one_line
from convlin.scan.places import Place
from convlin.scan.plan.contract import Box
from convlin.scan.sources.on_disk import file_identity
from convlin.scan.sources.reader import Facts, required
from convlin.scan.sources.tiffs import JPEG

__all__ = ["RasterReader"]

CACHE = 64 * 2**20  # bytes that GDAL keeps of blocks; rows of them are kept by `Source`


class RasterReader:
    """One level of a raster; level 0 is the whole, others are its overviews."""

    def __init__(self, path: Path, level: int) -> None:
        self._rasterio = required("rasterio", "GeoTIFF")
        self._path, self._level = path, level
        self._handles = threading.local()
        self._open: list[Any] = []
        if path.suffix.lower() == ".vrt":
            _require_local(path)
        whole = self._opened(0)
        many = len(whole.overviews(1)) + 1
        if level >= many:
            raise InputError(f"{path}: level is {level}, expected 0 to {many - 1}")
        raster = whole if level == 0 else self._opened(level)
        kinds = set(raster.dtypes)
        if len(kinds) > 1:
            raise InputError(f"{path}: bands are {', '.join(sorted(kinds))}, expected one dtype")
        dtype = np.dtype(kinds.pop())
        rows, columns = raster.block_shapes[0]
        packed = str(raster.compression.name if raster.compression else "")
        text = f"{raster.driver}, {packed or 'not packed'}"
        self.facts = Facts(
            path.name, text + f", level {level} of {many}" * (many > 1),
            (raster.count, raster.height, raster.width), dtype, "CYX",
            (raster.count, rows, columns), memory=CACHE,
            place=Place(
                transform=None if raster.transform.is_identity else tuple(raster.transform)[:6],
                crs=raster.crs.to_wkt() if raster.crs else None,
                factor=(whole.height / raster.height, whole.width / raster.width),
            ),
            nodata=None if raster.nodata is None else float(raster.nodata),
            notes=(JPEG,) * ("jpeg" in packed.lower()),
        )  # fmt: skip

    def read(self, box: Box) -> np.ndarray:
        """Return these numbers; the box is known to lie inside, which rasterio does not check."""
        (first, last), (top, bottom), (left, right) = box
        window = self._rasterio.windows.Window(left, top, right - left, bottom - top)
        raster = getattr(self._handles, "raster", None)
        if raster is None:
            raster = self._handles.raster = self._opened(self._level)
        with self._rasterio.Env(GDAL_CACHEMAX=CACHE):
            found: np.ndarray = raster.read(list(range(first + 1, last + 1)), window=window)
        return found

    def identity(self) -> dict[str, Any]:
        """Return what the file is known by; of a VRT, what its files are known by too."""
        known = file_identity(self._path)
        others = [Path(name) for name in self._open[0].files if Path(name) != self._path]
        for number, path in enumerate(sorted(others)):
            if path.exists():
                known |= {f"{key} of file {number}": n for key, n in file_identity(path).items()}
        return known

    def reopened(self) -> str:
        """Return the path."""
        return str(self._path)

    def close(self) -> None:
        """Close every handle."""
        for raster in self._open:
            raster.close()

    def _opened(self, level: int) -> Any:
        options = {"overview_level": level - 1} if level else {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of rasters that lie nowhere
                raster = self._rasterio.open(self._path, **options)
        except Exception as error:  # of damaged files: whatever GDAL stumbles over
            raise InputError(f"{self._path}: not a readable raster: {one_line(error)}") from error
        self._open.append(raster)
        return raster


def _require_local(path: Path) -> None:
    """Refuse a VRT that would read from elsewhere than this machine's files."""
    text = path.read_text("utf-8", errors="replace")
    for word in ("/vsi", "://", "VRTDerivedRasterBand"):
        if word in text.replace("http://www.opengis.net", "").replace("https://gdal.org", ""):
            raise InputError(f"{path}: holds {word!r}, expected files of this machine alone")
