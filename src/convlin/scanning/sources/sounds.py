"""WAV: one dimension, as many channels as it has, read where the samples lie in the file.

A WAV file is chunks of (name, length, bytes): `fmt ` says what a sample is, `data` holds them, and
in files above 4 GiB (RF64) `ds64` says how long `data` is, which has no room for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from convlin.errors import InputError, one_line
from convlin.scanning.places import Place
from convlin.scanning.plan.method_contract import Box
from convlin.scanning.sources.arrays import UNCHECKED, StoredReader
from convlin.scanning.sources.file_array import Stored

__all__ = ["sound_reader"]

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
# By kind and bits of a sample; those of 24 bits are three bytes, read one by one.
DTYPES = {
    (PCM, 8): "u1", (PCM, 16): "<i2", (PCM, 24): "u1", (PCM, 32): "<i4",
    (FLOAT, 32): "<f4", (FLOAT, 64): "<f8",
}  # fmt: skip
UNKNOWN = 0xFFFFFFFF  # the length of what is longer, or was not known when it was begun


@dataclass
class Header:
    """What a WAV file says of its samples."""

    channels: int = 0
    rate: int = 0
    bits: int = 0
    kind: int = 0
    offset: int = 0
    length: int = 0


def sound_reader(path: Path) -> StoredReader:
    """Open the samples of a WAV file as (time, channels)."""
    try:
        with path.open("rb") as file:
            its = _header(file, path.stat().st_size)
    except Exception as error:  # of damaged files: whatever does not fit
        raise InputError(f"{path}: not a readable WAV file: {one_line(error)}") from error
    dtype = np.dtype(DTYPES[its.kind, its.bits])
    frame = its.channels * its.bits // 8
    shape: tuple[int, ...] = (its.length // frame, its.channels)
    notes: tuple[str, ...] = (UNCHECKED,)
    place = Place(scale=(1 / its.rate,), translation=(0.0,), units=("second",), names=("t",))
    facts: dict[str, Any] = {"axes": "TC", "place": place, "space": (0,), "notes": notes}
    if dtype.kind != "f":
        facts["full"] = 2.0 ** (8 * dtype.itemsize - 1)
    kind = f"WAV, {its.rate:,} Hz"
    if its.bits != 24:
        stored = Stored(str(path), dtype.str, shape, its.offset)
        reader = Unsigned if its.bits == 8 else StoredReader
        return reader(stored, kind, str(path), **facts)
    facts["notes"] = (*notes, "samples of 24 bits as the upper ones of 32")
    return ThreeBytes(Stored(str(path), "u1", (*shape, 3), its.offset), kind, str(path), **facts)


class Unsigned(StoredReader):
    """Samples of 8 bits, of which 128 is silence, as numbers around 0 as all others are."""

    def __init__(
        self, stored: Stored, kind: str, reopened: str | None = None, **facts: Any
    ) -> None:  # fmt: skip
        super().__init__(stored, kind, reopened, **facts)
        self.facts = replace(self.facts, dtype=np.dtype(np.int8))

    def read(self, box: Box) -> np.ndarray:
        """Return these samples."""
        found: np.ndarray = (super().read(box) ^ 128).view(np.int8)
        return found


class ThreeBytes(StoredReader):
    """Whole numbers of three bytes, as the upper three of four: full scale stays full scale."""

    def __init__(
        self, stored: Stored, kind: str, reopened: str | None = None, **facts: Any
    ) -> None:  # fmt: skip
        super().__init__(stored, kind, reopened, **facts)
        self.facts = replace(self.facts, shape=stored.shape[:-1], dtype=np.dtype(np.int32))

    def read(self, box: Box) -> np.ndarray:
        """Return these samples."""
        raw = super().read((*box, (0, 3)))
        made = np.zeros((*raw.shape[:-1], 4), np.uint8)
        made[..., 1:] = raw
        found: np.ndarray = made.view("<i4")[..., 0]
        return found


def _header(file: BinaryIO, size: int) -> Header:
    """Return where the samples lie and what they are; raise `ValueError` where that is not said."""
    first, _, what = struct.unpack("<4sI4s", file.read(12))
    if first not in (b"RIFF", b"RF64", b"BW64") or what != b"WAVE":
        raise ValueError(f"it begins with {first!r}, {what!r}")
    found, long = Header(), None
    for name, length in _chunks(file):
        begin = file.tell()
        if name == b"ds64":
            _, long = struct.unpack("<QQ", file.read(16))
        elif name == b"fmt ":
            content = file.read(min(length, 40))
            found.kind, found.channels, found.rate, _, _, found.bits = struct.unpack(
                "<HHIIHH", content[:16]
            )
            if found.kind == EXTENSIBLE:
                (found.kind,) = struct.unpack("<H", content[24:26])
        elif name == b"data":
            found.offset = begin
            found.length = length
            if length == UNKNOWN:
                found.length = size - begin if long is None else long
            break
        file.seek(begin + length + length % 2)
    if (found.kind, found.bits) not in DTYPES or not found.channels or not found.rate:
        kinds = "PCM of 8, 16, 24 or 32 bits, or floats"
        raise ValueError(f"format {found.kind} of {found.bits} bits, expected {kinds}")
    if not found.offset:
        raise ValueError("it has no samples")
    if found.offset + found.length > size:
        raise ValueError(f"is cut short: {size:,} bytes of {found.offset + found.length:,}")
    return found


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield name and length of each chunk; its content is what the file then stands at."""
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        yield name, length
