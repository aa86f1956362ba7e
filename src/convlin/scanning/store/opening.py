"""A folder that is there: the scan's own, or what it is else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from convlin.errors import InputError
from convlin.scanning.store.record import unpacked
from convlin.scanning.store.stored_array import StoredArray

__all__ = ["FORMAT", "KEPT", "MANIFEST", "Found", "find", "state_of"]

# Of the layout of a store: another number is another layout.
FORMAT = 1
KEPT = "convlin"
MANIFEST = "manifest.json"

Found = tuple[Path, list[StoredArray], dict[str, Any]]


def find(path: Path) -> Found:
    """Return where a store keeps its record, its arrays and its manifest.

    Raises `InputError`, in one line, for a folder that holds none, half of one, or a damaged one.
    """
    kept = _record_of(path)
    if kept is None:
        raise InputError(f"{path}: is no scan: {state_of(path)}")
    try:
        held = unpacked((kept / MANIFEST).read_bytes())
        arrays = [StoredArray.from_dict(array) for array in held["arrays"]]
        manifest = dict(held["manifest"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: {state_of(path)}") from error
    except OSError as error:
        raise InputError(f"{kept / MANIFEST}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{kept / MANIFEST}: the manifest is damaged: {error}") from error
    return kept, arrays, manifest


def state_of(path: Path) -> str:
    """Say in a few words what is at a path where a store was looked for."""
    if path.is_symlink() and not path.exists():
        return "a link that leads nowhere"
    if not path.exists():
        return "there is no such folder"
    if not path.is_dir():
        return "a file"
    kept = _record_of(path)
    if kept is not None:
        if (kept / MANIFEST).exists():
            return "a scan"
        return "a scan whose creation was not finished: no manifest; remove it"
    return "a folder of something else" if any(path.iterdir()) else "an empty folder"


def _record_of(path: Path) -> Path | None:
    """Return the folder that a group names as a scan's record; None if it names none."""
    try:
        kept = json.loads((path / "zarr.json").read_bytes())["attributes"][KEPT]
        name, last = kept["record"].split("/")
    except (OSError, AttributeError, KeyError, TypeError, ValueError):
        return None
    if kept.get("format") != FORMAT:
        raise InputError(f"{path}: a scan of format {kept.get('format')}, expected {FORMAT}")
    return None if last != KEPT or name.startswith(".") else path / name / last
