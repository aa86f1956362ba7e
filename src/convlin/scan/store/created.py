"""A store is made once, at once: built beside its place, and put into it when it is whole.

What it holds is a Zarr group: arrays in shards, and the manifest as an attribute of the group, with
a checksum. Chunks carry a checksum of their own: Zarr alone would read a flipped bit as a number.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlin.errors import InputError
from convlin.scan.sources.reader import required
from convlin.scan.store.on_disk_for_good import disk_errors, keep, keep_with_folders

__all__ = ["StoredArray", "create_group", "manifest_in"]

LEVEL = 3  # of zstd, its default: as small as higher ones, for scores, in half the time


@dataclass(frozen=True)
class StoredArray:
    """An array (*shape of a score, *cells): `shard` is what a task writes, `chunk` divides it."""

    name: str
    shape: tuple[int, ...]
    shard: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: str
    fill: float


def create_group(path: Path, arrays: Sequence[StoredArray], manifest: Mapping[str, Any]) -> None:
    """Make the store at `path`; raise `InputError` if there is anything."""
    zarr = required("zarr", "a scan's store")
    if path.exists() or path.is_symlink():
        raise InputError(f"{path}: exists; go on with it (--resume), or name another folder")
    partial = path.with_name(f".{path.name[:100]}.creating-{secrets.token_hex(8)}")
    with disk_errors(path, "cannot be made"):
        try:
            group = zarr.create_group(str(partial))
            for array in arrays:
                _create(group, array)
            text = json.dumps(manifest, sort_keys=True)
            its = {"manifest": json.loads(text), "checksum": _checksum(text)}
            group.update_attributes({"convlin": its})
            for file in sorted(partial.rglob("zarr.json")):
                keep_with_folders(file, partial)
            partial.rename(path)
            keep(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def manifest_in(path: Path) -> dict[str, Any]:
    """Return the manifest of a store; raise `InputError` where there is none that is whole."""
    file = path / "zarr.json"
    if not path.exists():
        raise InputError(f"{path}: no such folder")
    try:
        attributes = json.loads(file.read_bytes())["attributes"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: is no scan's folder") from error
    found = attributes.get("convlin") if isinstance(attributes, dict) else None
    if not isinstance(found, dict) or "manifest" not in found:
        why = "another program's, or its creation was interrupted: remove it"
        raise InputError(f"{path}: has no manifest: {why}")
    manifest: dict[str, Any] = found["manifest"]
    if found.get("checksum") != _checksum(json.dumps(manifest, sort_keys=True)):
        raise InputError(f"{path}: its manifest is damaged")
    return manifest


def _create(group: Any, array: StoredArray) -> None:
    from zarr.codecs import Crc32cCodec, ZstdCodec

    group.create_array(
        array.name, shape=array.shape, shards=array.shard, chunks=array.chunk, dtype=array.dtype,
        fill_value=array.fill, compressors=[ZstdCodec(level=LEVEL), Crc32cCodec()],
        config={"write_empty_chunks": False},
    )  # fmt: skip


def _checksum(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()
