"""What every format is asked for: its numbers in its own order of axes, box by box."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from convlin.errors import InputError
from convlin.scanning.places import Place
from convlin.scanning.plan.method_contract import Box

__all__ = ["Facts", "Reader", "Unreadable", "level_of", "required"]


class Unreadable(InputError):
    """Pixels that cannot be read: which, and why."""

    def __init__(self, name: str, box: Box, reason: str) -> None:
        super().__init__(f"{name}: pixels {_written(box)} cannot be read: {reason}")
        self.name = name
        self.box = box
        self.reason = reason

    def __reduce__(self) -> Any:
        return type(self), (self.name, self.box, self.reason)


@dataclass(frozen=True)
class Facts:
    """What a format says of an array.

    name: of the file; kind: the format, in words; axes: a letter for each axis, "" where the
    format does not say; block: numbers along each axis that it stores as one piece; memory: bytes
    that it holds all the time.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str = ""
    block: tuple[int, ...] = ()
    memory: int = 0
    place: Place | None = None
    nodata: float | None = None
    full: float | None = None
    notes: tuple[str, ...] = ()
    space: tuple[int, ...] = ()


class Reader(Protocol):
    """A format's array."""

    facts: Facts

    def read(self, box: Box) -> np.ndarray:
        """Return exactly these numbers, in the format's order of axes; whatever fails raises."""

    def identity(self) -> Mapping[str, Any]:
        """Return what changes if the source does, as plain values."""

    def reopened(self) -> Any:
        """Return what opens it in another process, with `open_source`; None if nothing does."""

    def close(self) -> None:
        """Let go of files."""


def required(library: str, what: str) -> Any:
    """Return a library of the extra `scan`, or raise `InputError` that names the extra."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        name = library.partition(".")[0]
        raise InputError(f'{what} needs {name}: pip install "convlin[scan]"') from error


def level_of(path: Any, level: int, many: int) -> int:
    """Return a level, or raise `InputError` if there is none of that number."""
    if 0 <= level < many:
        return level
    allowed = f"0 to {many - 1}" if many > 1 else "0: it has one level"
    raise InputError(f"{path}: level is {level}, expected {allowed}")


def _written(box: Box) -> str:
    return ", ".join(f"{start}:{stop}" for start, stop in box)
