"""Files that are whole or not there: written beside their place, then put into it at once.

The new file grows under a name of its own, which no other run and no attacker can guess and which
is created, never opened; `os.replace` then puts it where it belongs in one step. Whatever ends the
writing before that step leaves the old file as it was, and takes the new one away.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from convlin.errors import InputError

__all__ = ["destination", "replacing", "write"]


def write(path: Path, content: bytes, *, force: bool = True) -> None:
    """Write a file whole, or raise `InputError` and leave what was there; see `replacing`."""
    with replacing(path, force=force) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, *, force: bool = True) -> Iterator[BinaryIO]:
    """Yield a new binary file, open for reading too, that becomes `path` when the block ends.

    A symbolic link stays one: the file it leads to is replaced, or made. A file that is replaced
    hands on its permissions; a new one has those that the umask leaves. Without `force`, a file
    that has come to be at `path` meanwhile is kept. Raises `InputError`, in one line, for every
    reason that the file cannot be written.
    """
    with _refusals(path):
        target = destination(path)
        # A short name of its own: beside a name of 255 bytes a longer one would not fit. Readers
        # that go by the suffix see the right one.
        partial = target.with_name(f".convlin-{secrets.token_hex(8)}{path.suffix[:16]}")
        file = partial.open("x+b")  # "x": nothing that is there is opened, links neither
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                if not force:
                    raise InputError(f"{path}: exists; overwrite it with --force")
                shutil.copymode(target, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


def destination(path: Path) -> Path:
    """Return the file that writing to `path` would make or replace: where its links lead.

    Raises `InputError` for a folder, a device, a pipe, and a name that no file can have.

    >>> destination(Path("/"))
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: /: is a folder
    """
    if "\0" in str(path):
        raise InputError(f"{path}: cannot be written: its name holds a null byte")
    with _refusals(path):
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise InputError(f"{path}: cannot be written: its links lead in a circle")
        if target.is_dir():
            raise InputError(f"{path}: is a folder")
        if target.exists() and not target.is_file():
            raise InputError(f"{path}: cannot be written: is no regular file")
        return target


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Say in one line what the system says."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
