"""`open_source`: whatever an image lies in, opened by what it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convlin.arguments import shown
from convlin.display.inputs import existing
from convlin.errors import InputError, Refusal, Refused
from convlin.scan.sources.arrays import ArrayReader, MappedFile, npy_reader
from convlin.scan.sources.pictures import picture_reader
from convlin.scan.sources.rasters import RasterReader
from convlin.scan.sources.reader import Reader
from convlin.scan.sources.sounds import sound_reader
from convlin.scan.sources.source import Source
from convlin.scan.sources.tiffs import TiffReader, is_georeferenced
from convlin.scan.sources.zarr_arrays import is_zarr, zarr_reader

__all__ = ["open_source"]

TIFFS = (".tif", ".tiff", ".btf", ".tf8", ".svs", ".qptiff", ".scn", ".ndpi")


def open_source(
    source: Any, *, window: tuple[int, ...], axes: str | None = None, level: int = 0,
    channels: Sequence[int] | None = None, nodata: float | None = None,
    lift_bomb_limit: bool = False,
) -> Source:  # fmt: skip
    """Return an image as (C, *spatial), from which boxes are read; see `scan`.

    >>> source = open_source(np.arange(24).reshape(4, 6), window=(1, 2, 2))
    >>> source.shape, source.read(((1, 3), (4, 6))).tolist()
    ((1, 4, 6), [[[10, 11], [16, 17]]])
    """
    options = {
        "axes": axes, "level": level, "channels": channels, "nodata": nodata,
        "lift_bomb_limit": lift_bomb_limit,
    }  # fmt: skip
    reader = _reader(source, window, level, lift_bomb_limit)
    try:
        return Source(reader, window, axes=axes, channels=channels, nodata=nodata, options=options)
    except BaseException:
        reader.close()
        raise


def _reader(source: Any, window: tuple[int, ...], level: int, lift_bomb_limit: bool) -> Reader:
    if isinstance(source, MappedFile):
        source = source.open()
    if isinstance(source, np.ndarray):
        _require_one_level("array", level)
        return ArrayReader(source)
    if type(source).__module__.startswith("zarr."):
        return zarr_reader(source, level)
    if not isinstance(source, str | Path):
        allowed = "an array, a Zarr array or the path of an image"
        raise Refused(Refusal("scan", "source", shown(source), allowed))
    if "://" in str(source):
        raise InputError(f"{source}: expected a file of this machine; nothing is downloaded")
    path = Path(source)
    if is_zarr(path):
        return zarr_reader(path, level)
    if path.is_dir():
        raise InputError(f"{path}: a folder, expected a Zarr array, or a file")
    existing(path)
    suffix = path.suffix.lower()
    if suffix in TIFFS and not is_georeferenced(path):
        return TiffReader(path, level)
    if suffix in (*TIFFS, ".vrt"):
        return RasterReader(path, level)
    _require_one_level(str(path), level)
    if suffix == ".npy":
        return npy_reader(path)
    if suffix in (".wav", ".wave"):
        return sound_reader(path)
    return picture_reader(path, window[0], lift_bomb_limit=lift_bomb_limit)


def _require_one_level(name: str, level: int) -> None:
    if level:
        raise InputError(f"{name}: level is {level}, expected 0: it has one level")
