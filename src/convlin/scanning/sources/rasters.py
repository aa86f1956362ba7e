"""GeoTIFF, COG and VRT, by rasterio: one handle for each thread, and a bounded cache.

GDAL unpacks a zlib tile without looking at the checksum behind it, so a damaged one reads as other
numbers. Such tiles are decoded as those of other TIFFs are, where both libraries see the same
image, and GDAL says where it lies.
"""

from __future__ import annotations

import re
import threading
import warnings
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, first_line, one_line
from convlin.scanning.places import Place
from convlin.scanning.plan.contract import Box
from convlin.scanning.sources.on_disk import file_identity
from convlin.scanning.sources.reader import Facts, level_of, required
from convlin.scanning.sources.tiffs import TiffReader, damage_note, tiff_reader

__all__ = ["RasterReader"]

CACHE = 32 * 2**20  # bytes that GDAL keeps of blocks; rows of them are kept by `Source`
FILES = 64  # of a VRT, that are open at once
# Nothing is fetched, run or looked for in the folder beside a file.
SAFE = {
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE",
    "GDAL_MAX_DATASET_POOL_SIZE": str(FILES),
}
# Parts of a VRT that compute pixels instead of copying them.
COMPUTED = ("VRTDerivedRasterBand", "VRTRawRasterBand", "VRTProcessedDataset", "GDALWarpOptions")


class RasterReader:
    """One level of a raster; level 0 is the whole, others are its overviews."""

    def __init__(self, path: Path, level: int) -> None:
        self._rasterio = required("rasterio", "GeoTIFF")
        self._path, self._level = path, level
        self._handles = threading.local()
        self._lock = threading.Lock()
        self._open: list[Any] = []
        self._tiles: TiffReader | None = None
        self._driver = "VRT" if _is_vrt(path) or path.suffix.lower() == ".vrt" else "GTiff"
        resampled = self._driver == "VRT" and _require_plain(path, path)
        try:
            self._whole = self._opened(0)
            many = len(self._whole.overviews(1)) + 1
            raster = self._opened(level) if level_of(path, level, many) else self._whole
            self._others = [Path(name) for name in self._whole.files if Path(name) != path]
            self.facts = self._facts(self._whole, raster, many, resampled)
            self._tiles = self._checked(raster)
            if self._tiles is not None:
                self.facts = replace(self.facts, memory=self._tiles.facts.memory)
        except BaseException:
            self.close()
            raise

    def read(self, box: Box) -> np.ndarray:
        """Return these numbers; the box is known to lie inside, which rasterio does not check."""
        if self._tiles is not None:
            return self._of_tiles(self._tiles, box)
        (first, last), (top, bottom), (left, right) = box
        window = self._rasterio.windows.Window(left, top, right - left, bottom - top)
        raster = getattr(self._handles, "raster", None)
        if raster is None:
            raster = self._handles.raster = self._opened(self._level)
        try:
            with self._settings():
                found: np.ndarray = raster.read(list(range(first + 1, last + 1)), window=window)
        except self._rasterio.errors.RasterioIOError as error:  # it says: see the other one
            raise OSError(first_line(error.__cause__ or error)) from error
        return found

    def identity(self) -> dict[str, Any]:
        """Return what the file is known by; of a VRT, what its files are known by too."""
        known = file_identity(self._path) | {"kind": self.facts.kind}
        for number, path in enumerate(sorted(self._others)):
            its = file_identity(path) if path.exists() else {"bytes": None}
            known |= {f"{key} of file {number}": value for key, value in its.items()}
        return known

    def reopened(self) -> str:
        """Return the path."""
        return str(self._path)

    def close(self) -> None:
        """Close every handle."""
        if self._tiles is not None:
            self._tiles.close()
        for raster in self._open:
            raster.close()

    def _settings(self) -> Any:
        return self._rasterio.Env(GDAL_CACHEMAX=CACHE, **SAFE)

    def _opened(self, level: int) -> Any:
        options = {"overview_level": level - 1} if level else {}
        try:
            with warnings.catch_warnings(), self._settings():
                warnings.simplefilter("ignore")  # of rasters that lie nowhere
                raster = self._rasterio.open(self._path, driver=self._driver, **options)
        except Exception as error:  # of damaged files: whatever GDAL stumbles over
            raise InputError(f"{self._path}: not a readable raster: {one_line(error)}") from error
        with self._lock:
            self._open.append(raster)
        return raster

    def _facts(self, whole: Any, raster: Any, many: int, resampled: bool) -> Facts:
        kinds = set(raster.dtypes)
        if len(kinds) > 1:
            raise InputError(
                f"{self._path}: bands are {', '.join(sorted(kinds))}, expected one dtype"
            )
        dtype = np.dtype(kinds.pop())
        rows, columns = raster.block_shapes[0]
        packed = str(raster.compression.name if raster.compression else "")
        text = f"{raster.driver}, {packed or 'not packed'}"
        # GDAL unpacks the blocks of all bands where they lie together, whatever its cache holds
        block = rows * columns * raster.count * dtype.itemsize
        return Facts(
            self._path.name, text + f", level {self._level} of {many}" * (many > 1),
            (raster.count, raster.height, raster.width), dtype, "CYX",
            (1, rows, columns), memory=CACHE + CACHE // 8 + 3 * block,
            place=Place(
                transform=None if raster.transform.is_identity else tuple(raster.transform)[:6],
                crs=raster.crs.to_wkt() if raster.crs else None,
                factor=(whole.height / raster.height, whole.width / raster.width),
            ),
            nodata=None if raster.nodata is None else float(raster.nodata),
            notes=self._notes(raster, packed, resampled), space=(1, 2),
        )  # fmt: skip

    def _notes(self, raster: Any, packed: str, resampled: bool) -> tuple[str, ...]:
        """Return what is worth knowing of a raster."""
        notes = () if raster.driver == "VRT" else damage_note(packed)
        if resampled:
            notes += ("the VRT asks GDAL to resample",)
        if len(set(map(repr, raster.nodatavals))) > 1:
            notes += (f"nodata is that of the first band; there are {raster.nodatavals}",)
        if any(scale != 1 for scale in raster.scales) or any(raster.offsets):
            notes += ("numbers as they are stored, without the scales and offsets of the bands",)
        if raster.colorinterp[0].name == "palette":
            notes += ("numbers are those of a palette",)
        if "per_dataset" in {flag.name for flags in raster.mask_flag_enums for flag in flags}:
            notes += ("the raster's own mask is not looked at; mask= is",)
        return notes

    def _checked(self, raster: Any) -> TiffReader | None:
        """Return the tiles of a GeoTIFF that hold checksums, as another library decodes them."""
        packed = str(raster.compression.name if raster.compression else "")
        if raster.driver != "GTiff" or packed.lower() != "deflate":
            return None
        try:
            tiles = tiff_reader(self._path, self._level)
        except InputError:  # overviews beside the file, among others
            return None
        facts = tiles.facts
        bands, rows, columns = self.facts.shape
        same = {
            "YX": (rows, columns), "CYX": (bands, rows, columns), "SYX": (bands, rows, columns),
            "IYX": (bands, rows, columns), "YXS": (rows, columns, bands),
        }.get(facts.axes) == facts.shape  # fmt: skip
        if isinstance(tiles, TiffReader) and same and facts.dtype == self.facts.dtype:
            return tiles
        tiles.close()
        return None

    def _of_tiles(self, tiles: TiffReader, box: Box) -> np.ndarray:
        bands, rows, columns = box
        if tiles.facts.axes == "YXS":
            return tiles.read((rows, columns, bands)).transpose(2, 0, 1)
        return tiles.read(box if len(tiles.facts.axes) == 3 else (rows, columns)).reshape(
            tuple(stop - start for start, stop in box)
        )


