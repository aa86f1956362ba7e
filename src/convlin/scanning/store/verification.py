"""Every byte compared with its marker: what a reader of Zarr would take for scores, or for NaN.

zarr itself finds a flipped byte, by the checksums in a shard; it reads a shard of no bytes, and
one that is not there, as cells that nobody wrote.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlin.arguments import Progress
from convlin.scanning.store.markers import Markers

__all__ = ["Problem", "fits", "in_files", "in_shards", "left_over"]

# What zarr and `convlin.display.atomic` call a file that is not in its place yet.
PARTIAL = re.compile(r".*\.[0-9a-f]{32}\.partial|\.convlin-[0-9a-f]{16}(\..*)?")


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it was written. index: the task, None where that is not known."""

    index: int | None
    array: str
    file: str
    what: str

    def __str__(self) -> str:
        task = "" if self.index is None else f" (task {self.index})"
        return f"{self.file}: {self.what}{task}"


def fits(root: Path, name: str, files: Mapping[str, Any]) -> bool:
    """Return whether every shard is there, as long as it was written, and no other."""
    for file, written in files.items():
        try:
            length = (root / name / file).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            length = -1
        if length != (-1 if written is None else written["length"]):
            return False
    return True


def in_shards(
    root: Path, markers: Markers, indices: Iterable[int], progress: Progress | None
) -> Iterator[Problem]:
    """Yield what is wrong with tasks: their markers, and every byte of their shards."""
    looked_at = sorted(indices)
    for count, index in enumerate(looked_at):
        if progress is not None:
            progress("verified", count, len(looked_at))
        try:
            marker = markers.read(index)
        except (OSError, ValueError) as error:
            yield Problem(index, "", markers.file(index), f"the marker is damaged: {error}")
            continue
        if marker is None:
            yield Problem(index, "", markers.file(index), "there is no marker")
            continue
        for name, files in sorted(marker["files"].items()):
            for file, written in sorted(files.items()):
                path = root / name / file
                what = _difference(path, written)
                if what:
                    yield Problem(index, name, str(path), what)
    if progress is not None:
        progress("verified", len(looked_at), len(looked_at))


def _difference(path: Path, written: Mapping[str, Any] | None) -> str:
    """Say how a shard differs from what was written, in a few words."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, _blake2b).hexdigest()
            length = file.tell()
    except (FileNotFoundError, NotADirectoryError):
        return "" if written is None else "the shard is missing"
    except OSError as error:
        return f"the shard cannot be read: {error.strerror}"
    if written is None:
        return "there is a shard where all was empty"
    if length != written["length"]:
        cut = "cut short" if length < written["length"] else "too long"
        return f"the shard is {cut}: {length} of {written['length']} bytes"
    return "" if found == written["blake2b"] else "the shard is damaged: its checksum differs"


def _blake2b() -> Any:
    return hashlib.blake2b(digest_size=16)


def in_files(root: Path, names: Iterable[str], markers: Markers) -> Iterator[Problem]:
    """Yield the files that no marker speaks of: of writers that were killed, most likely."""
    known: set[Path] = set()
    for index in markers.indices():
        try:
            marker = markers.read(index)
        except (OSError, ValueError):
            continue  # it is named as damaged; its shards are named too
        for name, files in (marker or {"files": {}})["files"].items():
            known |= {root / name / file for file in files}
    partial = set(left_over(root))
    for path in sorted(partial):
        yield Problem(None, "", str(path), "a writer was ended while it wrote this")
    for name in names:
        for path in sorted((root / name / "c").rglob("*")):
            if path.is_file() and path not in known and path not in partial:
                yield Problem(None, name, str(path), "a shard without a marker")


def left_over(root: Path) -> Iterator[Path]:
    """Yield the files that writers had not put into their place yet when they were ended."""
    for path in sorted(root.rglob("*")):
        if PARTIAL.fullmatch(path.name) and path.is_file():
            yield path
