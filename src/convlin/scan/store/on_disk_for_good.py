"""Files and folders that a power cut leaves: a name is on disk when its folder is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convlin.errors import InputError

__all__ = ["disk_errors", "keep", "keep_with_folders"]


def keep(path: Path) -> None:
    """Return when a file's numbers, or a folder's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep_with_folders(path: Path, root: Path) -> None:
    """Return when a file is on disk, and its name in every folder up to `root`."""
    keep(path)
    folder = path.parent
    while True:
        keep(folder)
        if folder == root:
            return
        folder = folder.parent


@contextmanager
def disk_errors(path: Path, what: str) -> Iterator[None]:
    """Say in one line what the system says."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: {what}: {error.strerror or error}") from error
