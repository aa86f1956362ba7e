"""One safetensors file in another layout, streamed: never more than one tensor is in memory.

The format is 8 bytes (the header's length), a JSON header (dtype, shape and place of each tensor)
and the numbers. Moving tensors changes names and shapes but no size, so every tensor keeps its
place: the header is rewritten, most numbers are copied through, and what is permuted is permuted
as bytes, whatever dtype they are of. There and back again gives the same file.

`safetensors` itself judges whether a file is one; its writer would want all tensors at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.models.mapping.mapping_entry import Move

__all__ = ["TensorFile"]

BLOCK = 1 << 20  # bytes that are copied at a time
METADATA = "__metadata__"


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file, of which the header has been read."""

    path: Path
    header: dict[str, Any]
    start: int

    @classmethod
    def open(cls, path: Path) -> TensorFile:
        """Read the header; raise `InputError`, in one line, for what is no safetensors file."""
        with _readable(path):
            with safe_open(path, framework="np"):
                pass  # it has seen that names, shapes and places fit together and fill the file
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(length))
        return cls(path, header, 8 + length)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor."""
        return {name: tuple(v["shape"]) for name, v in self.header.items() if name != METADATA}

    def require_whole_numbers(self, moves: Mapping[str, Move]) -> None:
        """Refuse to permute numbers of less than a byte, which have no address."""
        for name in self.shapes.keys() & moves.keys():
            if not moves[name].keeps_order and self._bytes(name) % math.prod(moves[name].shape):
                allowed = "a dtype of whole bytes, as its axes are permuted"
                raise Refused(Refusal(name, "dtype", self.header[name]["dtype"], allowed))

    def write(self, moves: Mapping[str, Move], out: BinaryIO) -> None:
        """Write the file with its tensors moved; what `moves` does not name stays as it is."""
        out.write(self._header(moves))
        with _readable(self.path):
            file = self.path.open("rb")
        with file:
            # In the order of their places, which they keep.
            for name in sorted(self.shapes, key=lambda name: self.header[name]["data_offsets"]):
                file.seek(self.start + self.header[name]["data_offsets"][0])
                move, size = moves.get(name), self._bytes(name)
                if move is None or move.keeps_order or not size:
                    blocks = self._read(file, size)
                else:
                    blocks = _permuted(self._array(file, move, size), move)
                for block in blocks:
                    out.write(block)

    def _header(self, moves: Mapping[str, Move]) -> bytes:
        header = {}
        for name, value in self.header.items():
            move = moves.get(name)
            if move is None:
                header[name] = value
            else:
                header[move.target] = {**value, "shape": list(move.result)}
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # so that the numbers are aligned
        return len(text).to_bytes(8, "little") + text

    def _bytes(self, name: str) -> int:
        begin, end = self.header[name]["data_offsets"]
        return int(end - begin)

    def _read(self, file: BinaryIO, size: int) -> Iterator[bytes]:
        while size:
            with _readable(self.path):
                block = file.read(min(size, BLOCK))
                if not block:
                    raise EOFError("the file has become shorter")
            size -= len(block)
            yield block

    def _array(self, file: BinaryIO, move: Move, size: int) -> np.ndarray[Any, Any]:
        numbers = np.empty(size, np.uint8)
        at = 0
        for block in self._read(file, size):
            numbers[at : at + len(block)] = np.frombuffer(block, np.uint8)
            at += len(block)
        return numbers.view(f"u{size // math.prod(move.shape)}")


def _permuted(numbers: np.ndarray[Any, Any], move: Move) -> Iterator[bytes]:
    """Yield a tensor's numbers in the order of the other layout, some of its rows at a time."""
    rows = np.transpose(numbers.reshape(move.between), move.order)
    step = max(1, BLOCK // rows[:1].nbytes)
    for first in range(0, len(rows), step):
        yield rows[first : first + step].tobytes()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, ValueError, SafetensorError) as error:
        raise InputError(f"{path}: no readable safetensors file: {one_line(error)}") from error
