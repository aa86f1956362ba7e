"""Which tasks are done, and with which bytes: a marker each, written after all that it speaks of.

A marker holds the task's index, for every shard its length and checksum, or null where it is not
stored since all of it is the fill value, and notes of the caller's. It is damaged, or whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convlin.scanning.store import durable
from convlin.scanning.store.record import packed, unpacked

__all__ = ["Markers"]

# Names in one folder: more make listing slow on file systems of clusters.
TOGETHER = 1000
NAME = re.compile(r"(\d{7,})\.json")

Marker = dict[str, Any]


class Markers:
    """Markers as files, a thousand to a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, index: int, marker: Marker) -> None:
        """Mark a task as done."""
        durable.write(self._path(index), packed(marker))

    def read(self, index: int) -> Marker | None:
        """Return a marker, None without one; raises `ValueError` where it is damaged."""
        try:
            content = self._path(index).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _as_marker(index, unpacked(content))

    def remove(self, index: int) -> None:
        """Take a marker away, if there is one."""
        path = self._path(index)
        with durable.named(path):
            if path.exists():
                path.unlink()
                durable.sync(path.parent)

    def indices(self) -> Iterator[int]:
        """Yield the tasks that have a marker, damaged or not."""
        for path in sorted(self._root.glob("*/*.json")):
            named = NAME.fullmatch(path.name)
            if named is not None and self._path(int(named[1])) == path:
                yield int(named[1])

    def file(self, index: int) -> str:
        """Return what the marker's file is called."""
        return str(self._path(index))

    def _path(self, index: int) -> Path:
        return self._root / f"{index // TOGETHER:04d}" / f"{index:07d}.json"


def _as_marker(index: int, value: Any) -> Marker:
    """Return what a file held as the marker of a task; raises `ValueError` if it is none."""
    try:
        if value["task"] != index:
            raise ValueError(f"it is of task {value['task']}")
        for files in value["files"].values():
            for written in files.values():
                assert written is None or written["length"] >= 0 <= len(written["blake2b"])
        assert "notes" in value
    except (AssertionError, AttributeError, KeyError, TypeError) as error:
        raise ValueError("it holds something else") from error
    found: Marker = value
    return found
