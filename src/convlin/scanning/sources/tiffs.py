"""Tiled TIFF, OME-TIFF, BigTIFF, and pyramids such as SVS, by tifffile."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from convlin.display.numbers import bytes_of
from convlin.errors import InputError, one_line
from convlin.scanning.plan.contract import Box
from convlin.scanning.sources.arrays import StoredReader
from convlin.scanning.sources.file_array import Stored
from convlin.scanning.sources.on_disk import file_identity
from convlin.scanning.sources.reader import Facts, level_of, required
from convlin.scanning.sources.tiff_pages import Pages
from convlin.scanning.sources.tiff_places import SPACE, place_of

__all__ = ["TiffReader", "damage_note", "is_georeferenced", "tiff_reader"]

# Whose tiles hold a checksum of their numbers: zlib's, and that of xz.
CHECKED = ("ADOBE_DEFLATE", "DEFLATE", "LZMA")
# Bytes of a strip from which on it is read as it lies in the file, if it is not packed.
LARGE = 4 * 2**20
# Of which each image beside the first is a part: a label, a thumbnail, a photograph of the slide.
SLIDES = ("svs", "ndpi", "scn", "bif", "avs", "philips", "qpi", "indica")


class TiffReader:
    """One level of a TIFF's first image; see `tiff_reader`."""

    def __init__(self, path: Path, pages: Pages, facts: Facts) -> None:
        self._path = path
        self._pages = pages
        self.facts = facts
        self._places = _axes_of_page(facts.shape, pages.grid.shape)

    def read(self, box: Box) -> np.ndarray:
        """Return these numbers, of the tiles that they lie in."""
        shape = self.facts.shape
        made = np.empty(tuple(stop - start for start, stop in box), self.facts.dtype)
        inner = [(0, 1)] * 5
        outer: list[tuple[int, int]] = []
        counts: list[int] = []
        for side, n, place in zip(box, shape, self._places, strict=True):
            if place is None:
                outer.append(side)
                counts.append(n)
            else:
                inner[place] = side
        # what lies within a page comes after what goes through pages, so this is no copy
        view = made.reshape(*(b - a for a, b in outer), *(b - a for a, b in inner))
        for index in itertools.product(*(range(a, b) for a, b in outer)):
            number = 0
            for i, n in zip(index, counts, strict=True):
                number = number * n + i
            here = tuple(i - a for i, (a, _) in zip(index, outer, strict=True))
            self._pages.read(number, tuple(inner), view[here])
        return made

    def identity(self) -> dict[str, Any]:
        """Return what the file is known by."""
        return file_identity(self._path) | {"kind": self.facts.kind}

    def reopened(self) -> str:
        """Return the path."""
        return str(self._path)

    def close(self) -> None:
        """Close the file."""
        self._pages.close()


def tiff_reader(path: Path, level: int) -> TiffReader | StoredReader:
    """Open one level of a TIFF's first image, as it lies in the file where it is not packed."""
    tifffile = required("tifffile", "TIFF")
    pages: Pages | None = None
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            _require_whole(path, series)
            chosen = series.levels[level_of(path, level, len(series.levels))]
            page = chosen.keyframe
            listed = [chosen[number] for number in range(len(chosen))]
            pages = Pages(path, listed, page)
            facts = _facts(path, file, series, chosen, level, pages)
            many = math.prod(facts.shape) // max(1, math.prod(page.shaped))
            offset = chosen.dataoffset if page.is_memmappable else None
            large = not page.is_tiled and pages.segment > LARGE
            if offset is not None and (large or len(listed) < many):
                pages.close()
                dtype = facts.dtype.newbyteorder(file.byteorder)
                stored = Stored(str(path), dtype.str, facts.shape, offset)
                return StoredReader(
                    stored, facts.kind, str(path), axes=facts.axes, place=facts.place,
                    notes=facts.notes, space=facts.space,
                )  # fmt: skip
            if len(listed) != many:
                raise ValueError(f"{len(listed)} pages of {page.shape} for {facts.shape}")
            return TiffReader(path, pages, facts)
    except BaseException as error:
        if pages is not None:
            pages.close()
        if isinstance(error, InputError) or not isinstance(error, Exception):
            raise
        # of damaged files: whatever tifffile stumbles over
        raise InputError(f"{path}: not a readable TIFF: {one_line(error)}") from error


