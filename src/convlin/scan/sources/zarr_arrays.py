"""Zarr arrays of formats 2 and 3, and the levels of OME-Zarr images (0.4 and 0.5)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.scan.places import Place
from convlin.scan.plan.contract import Box
from convlin.scan.sources.on_disk import folder_identity
from convlin.scan.sources.reader import Facts, required

__all__ = ["ZarrReader", "is_zarr", "zarr_reader"]

METADATA = ("zarr.json", ".zarray", ".zgroup")
UNCHECKED = "Zarr without checksums: a damaged or missing chunk may read as other numbers"
AT_ONCE = 10  # chunks that zarr decodes at once, by its own default


class ZarrReader:
    """A Zarr array."""

    def __init__(
        self, array: Any, name: str, kind: str, folder: Path | None, **facts: Any
    ) -> None:  # fmt: skip
        self._array = array
        self._folder = folder
        chunk = math.prod(array.chunks) * array.dtype.itemsize
        notes = () if _has_checksums(array) else (UNCHECKED,)
        self.facts = Facts(
            name, kind, tuple(array.shape), np.dtype(array.dtype), block=tuple(array.chunks),
            memory=2 * AT_ONCE * chunk, notes=notes, **facts,
        )  # fmt: skip

    def read(self, box: Box) -> np.ndarray:
        """Return these numbers; chunks that are not stored are the array's fill value."""
        found: np.ndarray = self._array[tuple(slice(start, stop) for start, stop in box)]
        return found

    def identity(self) -> dict[str, Any]:
        """Return shape and kind of numbers, and what its folder is known by."""
        known = {"shape": list(self._array.shape), "dtype": str(self._array.dtype)}
        return known if self._folder is None else known | folder_identity(self._folder)

    def reopened(self) -> Any:
        """Return its path, and None of one in memory."""
        return None if self._folder is None else str(self._folder)

    def close(self) -> None:
        """Leave it: nothing is open between reads."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group."""
    return path.is_dir() and any((path / name).exists() for name in METADATA)


def zarr_reader(source: Any, level: int) -> ZarrReader:
    """Return the reader of a path, an array or a group; of an OME-Zarr image, of one level."""
    zarr = required("zarr", "Zarr")
    name = str(source)
    if isinstance(source, Path):
        try:
            node = zarr.open(store=str(source), mode="r")
        except Exception as error:  # of damaged metadata: whatever zarr stumbles over
            raise InputError(f"{source}: not a readable Zarr: {one_line(error)}") from error
        name = source.name
    else:
        node, name = source, _folder(source).name if _folder(source) else "Zarr in memory"
    folder = _folder(node)
    kind = f"Zarr v{node.metadata.zarr_format}"
    if isinstance(node, zarr.Array):
        if level:
            raise InputError(f"{name}: level is {level}, expected 0: an array has no others")
        return ZarrReader(node, name, kind, folder)
    images = dict(node.attrs).get("ome", dict(node.attrs)).get("multiscales")
    if not images:
        arrays = sorted(key for key, each in node.members() if isinstance(each, zarr.Array))
        few = ", ".join(arrays[:8]) or "no array"
        raise InputError(
            f"{name}: a group of {few}; name one: {name}/{arrays[0] if arrays else '…'}"
        )
    return _level(node, images[0], level, name, kind, folder)


def _level(
    group: Any, image: dict[str, Any], level: int, name: str, kind: str, folder: Path | None
) -> ZarrReader:
    """Return one level of an OME-Zarr image, and where it says that it lies."""
    sets = image["datasets"]
    if level >= len(sets):
        allowed = f"0 to {len(sets) - 1}"
        raise InputError(f"{name}: level is {level}, expected {allowed}")
    array, whole = group[sets[level]["path"]], group[sets[0]["path"]]
    axes = image["axes"]
    letters = "".join(str(axis["name"]).upper()[:1] for axis in axes)
    scale, translation = _transforms(image, sets[level], len(axes))
    space = [n for n, axis in enumerate(axes) if axis.get("type", "space") == "space"]
    first, _ = _transforms(image, sets[0], len(axes))
    place = Place(
        scale=tuple(scale[n] for n in space),
        translation=tuple(translation[n] for n in space),
        units=tuple(axes[n].get("unit") for n in space),
        names=tuple(axes[n]["name"] for n in space),
        factor=tuple(whole.shape[n] / array.shape[n] for n in space),
    )
    if any(number <= 0 for number in (*scale, *first)):
        raise Refused(Refusal(name, "scale", tuple(scale), "above 0"))
    text = f"OME-{kind}, level {level} of {len(sets)}"
    return ZarrReader(array, name, text, folder, axes=letters, place=place)


def _transforms(
    image: dict[str, Any], dataset: dict[str, Any], ndim: int
) -> tuple[list[float], list[float]]:
    """Return scale and translation of a level: its own, then the image's."""
    scale, translation = [1.0] * ndim, [0.0] * ndim
    for holder in (dataset, image):
        for its in holder.get("coordinateTransformations", ()):
            if its["type"] == "scale":
                scale = [a * b for a, b in zip(scale, its["scale"], strict=True)]
                translation = [a * b for a, b in zip(translation, its["scale"], strict=True)]
            elif its["type"] == "translation":
                translation = [a + b for a, b in zip(translation, its["translation"], strict=True)]
    return scale, translation


def _folder(node: Any) -> Path | None:
    """Return the folder of an array or a group on this machine's disk."""
    root = getattr(node.store, "root", None)
    return None if not isinstance(root, Path) else root / node.path


def _has_checksums(array: Any) -> bool:
    """Whether the array's numbers are stored with a checksum of theirs."""
    text = str(array.metadata.to_dict())
    return "crc32c" in text.partition("index_codecs")[0] or "'checksum': True" in text
