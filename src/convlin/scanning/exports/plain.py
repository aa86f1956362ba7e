"""`.npy`: all scores as NumPy writes them, each piece at its place in the file."""

from __future__ import annotations

import io
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from convlin.display.atomic import replacing
from convlin.scanning.exports.in_pieces import pieces

__all__ = ["write_npy"]

AT_ONCE = 2**26  # bytes of scores that are in memory at once, or one chunk if that is more


def write_npy(scores: Any, path: Path) -> None:
    """Write an array in C order, of any shape and dtype.

    Chunks hold some rows of many classes, the file all rows of a class: what a chunk has of a row
    goes where that row lies, so that each chunk is unpacked once.
    """
    shape, dtype = tuple(scores.shape), np.dtype(scores.dtype)
    header = io.BytesIO()
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
    np.lib.format.write_array_header_2_0(header, fields | {"shape": shape})
    begin = len(header.getvalue())
    strides = [math.prod(shape[axis + 1 :]) * dtype.itemsize for axis in range(len(shape))]
    with replacing(path, force=False) as file:
        file.write(header.getvalue())
        for place in pieces(scores, AT_ONCE):
            part = np.ascontiguousarray(scores[place])
            split = _split(part.shape, shape)
            for index in itertools.product(*map(range, part.shape[:split])):
                steps = zip(index, place, strides, strict=False)  # behind `split`, all begins at 0
                offset = sum((i + side.start) * stride for i, side, stride in steps)
                rest = zip(place[split:], strides[split:], strict=True)
                offset += sum(side.start * stride for side, stride in rest)
                file.seek(begin + offset)
                file.write(part[index].tobytes())


def _split(part: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """Return the axis from which on a part is one run of the array: all axes behind it are whole.

    >>> _split((2, 3, 5), (4, 7, 5)), _split((2, 3, 4), (4, 7, 5)), _split((4, 7, 5), (4, 7, 5))
    (1, 2, 0)
    """
    for axis in reversed(range(len(shape))):
        if part[axis] != shape[axis]:
            return axis
    return 0
