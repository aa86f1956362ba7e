"""Files that are read: what is none is said so, and never opened; a pipe would never end."""

from __future__ import annotations

from pathlib import Path

from convlin.errors import InputError, one_line

__all__ = ["existing"]


def existing(path: Path) -> Path:
    """Return a path if it is that of a file; raise `InputError` that says what it is instead.

    >>> existing(Path("/dev/null"))
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: /dev/null: a folder, pipe or device, not a file
    """
    try:
        there, file = path.exists(), path.is_file()
    except (OSError, ValueError) as error:  # a name that no file can have
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    if not there:
        raise InputError(f"{path}: no such file")
    if not file:
        raise InputError(f"{path}: a folder, pipe or device, not a file")
    return path
