"""Scores of a scan for as long as a process lives: what `out=None` asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convlin.scanning.store.stored_array import StoredArray

__all__ = ["InMemory"]


class InMemory:
    """NumPy arrays, and which tasks of them are done; see `Store`."""

    path = None

    def __init__(self, arrays: Sequence[StoredArray], manifest: Mapping[str, Any]) -> None:
        self.manifest = dict(manifest)
        self.arrays: dict[str, Any] = {
            array.name: np.full(array.shape, array.fill, array.dtype) for array in arrays
        }
        self._notes: dict[int, dict[str, Any]] = {}

    def done(self) -> set[int]:
        """Return the tasks that are done."""
        return set(self._notes)

    def is_done(self, index: int) -> bool:
        """Return whether one task is done."""
        return index in self._notes

    def write(
        self, index: int, place: Sequence[slice], outputs: Mapping[str, np.ndarray],
        notes: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Keep a task's outputs."""
        for name, array in self.arrays.items():
            array[(..., *place)] = outputs[name]
        self._notes[index] = dict(notes)

    def marker(self, index: int) -> dict[str, Any] | None:
        """Return what was noted of a task; None if it is not done."""
        return {"notes": self._notes[index]} if index in self._notes else None
