"""Files and folders brought to the disk: after a power cut they are there, under their names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convlin.display import atomic
from convlin.errors import InputError

__all__ = ["named", "sync", "write"]


def sync(path: Path) -> None:
    """Bring a file's bytes, or a folder's list of names, to the disk."""
    if os.name == "nt" and path.is_dir():  # there a folder cannot be opened, nor need it be
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, content: bytes) -> None:
    """Write a file whole, and its name too; raises `InputError`, and leaves what was there."""
    with named(path):
        new = not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, content)
        sync(path.parent)
        if new:
            sync(path.parent.parent)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Say in one line which path cannot be written, and why: a full disk above all."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        raise InputError(f"{place}: cannot be written: {error.strerror or error}") from error
