"""`open_source`: whatever an image lies in, opened by what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convlin.display.inputs import existing
from convlin.errors import Description, InputError, Refusal, Refused, one_line
from convlin.scanning.sources.arrays import StoredReader, array_reader, npy_reader
from convlin.scanning.sources.file_array import Stored
from convlin.scanning.sources.pictures import picture_reader
from convlin.scanning.sources.rasters import RasterReader
from convlin.scanning.sources.reader import Reader, level_of
from convlin.scanning.sources.sounds import sound_reader
from convlin.scanning.sources.source import Source
from convlin.scanning.sources.tiffs import is_georeferenced, tiff_reader
from convlin.scanning.sources.zarr_arrays import is_zarr, zarr_reader

__all__ = ["Recipe", "open_source"]

# What the files of a format begin with; RIFF holds other things than sound too.
BEGINNINGS = {
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "npy": (b"\x93NUMPY",),
    "VRT": (b"<VRTDataset",),
}
SUFFIXES = dict.fromkeys((".tif", ".tiff", ".btf", ".tf8", ".svs", ".scn", ".ndpi"), "TIFF") | {
    ".npy": "npy", ".vrt": "VRT", ".wav": "WAV", ".wave": "WAV", ".rf64": "WAV",
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How the same source is opened in another process."""

    source: str | Stored
    window: tuple[int, ...]
    options: Mapping[str, Any]

    def open(self) -> Source:
        """Open it."""
        return open_source(self.source, window=self.window, **self.options)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return what `as_dict` gave."""
        source, options = values["source"], dict(values["options"])
        if not isinstance(source, str):
            source = Stored(**source | {"shape": tuple(source["shape"])})
        if options["channels"] is not None:
            options["channels"] = tuple(options["channels"])
        return cls(source, tuple(values["window"]), options)


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
        "axes": axes, "level": level, "nodata": nodata,
        "channels": None if channels is None else tuple(channels),
        "lift_bomb_limit": lift_bomb_limit,
    }  # fmt: skip
    reader = _reader(source, window, options)
    try:
        origin = reader.reopened()
        recipe = None if origin is None else Recipe(_anywhere(origin), tuple(window), options)
        return Source(reader, window, axes=axes, channels=channels, nodata=nodata, recipe=recipe)
    except BaseException:
        reader.close()
        raise


def _reader(source: Any, window: tuple[int, ...], options: Mapping[str, Any]) -> Reader:
    level: int = options["level"]
    if isinstance(source, Stored):
        level_of(source.path, level, 1)
        return StoredReader(source, "mapped file")
    if isinstance(source, np.ndarray):
        level_of("array", level, 1)
        return array_reader(source)
    if type(source).__module__.partition(".")[0] == "zarr":
        return zarr_reader(source, level)
    if not isinstance(source, str | os.PathLike) or not isinstance(os.fspath(source), str):
        allowed = "an array, a Zarr array or the path of an image"
        value = Description(type(source).__name__)
        raise Refused(Refusal("scan", "source", value, allowed))
    if "://" in os.fspath(source):
        raise InputError(f"{source}: expected a file of this machine; nothing is downloaded")
    path = Path(source)
    folder = _is_folder(path)
    if folder and is_zarr(path):
        return zarr_reader(path, level)
    if folder:
        raise InputError(f"{path}: a folder, expected a Zarr array, or a file")
    kind = _kind(existing(path))
    if kind == "TIFF" and not is_georeferenced(path):
        return tiff_reader(path, level)
    if kind in ("TIFF", "VRT"):
        return RasterReader(path, level)
    level_of(path, level, 1)
    if kind == "npy":
        return npy_reader(path)
    if kind == "WAV":
        return sound_reader(path)
    own = options["channels"] is not None
    limit = options["lift_bomb_limit"]
    return picture_reader(path, None if own else window[0], lift_bomb_limit=limit)


def _anywhere(origin: str | Stored) -> str | Stored:
    """Return the same with a path that does not depend on the folder that a process is in."""
    if isinstance(origin, str):
        return os.path.abspath(origin)  # noqa: PTH100 - which follows no link
    return replace(origin, path=os.path.abspath(origin.path))  # noqa: PTH100


def _kind(path: Path) -> str:
    """Return which format a file is of: by what it begins with, else by its name."""
    try:
        with path.open("rb") as file:
            first = file.read(64)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    for kind, begins in BEGINNINGS.items():
        if first.removeprefix(b"\xef\xbb\xbf").lstrip(b" \r\n").startswith(begins):
            return kind
    return SUFFIXES.get(path.suffix.lower(), "picture")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no file can have
        return False
