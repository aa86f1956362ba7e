"""Numbers that lie in a file as they are, one after another: read run by run, never mapped.

Pages of a mapped file count as memory for as long as they stay, and one that is cut short while it
is read ends the process; a read does neither. Stored in C order, the last axis is the fastest. Of
a box, each index of the leading axes is a run: [start, stop) of axis `t` with everything of the
axes behind it, of which the box is then cut. `t` is the outermost axis whose one step is at most a
page: a run is not smaller than what a disk gives at once, and not much larger than what is asked.
"""

from __future__ import annotations

import itertools
import math
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError
from convlin.scanning.plan.contract import Box
from convlin.scanning.sources.open_file import OpenFile

__all__ = ["PIECE", "FileArray", "Stored", "stored_of"]

PAGE = 4096
PIECE = 2**20  # bytes of a run that are read at once, where more is read than is asked for


@dataclass(frozen=True)
class Stored:
    """Where an array lies in a file; order: "C", or "F" where the first axis is the fastest."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int = 0
    order: str = "C"

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + math.prod(self.shape) * np.dtype(self.dtype).itemsize


class FileArray:
    """An array in a file, of which boxes are read."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self._file = OpenFile(Path(stored.path))
        if self._file.size < stored.end:
            self._file.close()
            size = f"{self._file.size:,} bytes, expected {stored.end:,}"
            raise InputError(f"{stored.path}: is cut short: {size}")

    def read(self, box: Box) -> np.ndarray:
        """Return these numbers; raise `OSError` if the file does not hold them any more."""
        if self.stored.order == "F":
            return self._in_order(self.stored.shape[::-1], box[::-1]).transpose()
        return self._in_order(self.stored.shape, box)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _in_order(self, shape: tuple[int, ...], box: Box) -> np.ndarray:
        dtype = np.dtype(self.stored.dtype)
        steps = [math.prod(shape[axis + 1 :]) * dtype.itemsize for axis in range(len(shape))]
        t = next(axis for axis, step in enumerate(steps) if step <= max(PAGE, dtype.itemsize))
        made = np.empty(tuple(stop - start for start, stop in box), dtype)
        start, stop = box[t]
        behind = tuple(slice(a, b) for a, b in box[t + 1 :])
        whole = all(side == (0, n) for side, n in zip(box[t + 1 :], shape[t + 1 :], strict=True))
        at_once = stop - start if whole else max(1, PIECE // steps[t])
        for index in itertools.product(*(range(a, b) for a, b in box[:t])):
            place = tuple(i - a for i, (a, _) in zip(index, box[:t], strict=True))
            first = self.stored.offset + sum(i * n for i, n in zip(index, steps, strict=False))
            for a, b in _pieces(start, stop, at_once):
                target = made[place][a - start : b - start]
                run = target if whole else np.empty((b - a, *shape[t + 1 :]), dtype)
                self._file.fill(run.reshape(-1).view(np.uint8).data, first + a * steps[t])
                if not whole:
                    target[...] = run[(slice(None), *behind)]
        return made


def stored_of(array: np.ndarray) -> Stored | None:
    """Return where a mapped array lies in its file; None of one that no file holds as it is."""
    whole = _whole(array)
    if whole is None or whole.filename is None or not array.size:
        return None
    if whole.mode == "c":  # of no file, once it was written to
        return None
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        return None
    # of a part: how far its first number is from that of the whole
    begin, first = (each.__array_interface__["data"][0] for each in (whole, array))
    order = "C" if array.flags.c_contiguous else "F"
    path, offset = os.fspath(whole.filename), whole.offset + first - begin
    stored = Stored(path, array.dtype.str, tuple(array.shape), offset, order)
    return stored if _holds(stored, array) else None


def _whole(array: Any) -> Any:
    """Return the mapped array that an array is a part of."""
    while isinstance(array, np.memmap) and isinstance(array.base, np.memmap):
        array = array.base
    return array if isinstance(getattr(array, "base", None), mmap.mmap) else None


def _holds(stored: Stored, array: np.ndarray) -> bool:
    """Whether the file of that name is still the one that is mapped."""
    flat = array.reshape(-1, order="C" if stored.order == "C" else "F")[:PAGE]
    try:
        with Path(stored.path).open("rb") as file:
            file.seek(stored.offset)
            return file.read(flat.nbytes) == flat.tobytes()
    except OSError:
        return False


def _pieces(start: int, stop: int, most: int) -> Iterator[tuple[int, int]]:
    for first in range(start, stop, most):
        yield first, min(first + most, stop)
