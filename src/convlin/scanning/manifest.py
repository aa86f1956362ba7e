"""What a store says of the scan that it holds: everything that decides about its numbers."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from convlin import __version__
from convlin.models.cells import SlidingWindow
from convlin.scanning.methods.choice import Chosen
from convlin.scanning.places import CellPlaces
from convlin.scanning.sources import Source
from convlin.scanning.worker import Job

if TYPE_CHECKING:
    from convlin.scanning.masks import Mask

__all__ = ["manifest_of"]

# What computes, decodes and packs: another version may round, decode or pack otherwise.
LIBRARIES = ("numpy", "torch", "zarr", "numcodecs", "tifffile", "imagecodecs", "rasterio", "pillow")


def manifest_of(
    job: Job, chosen: Chosen, places: CellPlaces, source: Source, mask: Mask | None
) -> dict[str, Any]:
    """Return the manifest, as plain values for JSON."""
    return {
        "convlin": __version__,
        "model": job.classifier.name,
        "weights": job.classifier.digest,
        "window": list(job.window),
        "stride": list(job.grid.stride),
        "semantics": job.semantics,
        "size": list(job.grid.size),
        "edges": job.grid.edges,
        "region": job.grid.region and [list(side) for side in job.grid.region],
        "cells": [list(side) for side in job.grid.cells],
        "settings": job.settings.as_dict(),
        "source": {"description": source.description} | dict(source.identity()),
        "channels": source.shape[0],
        "nodata": None if source.nodata is None else repr(source.nodata),
        "mask": None if mask is None else dict(mask.identity()),
        "skip_unreadable": job.skip_unreadable,
        "pixels": {name: _listed(value) for name, value in asdict(job.pixels).items()},
        "selection": {name: _listed(value) for name, value in asdict(job.selection).items()},
        "outputs": {output.name: list(output.shape) for output in job.selection.of(chosen.outputs)},
        "places": places.as_dict(),
        "geometry": geometry_of(chosen),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def geometry_of(chosen: Chosen) -> str:
    """Return a checksum of what a model does: its graph, and the numbers of its layers."""
    if isinstance(chosen.net, SlidingWindow):
        said = [str(chosen.net.graph)]
    else:
        network = chosen.net.network.network
        said = [str(network.graph)]
        said += [f"{name} {layer.extra_repr()}" for name, layer in network.named_modules()]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
