"""Whole shards written through zarr: never read, hashed as they go out, brought to the disk.

zarr writes a file beside its place and renames it. Before, it reads the shard that is there, even
one that it replaces whole: a shard that was cut short would fail every attempt to write it anew,
and two workers on one task would read each other's. Here it finds none.

All that has the fill value is not stored: no chunk, and no shard of such chunks alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr
from zarr.abc.store import ByteRequest
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from convlin.scanning.store.durable import named, sync
from convlin.scanning.store.record import digest
from convlin.scanning.store.stored_array import Region, StoredArray

__all__ = ["ShardWriter", "make_array"]

# Scores hardly become smaller, whatever the level; the first is by far the fastest.
LEVEL = 1


def make_array(group: Any, array: StoredArray) -> None:
    """Make an empty array in a group: chunks compressed, then a checksum of what is stored."""
    group.create_array(
        array.name, shape=array.shape, shards=array.shard, chunks=array.chunk, dtype=array.dtype,
        fill_value=array.fill, filters=None, serializer=BytesCodec(),
        compressors=[ZstdCodec(level=LEVEL), Crc32cCodec()],
    )  # fmt: skip


class ShardWriter:
    """Writes shards of a folder's arrays, and says which bytes became of them."""

    def __init__(self, root: Path) -> None:
        self._store = _NeverRead(LocalStore(root), root)
        self._root = root
        self._synced: set[Path] = set()
        self._group: Any = zarr.open_group(self._store, mode="r+")
        self._open: dict[str, Any] = {}

    def write(self, array: StoredArray, region: Region, values: Any) -> dict[str, Any]:
        """Write a region of whole shards; return for each file its length and checksum, or None.

        None says that the shard is not stored: every value is the fill value.
        """
        if array.name not in self._open:
            config = {"write_empty_chunks": False}
            self._open[array.name] = self._group[array.name].with_config(config)
        files = list(array.files(region))
        for file in files:
            self._store.written.pop(f"{array.name}/{file}", None)
        self._open[array.name][region] = values
        return {file: self._on_disk(array.name, file) for file in files}

    def _on_disk(self, name: str, file: str) -> dict[str, Any] | None:
        written = self._store.written.pop(f"{name}/{file}")
        path = self._root / name / file
        with named(path):
            if written is not None:
                sync(path)
            self._sync_folders(path.parent)
        return written

    def _sync_folders(self, folder: Path) -> None:
        """Bring names to the disk: the last folder's each time, of those above it once."""
        while not folder.exists():  # nothing was ever stored there
            folder = folder.parent
        sync(folder)
        while folder != self._root and folder not in self._synced:
            self._synced.add(folder)
            folder = folder.parent
            sync(folder)


class _NeverRead(WrapperStore[LocalStore]):
    """A store whose shards are written only; it takes down what they were written as."""

    def __init__(self, store: LocalStore, root: Path) -> None:
        super().__init__(store)
        self._root = root
        self.written: dict[str, dict[str, Any] | None] = {}

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if not key.endswith("zarr.json"):
            return None
        return await super().get(key, prototype, byte_range)

    async def set(self, key: str, value: Buffer) -> None:
        array: Any = value.as_numpy_array()
        content = memoryview(array)
        written = {"length": content.nbytes, "blake2b": digest(content)}
        with named(self._root / key):
            await super().set(key, value)
        self.written[key] = written

    async def delete(self, key: str) -> None:
        await super().delete(key)
        self.written[key] = None
