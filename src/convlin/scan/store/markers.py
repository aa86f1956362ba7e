"""What says that a task is done: names, lengths and checksums of its shards, and notes.

A marker is written after its shards are on disk, under a name of its own, and renamed. It carries a
checksum of itself, so that what a power cut left of one is no marker.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convlin.display.atomic import write
from convlin.scan.store.on_disk_for_good import keep

__all__ = ["Markers", "checksum_of"]

EACH = 1000  # markers in a folder: more, and some file systems take long to list it


class Markers:
    """The markers of a store, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, index: int) -> Path:
        """Return where a task's marker lies."""
        return self.folder / f"{index // EACH:04}" / f"{index}.json"

    def write(self, index: int, marker: dict[str, Any]) -> None:
        """Mark a task as done."""
        path = self.path(index)
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            keep(self.folder)
            keep(self.folder.parent)
        write(path, json.dumps(marker | {"checksum": _checksum(marker)}, indent=1).encode())
        keep(path.parent)

    def read(self, index: int) -> dict[str, Any] | None:
        """Return a task's marker; None if it has none, or what is there is not whole."""
        try:
            found = json.loads(self.path(index).read_bytes())
            checksum = found.pop("checksum")
        except (OSError, ValueError, KeyError, AttributeError, RecursionError):
            return None
        return dict(found) if checksum == _checksum(found) else None

    def discard(self, index: int) -> None:
        """Remove a task's marker: it is not done any more."""
        path = self.path(index)
        if path.exists():
            path.unlink()
            keep(path.parent)

    def indices(self) -> Iterator[int]:
        """Yield the tasks that have a file where their marker lies."""
        for path in self.folder.glob("*/*.json"):
            if path.stem.isdecimal() and path == self.path(int(path.stem)):
                yield int(path.stem)


def checksum_of(path: Path) -> str:
    """Return a checksum of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def _checksum(marker: dict[str, Any]) -> str:
    text = json.dumps(marker, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def remains(folder: Path) -> Iterator[Path]:
    """Yield the temporary files of writers that were killed."""
    for root, _, files in os.walk(folder):
        for name in files:
            if name.endswith(".partial") or name.startswith(".convlin-"):
                yield Path(root) / name