def _is_vrt(path: Path) -> bool:
    with path.open("rb") as file:
        return b"<VRTDataset" in file.read(64)


def _require_plain(path: Path, named: Path, seen: frozenset[Path] = frozenset()) -> bool:
    """Refuse a VRT that reads or computes more than files of this machine; whether it resamples."""
    try:
        root = xml.etree.ElementTree.fromstring(path.read_bytes())
    except (OSError, ValueError, xml.etree.ElementTree.ParseError) as error:
        raise InputError(f"{path}: not a readable raster: {one_line(error)}") from error
    resampled = False
    for each in root.iter():
        kinds = {each.tag, each.get("subClass", "")}
        if found := kinds.intersection(COMPUTED):
            raise InputError(f"{path}: holds {found.pop()}, expected pixels of files as they are")
        text = (each.text or "").strip()
        if text.startswith("/vsi") or re.match(r"[A-Za-z0-9_+.-]+://", text):
            raise InputError(f"{named}: holds {text!r}, expected files of this machine alone")
        if each.tag in ("SourceFilename", "SourceDataset"):
            resampled |= _require_local(path, each, named, seen)
        rects = [each.find(name) for name in ("SrcRect", "DstRect")]
        sizes = {(r.get("xSize"), r.get("ySize")) for r in rects if r is not None}
        resampled |= len({tuple(map(float, map(str, size))) for size in sizes}) > 1
    return resampled


def _require_local(path: Path, named: Any, top: Path, seen: frozenset[Path]) -> bool:
    """Refuse a source that is no file of this machine; look into those that are VRTs."""
    name = named.text or ""
    if name.startswith("/vsi") or "://" in name or "<" in name:
        raise InputError(f"{top}: holds {name!r}, expected files of this machine alone")
    relative = named.get("relativeToVRT", "0") == "1"
    other = path.parent / name if relative else Path(name)
    if not other.is_file() or other in seen or not _is_vrt(other):
        return False
    return _require_plain(other, top, seen | {other})