def is_georeferenced(path: Path) -> bool:
    """Whether a TIFF says where on the ground it lies, in itself or in a file beside it."""
    tifffile = required("tifffile", "TIFF")
    beside = [path.with_suffix(end) for end in (".tfw", ".tifw", ".wld")]
    try:
        with tifffile.TiffFile(path) as file:
            return bool(file.pages.first.is_geotiff) or any(each.is_file() for each in beside)
    except Exception as error:  # of damaged files: whatever tifffile stumbles over
        raise InputError(f"{path}: not a readable TIFF: {one_line(error)}") from error


def damage_note(packing: str) -> tuple[str, ...]:
    """Return what is to be said of damage, by how tiles are packed; nothing where it is found.

    >>> damage_note("JPEG"), damage_note("DEFLATE")
    (('JPEG tiles: damage inside of one decodes to other pixels, and cannot be found',), ())
    """
    if packing.upper() in CHECKED:
        return ()
    kind = "JPEG" if "JPEG" in packing.upper() else packing.upper()
    if kind in ("", "NONE"):
        kind = "unpacked"
    return (f"{kind} tiles: damage inside of one decodes to other pixels, and cannot be found",)


def _facts(
    path: Path, file: Any, series: Any, chosen: Any, level: int, pages: Pages
) -> Facts:  # fmt: skip
    page, many = chosen.keyframe, len(series.levels)
    packing = page.compression.name
    kind = "SVS" if file.is_svs else "OME-TIFF" if file.is_ome else (
        "BigTIFF" if file.is_bigtiff else "TIFF"
    )  # fmt: skip
    notes = damage_note(packing)
    if not page.is_tiled and pages.segment > LARGE and packing != "NONE":
        notes += (f"strips of {bytes_of(pages.segment)}, each decoded as a whole",)
    if len(file.series) > 1 and series.kind not in SLIDES:
        notes += (f"the first of {len(file.series)} images in the file",)
    shape = tuple(chosen.shape)
    piece = (1, *pages.grid.piece, pages.grid.samples)
    places = _axes_of_page(shape, pages.grid.shape)
    return Facts(
        path.name,
        f"{kind}, {packing}" + (f", level {level} of {many}" * (many > 1)),
        shape, np.dtype(page.dtype).newbyteorder("="), chosen.axes,
        tuple(1 if place is None else piece[place] for place in places),
        memory=pages.memory, place=place_of(file, series, chosen), notes=notes,
        space=tuple(chosen.axes.index(axis) for axis in SPACE if axis in chosen.axes),
    )  # fmt: skip


def _require_whole(path: Path, series: Any) -> None:
    """Refuse an image that lies in several files, of which only this one is named."""
    others = {
        page.parent.filehandle.name for page in series if page is not None
    } - {series.keyframe.parent.filehandle.name}  # fmt: skip
    if others:
        few = ", ".join(sorted(others)[:3])
        raise InputError(f"{path}: the image goes on in other files ({few}); make it one file")


def _axes_of_page(
    shape: tuple[int, ...], page: tuple[int, ...]
) -> tuple[int | None, ...]:  # fmt: skip
    """Return for each axis of an array which of a page's five it is; None: it goes through pages.

    Numbers lie in the order of the array's axes, so only lengths matter; axes of length 1, which
    the array may leave out, stand for none.

    >>> _axes_of_page((7, 37, 53), (1, 1, 37, 53, 1)), _axes_of_page((3, 1, 53), (3, 1, 1, 53, 1))
    ((None, 2, 3), (0, None, 3))
    """
    places: list[int | None] = [None] * len(shape)
    axis = len(shape) - 1
    for place in reversed(range(len(page))):
        if page[place] == 1:
            continue
        while axis >= 0 and shape[axis] == 1:
            axis -= 1
        if axis < 0 or shape[axis] != page[place]:
            raise ValueError(f"pages of {page} make no array of {shape}")
        places[axis] = place
        axis -= 1
    return tuple(places)
