"""Which pixels are asked for: an array, an image or outlines, read box by box."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from convlin.arguments import shown
from convlin.errors import Description, Refusal, Refused
from convlin.scanning.masks.outlines import Outlines
from convlin.scanning.places import Place
from convlin.scanning.plan.method_contract import Box
from convlin.scanning.sources import Source, open_source

__all__ = ["Mask", "MaskRecipe", "open_mask"]


class Pixelwise(Protocol):
    """What gives truth values for a box of pixels."""

    def read(self, box: Box) -> np.ndarray:
        """Return (*box) of truth values."""

    @property
    def memory(self) -> int:
        """Bytes that it takes at most, beside what is read."""

    def identity(self) -> Mapping[str, Any]:
        """Return what changes if it does."""

    def close(self) -> None:
        """Let go of files."""


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

    @property
    def memory(self) -> int:
        """Bytes that it takes at most, beside what is read."""
        return self.pixels.memory

    def identity(self) -> Mapping[str, Any]:
        """Return what changes if the mask does."""
        return self.pixels.identity()

    def close(self) -> None:
        """Let go of files."""
        self.pixels.close()


def open_mask(mask: Any, size: tuple[int, ...], place: Place | None) -> Mask:
    """Return a mask for an image of this size.

    mask: an array (*size) of numbers that are 0 outside, or a smaller one, each of whose pixels
    stands for as many of the image; an image file likewise; GeoJSON, as a file or a dict: polygons
    in the coordinates of the image's CRS if it has one, else in pixels of full resolution.

    >>> mask = open_mask(np.array([[0, 1]]), (4, 6), None)
    >>> mask.read(((0, 2), (2, 5))).tolist()
    [[False, True, True], [False, True, True]]
    """
    if isinstance(mask, MaskRecipe):
        mask = mask.mask
    named = isinstance(mask, str | os.PathLike)
    # a path that does not depend on the folder that a process is in
    recipe = MaskRecipe(os.path.abspath(mask) if named else mask, size, place)  # noqa: PTH100
    if isinstance(mask, Mapping):
        return Mask(Outlines.of(mask, size, place), recipe)
    if named and Path(mask).suffix.lower() in (".geojson", ".json"):
        return Mask(Outlines.read_from(Path(mask), size, place), recipe)
    if not named and not isinstance(mask, np.ndarray):
        allowed = "an array, an image's path or GeoJSON"
        raise Refused(Refusal("scan", "mask", shown(mask), allowed))
    # a picture's own channel, not what grey would be made of several
    source = open_source(mask, window=(1, *size), channels=(0,))
    try:
        _require_fitting(source, size, place)
        steps = _steps(source.shape[1:], size)
    except BaseException:
        source.close()
        raise
    return Mask(Coarser(source, steps, None if named else mask), recipe)


def _require_fitting(source: Source, size: tuple[int, ...], place: Place | None) -> None:
    """Refuse an image that is no mask, or lies elsewhere."""
    if source.stored_channels != 1:
        raise Refused(Refusal("mask", "channels", source.stored_channels, "1"))
    if source.dtype.kind not in "bui":
        raise Refused(Refusal("mask", "dtype", source.dtype, "truth values or whole numbers"))
    its = None if source.place is None else source.place.transform
    if its is None or place is None or place.transform is None:
        return
    # a thousandth of a pixel is what writers lose of their digits
    close = 1e-3 * max(map(abs, (*place.transform[:2], *place.transform[3:5])))
    if source.shape[1:] != size or any(
        abs(a - b) > close for a, b in zip(its, place.transform, strict=True)
    ):
        value = Description(f"{its} of {source.shape[1:]} pixels")
        allowed = f"{place.transform} of {size} pixels, the image's"
        raise Refused(Refusal("mask", "transform", value, allowed))


@dataclass(frozen=True)
class Coarser:
    """A source whose pixels stand for `steps` of the image's along each dimension."""

    source: Source
    steps: tuple[int, ...]
    array: np.ndarray | None = None

    def read(self, box: Box) -> np.ndarray:
        """Return each pixel as often as it stands for."""
        sides = list(zip(box, self.steps, strict=True))
        read = self.source.read(tuple((a // n, -(-b // n)) for (a, b), n in sides))[0]
        found: np.ndarray = read != 0
        if self.source.nodata is not None:
            found &= read != self.source.nodata
        for axis, ((start, stop), n) in enumerate(sides):
            if n > 1:
                cut = (*(slice(None),) * axis, slice(start % n, start % n + stop - start))
                found = found.repeat(n, axis=axis)[cut]
        return found

    @property
    def memory(self) -> int:
        """Bytes that the source takes."""
        _, *others = self.source.shape[1:]
        return self.source.memory + self.source.held((1, *others))

    def close(self) -> None:
        """Let go of files."""
        self.source.close()

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
