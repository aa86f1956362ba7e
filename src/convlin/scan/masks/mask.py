"""Which pixels are asked for: an array, an image or outlines, read box by box."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from convlin.arguments import shown
from convlin.errors import Refusal, Refused
from convlin.scan.masks.outlines import Outlines
from convlin.scan.places import Place
from convlin.scan.plan.contract import Box
from convlin.scan.sources import Source, open_source

__all__ = ["Mask", "MaskRecipe", "open_mask"]


class Pixelwise(Protocol):
    """What gives truth values for a box of pixels."""

    def read(self, box: Box) -> np.ndarray:
        """Return (*box) of truth values."""

    def identity(self) -> Mapping[str, Any]:
        """Return what changes if it does."""


@dataclass(frozen=True)
class MaskRecipe:
    """How the same mask is opened in another process."""

    mask: Any
    size: tuple[int, ...]
    place: Place | None

    def open(self) -> Mask:
        """Open it."""
        return open_mask(self.mask, self.size, self.place)


@dataclass(frozen=True)
class Mask:
    """A mask of an image; recipe: how it is opened elsewhere."""

    pixels: Pixelwise
    recipe: MaskRecipe

    def read(self, box: Box) -> np.ndarray:
        """Return which pixels of a box are asked for."""
        return self.pixels.read(box)

    def identity(self) -> Mapping[str, Any]:
        """Return what changes if the mask does."""
        return self.pixels.identity()


def open_mask(mask: Any, size: tuple[int, ...], place: Place | None) -> Mask:
    """Return a mask for an image of this size.

    mask: an array (*size) of numbers that are 0 outside, or a smaller one, each of whose pixels
    stands for as many of the image; an image file likewise; GeoJSON, as a file or a dict: polygons
    in the coordinates of the image's CRS if it has one, else in pixels of full resolution.

    >>> mask = open_mask(np.array([[0, 1]]), (4, 6), None)
    >>> mask.read(((0, 2), (2, 5))).tolist()
    [[False, True, True], [False, True, True]]
    """
    recipe = MaskRecipe(mask, size, place)
    if isinstance(mask, Mapping):
        return Mask(Outlines.of(mask, size, place), recipe)
    if isinstance(mask, str | Path) and Path(mask).suffix.lower() in (".geojson", ".json"):
        return Mask(Outlines.read_from(Path(mask), size, place), recipe)
    if isinstance(mask, str | Path):
        source = open_source(mask, window=(1, *size))
        if source.place and place and source.place.transform != place.transform:
            allowed = f"{place.transform}, the image's"
            raise Refused(Refusal("mask", "transform", source.place.transform, allowed))
        return Mask(Coarser(source, _steps(source.shape[1:], size)), recipe)
    if isinstance(mask, np.ndarray):
        if mask.dtype.kind not in "bui":
            raise Refused(Refusal("mask", "dtype", mask.dtype, "truth values or whole numbers"))
        steps = _steps(mask.shape, size)
        return Mask(Coarser(open_source(mask, window=(1, *size)), steps, mask), recipe)
    allowed = "an array, an image's path or GeoJSON"
    raise Refused(Refusal("scan", "mask", shown(mask), allowed))


@dataclass(frozen=True)
class Coarser:
    """A source whose pixels stand for `steps` of the image's along each dimension."""

    source: Source
    steps: tuple[int, ...]
    array: np.ndarray | None = None

    def read(self, box: Box) -> np.ndarray:
        """Return each pixel as often as it stands for."""
        sides = list(zip(box, self.steps, strict=True))
        found = self.source.read(tuple((a // n, -(-b // n)) for (a, b), n in sides))[0] != 0
        for axis, ((start, stop), n) in enumerate(sides):
            first = start % n
            found = found.repeat(n, axis=axis).take(range(first, first + stop - start), axis=axis)
        return found

    def identity(self) -> dict[str, Any]:
        """Return what its file is known by, or a checksum of its array."""
        if self.array is None:
            return dict(self.source.identity())
        digest = hashlib.blake2b(np.ascontiguousarray(self.array).data, digest_size=16)
        return dict(self.source.identity()) | {"checksum": digest.hexdigest()}


def _steps(shape: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many pixels of the image one of the mask stands for."""
    fits = len(shape) == len(size) and all(
        n and not m % n for n, m in zip(shape, size, strict=True)
    )
    if not fits:
        allowed = f"{size}, the image's, or a size that divides it"
        raise Refused(Refusal("mask", "size", shape, allowed))
    return tuple(m // n for n, m in zip(shape, size, strict=True))
