"""OME-Zarr 0.5: one level, whose scale and translation say where the middle of each window lies."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.scan.places import CellPlaces
from convlin.scan.sources.reader import required

__all__ = ["write_ome_zarr"]

NAMES = {2: ("y", "x"), 3: ("z", "y", "x")}


def write_ome_zarr(scores: Any, places: CellPlaces, path: Path, name: str) -> None:
    """Write scores (K, *cells) of an image or a volume as a folder."""
    zarr = required("zarr", "OME-Zarr")
    ndim = len(places.window)
    if ndim not in NAMES:
        allowed = "2 or 3: OME-Zarr has images and volumes"
        raise Refused(Refusal(path.name, "dimensions", ndim, allowed))
    if len(scores.shape) - ndim not in (0, 1):
        allowed = "one axis of classes"
        raise Refused(Refusal(path.name, "shape of a score", scores.shape[:-ndim], allowed))
    if path.exists():
        raise InputError(f"{path}: exists; remove it, or name another folder")
    partial = path.with_name(f".convlin-{secrets.token_hex(8)}")
    try:
        group = zarr.create_group(str(partial), attributes=_attributes(scores, places, name))
        array = group.create_array(
            "0", shape=scores.shape, dtype=scores.dtype, chunks=scores.chunks,
            shards=scores.shards, fill_value=float("nan"),
            dimension_names=[axis["name"] for axis in _axes(scores, places)],
        )  # fmt: skip
        step = scores.shards or scores.chunks
        for place in _blocks(tuple(scores.shape), tuple(step)):
            array[place] = scores[place]
        _to_disk(partial)
        partial.rename(path)
    except OSError as error:
        why = error.strerror or one_line(error)
        raise InputError(f"{path}: cannot be written: {why}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _attributes(scores: Any, places: CellPlaces, name: str) -> dict[str, Any]:
    """Return what OME-Zarr says of an image."""
    scale, translation = places.ome()
    many = len(scores.shape) - len(scale)
    transforms = [
        {"type": "scale", "scale": [1.0] * many + list(scale)},
        {"type": "translation", "translation": [0.0] * many + list(translation)},
    ]
    image = {
        "name": name,
        "axes": _axes(scores, places),
        "datasets": [{"path": "0", "coordinateTransformations": transforms}],
    }
    return {"ome": {"version": "0.5", "multiscales": [image]}}


def _axes(scores: Any, places: CellPlaces) -> list[dict[str, str]]:
    """Return a name, a kind and, if the source says it, a unit for each axis."""
    ndim = len(places.window)
    units = places.place.units or (None,) * ndim
    axes = [{"name": "c", "type": "channel"}] * (len(scores.shape) - ndim)
    for name, unit in zip(NAMES[ndim], units, strict=True):
        axes.append({"name": name, "type": "space"} | ({"unit": unit} if unit else {}))
    return axes


def _blocks(shape: tuple[int, ...], step: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield the places of whole shards."""
    axes = [range(0, n, s) for n, s in zip(shape, step, strict=True)]
    for firsts in itertools.product(*axes):
        yield tuple(slice(a, a + s) for a, s in zip(firsts, step, strict=True))


def _to_disk(folder: Path) -> None:
    """Let files and folders reach the disk."""
    for root, _, files in os.walk(folder):
        for name in (*files, "."):
            descriptor = os.open(Path(root) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
