"""OME-Zarr 0.5: one level, whose scale and translation say where the middle of each window lies."""

from __future__ import annotations

import math
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, one_line
from convlin.scanning.exports.in_pieces import pieces
from convlin.scanning.places import CellPlaces
from convlin.scanning.sources.reader import required
from convlin.scanning.store.durable import sync

__all__ = ["write_ome_zarr"]

NAMES = {2: ("y", "x"), 3: ("z", "y", "x")}
CHUNK = 2**22  # bytes of a chunk, of an array that has none


def write_ome_zarr(scores: Any, places: CellPlaces, path: Path, name: str) -> None:
    """Write scores (K, *cells) of an image or a volume as a folder, in shards as they are.

    A shard is in memory at once.
    """
    zarr = required("zarr", "OME-Zarr")
    partial = path.with_name(f".convlin-{secrets.token_hex(8)}")
    chunks = getattr(scores, "chunks", None)
    if chunks is None:
        chunks = tuple(side.stop - side.start for side in next(pieces(scores, CHUNK)))
    shards = getattr(scores, "shards", None)
    floating = np.dtype(scores.dtype).kind == "f"
    try:
        group = zarr.create_group(str(partial), attributes=_attributes(scores, places, name))
        array = group.create_array(
            "0", shape=scores.shape, dtype=scores.dtype, chunks=chunks, shards=shards,
            fill_value=math.nan if floating else 0,
            dimension_names=[axis["name"] for axis in _axes(scores, places)],
        )  # fmt: skip
        for place in pieces(array, 0, shards or chunks):
            array[place] = scores[place]
        for root, _, files in os.walk(partial):
            for file in (*files, "."):
                sync(Path(root) / file)
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
    units = places.place.units or (None,) * places.ndim
    axes = [{"name": "c", "type": "channel"}] * (len(scores.shape) - places.ndim)
    for name, unit in zip(NAMES[places.ndim], units, strict=True):
        axes.append({"name": name, "type": "space"} | ({"unit": unit} if unit else {}))
    return axes
