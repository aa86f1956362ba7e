"""`Store`: scores in a Zarr group, and which tasks of them are done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlin.arguments import Progress, shown
from convlin.errors import InputError, one_line
from convlin.scan.sources.reader import required
from convlin.scan.store.created import StoredArray, create_group, manifest_in
from convlin.scan.store.markers import Markers, checksum_of, remains
from convlin.scan.store.on_disk_for_good import disk_errors, keep_with_folders

__all__ = ["Problem", "Store"]

MARKERS = ".tasks"  # within the first array's folder, where Zarr's readers look for no nodes


@dataclass(frozen=True)
class Problem:
    """What is wrong with a task of a store; file: relative to it."""

    index: int
    file: str
    what: str

    def __str__(self) -> str:
        return f"task {self.index}: {self.file}: {self.what}"


class Store:
    """A folder of scores; `manifest` says of which scan, `arrays` are Zarr's, by name.

    Several processes may have it open: two never write the same shard.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        zarr = required("zarr", "a scan's store")
        self.path: Path = path
        self.manifest = manifest
        try:
            group = zarr.open_group(str(path), mode="r+")
            names = list(manifest["outputs"])
            self.arrays: dict[str, Any] = {
                name: group[name].with_config({"write_empty_chunks": False}) for name in names
            }
        except Exception as error:  # of damaged metadata: whatever zarr stumbles over
            raise InputError(f"{path}: cannot be opened: {one_line(error)}") from error
        self._markers = Markers(path / names[0] / MARKERS)

    @classmethod
    def create(
        cls, path: Path, arrays: Sequence[StoredArray], manifest: Mapping[str, Any], *,
        shared: bool = False,
    ) -> Store:  # fmt: skip
        """Make a store, or raise `InputError` if there is anything at `path`.

        shared: another process may have made it meanwhile, of the same manifest.
        """
        if not (shared and path.exists()):
            try:
                create_group(path, arrays, manifest)
            except InputError:
                if not (shared and path.exists()):
                    raise
        store = cls.open(path)
        store.require_same(manifest)
        return store

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open a store that was made; raise `InputError` if there is none, or not a whole one."""
        return cls(path, manifest_in(path))

    def require_same(self, manifest: Mapping[str, Any]) -> None:
        """Raise `InputError`, naming the first field, unless the store is of this scan."""
        for field, ours, theirs in _differences(_plain(manifest), self.manifest, ""):
            raise InputError(
                f"{self.path}: was begun with {field} {shown(theirs)}, not {shown(ours)}"
            )

    def marked(self) -> list[int]:
        """Return the tasks that have a marker, whole or not, in order."""
        return sorted(self._markers.indices())

    def done(self) -> set[int]:
        """Return the tasks that are done: marked, and their shards as long as they were."""
        found = set()
        for index in self._markers.indices():
            marker = self._markers.read(index)
            if marker is None:
                continue
            shards = marker["shards"].values()
            if all(_length(self.path / its["file"]) == its["bytes"] for its in shards):
                found.add(index)
        return found

    def write(
        self, index: int, place: Sequence[slice], outputs: Mapping[str, np.ndarray],
        notes: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Store a task's outputs, whole shards at `place` (cells), then mark it as done."""
        shards = {}
        for name, array in self.arrays.items():
            made = outputs[name]
            lead = len(array.shape) - len(place)
            whole = (*(slice(0, n) for n in array.shape[:lead]), *place)
            file = self._shard(name, whole)
            with disk_errors(self.path, "cannot be written"):
                array[whole] = made
                if not file.exists():  # every score of it is NaN
                    shards[name] = {"file": str(file.relative_to(self.path)), "bytes": None}
                    continue
                keep_with_folders(file, self.path)
                shards[name] = {
                    "file": str(file.relative_to(self.path)),
                    "bytes": file.stat().st_size,
                    "blake2b": checksum_of(file),
                }
        with disk_errors(self.path, "cannot be written"):
            self._markers.write(index, {"shards": shards, "notes": _plain(notes)})

    def marker(self, index: int) -> dict[str, Any] | None:
        """Return what was noted of a task; None if it is not done."""
        return self._markers.read(index)

    def verify(
        self, indices: Iterable[int] | None = None, progress: Progress | None = None
    ) -> list[Problem]:
        """Return what is not as the markers say it; nothing is written.

        indices: of tasks; None: all that are marked.
        """
        found = []
        every = self.marked() if indices is None else sorted(indices)
        for number, index in enumerate(every, 1):
            marker = self._markers.read(index)
            if marker is None:
                name = str(self._markers.path(index).relative_to(self.path))
                found.append(Problem(index, name, "is no whole marker"))
            else:
                found += self._compared(index, marker)
            if progress is not None:
                progress("verified", number, len(every))
        return found

    def discard(self, index: int) -> None:
        """Take a task for not done."""
        self._markers.discard(index)

    def clean(self) -> None:
        """Remove the temporary files of writers that were killed."""
        for path in list(remains(self.path)):
            path.unlink(missing_ok=True)

    def _compared(self, index: int, marker: Mapping[str, Any]) -> list[Problem]:
        found = []
        for its in marker["shards"].values():
            file = self.path / its["file"]
            length, wanted = _length(file), its["bytes"]
            if length is None and wanted is not None:
                found.append(Problem(index, its["file"], "is missing"))
            elif wanted is None and length is not None:
                found.append(Problem(index, its["file"], "is there, where all scores are NaN"))
            elif length != wanted:
                what = f"has {length:,} bytes, expected {wanted:,}"
                found.append(Problem(index, its["file"], what))
            elif wanted is not None and checksum_of(file) != its["blake2b"]:
                found.append(Problem(index, its["file"], "has other bytes than were written"))
        return found

    def _shard(self, name: str, whole: Sequence[slice]) -> Path:
        """Return the file of a shard; raise unless that is what `whole` is."""
        array = self.arrays[name]
        coordinates = []
        for side, n, size in zip(whole, array.shards, array.shape, strict=True):
            if side.start % n or side.stop != min(side.start + n, size):
                raise ValueError(f"{name}: {whole} is no shard of {array.shards}")
            coordinates.append(side.start // n)
        key = array.metadata.encode_chunk_key(tuple(coordinates))
        return self.path / name / str(key)


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON makes of values, so that they compare equal to what it gives back."""
    made: dict[str, Any] = json.loads(json.dumps(values))
    return made


def _differences(ours: Any, theirs: Any, field: str) -> Iterable[tuple[str, Any, Any]]:
    """Yield the fields, dotted, in which two manifests differ, with both values."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in dict.fromkeys((*ours, *theirs)):
            inner = f"{field}.{name}" if field else name
            yield from _differences(ours.get(name), theirs.get(name), inner)
    elif ours != theirs:
        yield field, ours, theirs
