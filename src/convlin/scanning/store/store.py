"""`Store`: the scores of a scan, task by task, such that whatever ends it loses one task at most.

A task's shards are written first, each whole and brought to the disk, then its marker: without a
marker a task was never done. Every process opens the store for itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from convlin.arguments import Progress
from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.scanning.sources.reader import required
from convlin.scanning.store import durable, new_folder, verification
from convlin.scanning.store.markers import Markers
from convlin.scanning.store.opening import find
from convlin.scanning.store.record import packed, plain
from convlin.scanning.store.stored_array import StoredArray
from convlin.scanning.store.verification import Problem

__all__ = ["Store"]


class Store:
    """A scan's group of arrays, and what is known of each task.

    path: the folder. manifest: what the scan is, as its maker said. arrays: by name, as zarr reads
    them.
    """

    def __init__(self, path: Path) -> None:
        """Open the store that is there; see `open`."""
        zarr = required("zarr", "a scan's store")
        kept, arrays, self.manifest = find(path)
        self.path = path
        self._arrays = {array.name: array for array in arrays}
        self._markers = Markers(kept / "done")
        self._writer: Any = None
        try:
            group = zarr.open_group(path, mode="r")
            self.arrays: dict[str, Any] = {name: group[name] for name in self._arrays}
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise InputError(f"{path}: an array cannot be opened: {one_line(error)}") from error
        for array in arrays:
            _require_like(path, array, self.arrays[array.name])

    @classmethod
    def create(
        cls, path: Path, arrays: Sequence[StoredArray], manifest: Mapping[str, Any], *,
        shared: bool = False,
    ) -> Store:  # fmt: skip
        """Make an empty store. manifest: anything that JSON can hold.

        Whatever is at `path` is left alone and named in an `InputError`, unless it is `shared`: a
        scan of the same manifest is opened then, whoever made it.
        """
        required("zarr", "a scan's store")
        if not (shared and path.exists()) and new_folder.create(path, arrays, dict(manifest)):
            return cls(path)
        if not shared:
            raise InputError(f"{path}: exists: made by somebody else just now")
        found = cls(path)
        found.require_same(manifest)
        return found

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open a store that is there; `InputError` names one that is damaged or unfinished."""
        return cls(path)

    def require_same(self, manifest: Mapping[str, Any]) -> None:
        """Raise `InputError`, naming the first field, if this is the store of another scan."""
        different = _first_difference(plain(dict(manifest)), self.manifest, ())
        if different:
            field, asked, there = different
            raise InputError(f"{self.path}: {field} is {there} there, and {asked} was asked for")

    def marked(self) -> list[int]:
        """Return the tasks that have a marker, whatever is the matter with it."""
        return list(self._markers.indices())

    def done(self) -> set[int]:
        """Return the tasks that have a marker, and the shards it speaks of, as long as it says."""
        return {index for index in self._markers.indices() if self.is_done(index)}

    def is_done(self, index: int) -> bool:
        """Return whether one task is; its bytes are not compared, see `verify`."""
        marker = self.marker(index)
        return (
            marker is not None
            and set(marker["files"]) == set(self._arrays)
            and all(verification.fits(self.path, *shards) for shards in marker["files"].items())
        )

    def marker(self, index: int) -> dict[str, Any] | None:
        """Return what is known of a task: `files` and `notes`; None if that is nothing."""
        try:
            return self._markers.read(index)
        except ValueError:  # damaged: the task is to be done again
            return None

    def write(
        self, index: int, place: Sequence[slice], outputs: Mapping[str, Any],
        notes: Mapping[str, Any],
    ) -> bool:  # fmt: skip
        """Store a task's outputs and mark it as done; return False if it is done already.

        place: its cells, in the arrays' own; whole shards, or it is refused. outputs: for every
        array (channels, *cells). notes: kept in the marker; anything that JSON can hold. What is
        done stays as it is until `discard`: a worker that comes late writes over nobody's shards.
        """
        if set(outputs) != set(self._arrays):
            raise Refused(Refusal("store", "outputs", sorted(outputs), f"{sorted(self._arrays)}"))
        regions = {name: array.region(place) for name, array in self._arrays.items()}
        for name, array in self._arrays.items():
            array.require_like(regions[name], outputs[name].shape, str(outputs[name].dtype))
        if self.is_done(index):
            return False
        with durable.named(self.path):
            files = {
                name: self._shards().write(array, regions[name], outputs[name])
                for name, array in self._arrays.items()
            }
        self._markers.write(index, {"task": index, "files": files, "notes": dict(notes)})
        return True

    def discard(self, index: int) -> None:
        """Take a task's marker away: it is to be done again."""
        self._markers.remove(index)

    def clean(self, older: float = 0.0) -> int:
        """Remove what writers that were killed left half written; return how many files.

        older: seconds since they were written to, where other writers may be at work.
        """
        removed = 0
        for file in verification.left_over(self.path):
            if not older or time.time() - file.stat().st_mtime > older:
                file.unlink(missing_ok=True)
                removed += 1
        return removed

    def verify(
        self, indices: Iterable[int] | None = None, progress: Progress | None = None
    ) -> list[Problem]:
        """Compare every byte with the markers; return all that is not as it was written.

        indices: tasks that should be done; None: those that have a marker, and the files that
        none speaks of.
        """
        asked = self.marked() if indices is None else indices
        found = list(verification.in_shards(self.path, self._markers, asked, progress))
        if indices is None:
            found += verification.in_files(self.path, self._arrays, self._markers)
        return found

    def _shards(self) -> Any:
        """Return what writes shards; whoever only reads has no need of it."""
        from convlin.scanning.store.shard_writer import ShardWriter

        if self._writer is None:
            self._writer = ShardWriter(self.path)
        return self._writer


def _require_like(path: Path, array: StoredArray, found: Any) -> None:
    """Raise `InputError` if an array's description is not the one that was written."""
    there = {
        "shape": found.shape, "shard": found.shards, "chunk": found.chunks,
        "dtype": str(found.dtype), "fill": repr(float(found.fill_value)),
    }  # fmt: skip
    for field, value in there.items():
        expected = array.as_dict()[field]
        if value != expected:
            raise InputError(
                f"{path}: {array.name}/zarr.json is damaged: {field} is {value}, not {expected}"
            )


def _first_difference(asked: Any, there: Any, at: tuple[str, ...]) -> tuple[str, Any, Any] | None:
    """Return the first field that differs between two values of JSON, with both values."""
    if isinstance(asked, dict) and isinstance(there, dict):
        for key in [*asked, *(key for key in there if key not in asked)]:
            pair = (asked.get(key, "nothing"), there.get(key, "nothing"))
            different = _first_difference(*pair, (*at, key))
            if different:
                return different
        return None
    if packed(asked) == packed(there):
        return None
    return ".".join(at), asked, there
