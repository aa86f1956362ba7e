"""A new folder for a scan: made beside its place under a name of its own, then put there at once.

Nobody ever sees half a store under the name that was asked for, and of two who make the same one
only one is first.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convlin.errors import InputError, Refusal, Refused
from convlin.scanning.store import durable
from convlin.scanning.store.opening import FORMAT, KEPT, MANIFEST, state_of
from convlin.scanning.store.record import packed
from convlin.scanning.store.stored_array import StoredArray

__all__ = ["create"]


def create(path: Path, arrays: Sequence[StoredArray], manifest: dict[str, Any]) -> bool:
    """Make the folder; return False if somebody else made it meanwhile.

    Raises `InputError` where there is anything at `path` before, and where it cannot be written.
    """
    _check_names(arrays)
    if path.exists() or path.is_symlink():
        raise InputError(f"{path}: exists: {state_of(path)}; it is never written over")
    if not path.parent.is_dir():
        raise InputError(f"{path}: no such folder: {path.parent}")
    unfinished = path.with_name(f".unfinished-{secrets.token_hex(8)}")
    try:
        with durable.named(path):
            unfinished.mkdir()
            _make(unfinished, arrays, manifest)
            return _put(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _check_names(arrays: Sequence[StoredArray]) -> None:
    """Refuse no arrays, and two of one name."""
    names = [array.name for array in arrays]
    if not names or len({name.casefold() for name in names}) < len(names):
        allowed = "at least one array, each with a name of its own"
        raise Refused(Refusal("store", "arrays", names, allowed))


def _make(root: Path, arrays: Sequence[StoredArray], manifest: dict[str, Any]) -> None:
    """Write all of a store into an empty folder, the manifest last."""
    import zarr

    from convlin.scanning.store.shard_writer import make_array

    kept = {"format": FORMAT, "record": f"{arrays[0].name}/{KEPT}"}
    group = zarr.create_group(root, zarr_format=3, attributes={"convlin": kept})
    for array in arrays:
        make_array(group, array)
    for file in sorted(root.rglob("*"), reverse=True):
        durable.sync(file)
    record = {"arrays": [array.as_dict() for array in arrays], "manifest": manifest}
    durable.write(root / arrays[0].name / KEPT / MANIFEST, packed(record))
    durable.sync(root)


def _put(unfinished: Path, path: Path) -> bool:
    """Put the folder into its place; return False if there is one by now."""
    try:
        os.rename(unfinished, path)  # noqa: PTH104 - fails where a folder is not empty
    except OSError:
        if path.exists():
            return False
        raise
    durable.sync(path.parent)
    return True
