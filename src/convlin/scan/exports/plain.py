"""`.npy`: all scores as NumPy writes them, block after block."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convlin.display.atomic import replacing

__all__ = ["slabs", "write_npy"]

AT_ONCE = 2**26  # bytes that are in memory at once


def write_npy(scores: Any, path: Path) -> None:
    """Write an array in C order."""
    header = io.BytesIO()
    dtype = np.dtype(scores.dtype)
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
    np.lib.format.write_array_header_2_0(header, fields | {"shape": tuple(scores.shape)})
    with replacing(path, force=False) as file:
        file.write(header.getvalue())
        for place in slabs(tuple(scores.shape), dtype.itemsize):
            file.write(np.ascontiguousarray(scores[place]).tobytes())


def slabs(shape: tuple[int, ...], item: int) -> Iterator[tuple[Any, ...]]:
    """Yield indices of parts in C order, each at most `AT_ONCE` bytes if a row is.

    >>> [place for place in slabs((2, 3), AT_ONCE // 3)]
    [(slice(0, 1, None),), (slice(1, 2, None),)]
    """
    if not shape:
        yield ()
        return
    behind = int(np.prod(shape[1:], dtype=np.int64)) * item
    if behind > AT_ONCE and len(shape) > 1:
        for number in range(shape[0]):
            for rest in slabs(shape[1:], item):
                yield (slice(number, number + 1), *rest)
        return
    rows = max(1, AT_ONCE // max(1, behind))
    for first in range(0, shape[0], rows):
        yield (slice(first, min(first + rows, shape[0])),)
