"""How a file, or a folder of chunks, is known again: by size, time and what it begins with."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

__all__ = ["file_identity", "folder_identity"]

HEADER = 2**16  # bytes that a file begins with: where formats say what they hold
METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


def file_identity(path: Path) -> dict[str, Any]:
    """Return size, time and a checksum of the first bytes."""
    status = path.stat()
    with path.open("rb") as file:
        header = hashlib.blake2b(file.read(HEADER), digest_size=16).hexdigest()
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "header": header}


def folder_identity(path: Path) -> dict[str, Any]:
    """Return number, bytes and newest time of all files, and a checksum of what describes them."""
    header = hashlib.blake2b(digest_size=16)
    files = size = newest = 0
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.is_dir():
                    waiting.append(Path(entry.path))
                    continue
                status = entry.stat()
                files, size = files + 1, size + status.st_size
                newest = max(newest, status.st_mtime_ns)
                if entry.name in METADATA:
                    header.update(Path(entry.path).read_bytes())
    return {"files": files, "bytes": size, "mtime_ns": newest, "header": header.hexdigest()}
