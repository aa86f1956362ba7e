"""Arrays in memory, mapped files, and `.npy`."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, one_line
from convlin.scanning.plan.method_contract import Box
from convlin.scanning.sources.file_array import PIECE, FileArray, Stored, stored_of
from convlin.scanning.sources.on_disk import file_identity
from convlin.scanning.sources.reader import Facts

__all__ = ["ArrayReader", "StoredReader", "array_reader", "npy_reader"]

SAMPLES = 4096  # numbers of an array in memory that are looked at again, to see whether it changed
UNCHECKED = "numbers as they are, without a checksum: a changed byte cannot be found"


class ArrayReader:
    """An array in memory."""

    def __init__(
        self, array: np.ndarray, name: str = "array", kind: str = "array in memory",
        path: Path | None = None, **facts: Any,
    ) -> None:  # fmt: skip
        self._array = array
        self._path = path
        self._checksum: int | None = None
        self.facts = Facts(name, kind, tuple(array.shape), array.dtype, **facts)

    def read(self, box: Box) -> np.ndarray:
        """Return these numbers, not a copy of them: read-only, as they are the array's own."""
        found: np.ndarray = np.asarray(self._array)[tuple(slice(*side) for side in box)]
        found.flags.writeable = False
        return found

    def identity(self) -> dict[str, Any]:
        """Return what its file is known by; of an array alone, checksums.

        That of all numbers is taken once: later changes show if they touch the samples.
        """
        if self._path is not None:
            return file_identity(self._path) | {"kind": self.facts.kind}
        if self._checksum is None:
            self._checksum = checksum_of(self._array)
        step = max(1, self._array.size // SAMPLES)
        samples = np.asarray(self._array).flat[::step] if self._array.size else self._array
        return {
            "kind": self.facts.kind,
            "shape": list(self._array.shape),
            "dtype": self._array.dtype.str,
            "crc32": self._checksum,
            "samples": zlib.crc32(np.ascontiguousarray(samples).tobytes()),
        }

    def reopened(self) -> Any:
        """Return the file, if there is one."""
        return None if self._path is None else str(self._path)

    def close(self) -> None:
        """Leave the array to its owner."""


class StoredReader:
    """An array in a file, as it is; reopened: what opens it elsewhere, if not its place there."""

    def __init__(
        self, stored: Stored, kind: str, reopened: str | None = None, **facts: Any
    ) -> None:  # fmt: skip
        self._file = FileArray(stored)
        self._path = Path(stored.path)
        self._reopened: Any = stored if reopened is None else reopened
        facts = {"memory": PIECE, "notes": (UNCHECKED,), **facts}
        self.facts = Facts(
            self._path.name, kind, tuple(stored.shape), np.dtype(stored.dtype), **facts
        )

    def read(self, box: Box) -> np.ndarray:
        """Return these numbers."""
        return self._file.read(box)

    def identity(self) -> dict[str, Any]:
        """Return what the file is known by."""
        return file_identity(self._path) | {"kind": self.facts.kind}

    def reopened(self) -> Any:
        """Return the path, or the path and what lies where in it."""
        return self._reopened

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def array_reader(array: np.ndarray) -> ArrayReader | StoredReader:
    """Return the reader of an array: of its file, if it is mapped."""
    stored = None if array.dtype.hasobject else stored_of(array)
    if stored is not None:
        return StoredReader(stored, "mapped file")
    # pages of a mapped file stay, once they were read
    mapped = array.nbytes if isinstance(array, np.memmap) else 0
    return ArrayReader(array, memory=mapped)


def npy_reader(path: Path) -> StoredReader:
    """Open a `.npy` file; nothing in it is unpickled."""
    formats = np.lib.format
    try:
        with path.open("rb") as file:
            version = formats.read_magic(file)
            read = formats.read_array_header_1_0 if version == (1, 0) else (
                formats.read_array_header_2_0
            )  # fmt: skip
            shape, fortran, dtype = read(file)
            offset = file.tell()
    except Exception as error:  # of damaged files: whatever NumPy stumbles over
        raise InputError(f"{path}: not a readable .npy file: {one_line(error)}") from error
    if dtype.hasobject:
        raise InputError(f"{path}: not a readable .npy file: dtype is object, expected numbers")
    stored = Stored(str(path), dtype.str, tuple(shape), offset, "F" if fortran else "C")
    return StoredReader(stored, ".npy", str(path))


def checksum_of(array: np.ndarray) -> int:
    """Return a checksum of all numbers, copied in pieces where they do not lie in order."""
    if array.dtype.hasobject or not array.size:
        return 0
    if array.flags.c_contiguous:
        return zlib.crc32(array.reshape(-1).view(np.uint8).data)
    number = 0
    for part in array:
        number = zlib.crc32(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data, number)
    return number
