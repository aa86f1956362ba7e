"""Arrays in memory, mapped files, and `.npy`."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, one_line
from convlin.scan.plan.contract import Box
from convlin.scan.sources.on_disk import file_identity
from convlin.scan.sources.reader import Facts

__all__ = ["ArrayReader", "MappedFile", "npy_reader"]


@dataclass(frozen=True)
class MappedFile:
    """A mapped array, to be mapped again elsewhere."""

    path: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    order: str

    def open(self) -> np.ndarray:
        """Map it."""
        return np.memmap(
            self.path, self.dtype, "r", self.offset, self.shape, order=self.order  # type: ignore[call-overload]
        )  # fmt: skip


class ArrayReader:
    """An array that NumPy indexes: in memory, or pages of a file."""

    def __init__(
        self, array: np.ndarray, name: str = "array", kind: str = "array in memory",
        path: Path | None = None, **facts: Any,
    ) -> None:  # fmt: skip
        self._array = array
        self._path = path
        self._pages = _pages(array)
        mapped = _mapped(array)
        if path is None and mapped is not None:
            name, kind = Path(mapped.path).name, "mapped file"
            self._path = Path(mapped.path)
        self._origin: Any = mapped if path is None else str(path)
        self.facts = Facts(name, kind, tuple(array.shape), array.dtype, **facts)

    def read(self, box: Box) -> np.ndarray:
        """Copy these numbers; the pages that they were mapped to are given back."""
        found = np.array(self._array[tuple(slice(start, stop) for start, stop in box)])
        if self._pages is not None:
            self._pages.madvise(mmap.MADV_DONTNEED)
        return found

    def identity(self) -> dict[str, Any]:
        """Return size and kind of numbers; of a file, what it is known by."""
        known = {"shape": list(self._array.shape), "dtype": self._array.dtype.str}
        return known if self._path is None else known | file_identity(self._path)

    def reopened(self) -> Any:
        """Return the file, if there is one."""
        return self._origin

    def close(self) -> None:
        """Leave the array to its owner."""


def npy_reader(path: Path) -> ArrayReader:
    """Map a `.npy` file; nothing in it is unpickled."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # of damaged files: whatever NumPy stumbles over
        raise InputError(f"{path}: not a readable .npy file: {one_line(error)}") from error
    return ArrayReader(array, path.name, ".npy", path)


def _pages(array: np.ndarray) -> mmap.mmap | None:
    """Return the map of a file that an array lies in, unless somebody may have changed a copy."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode == "c" and base.flags.writeable:
            return None
        base = base.base
    return base if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None


def _mapped(array: np.ndarray) -> MappedFile | None:
    """Return how a mapped array is mapped again; None of a part of one, which forgets where."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap):
        return None
    if array.filename is None:
        return None
    order = "C" if array.flags.c_contiguous else "F"
    return MappedFile(str(array.filename), array.dtype.str, array.offset, array.shape, order)
