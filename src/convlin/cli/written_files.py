"""Files that a command writes: what could not be written is refused before the work."""

from __future__ import annotations

import os
from pathlib import Path

from convlin.display.atomic import destination
from convlin.errors import InputError

__all__ = ["check_output"]


def check_output(out: Path, suffix: str, force: bool) -> None:
    """Raise `InputError` unless `out` ends in `suffix` and can be written, over a file if `force`.

    A symbolic link stands for the file that it leads to.

    >>> check_output(Path("a.npy"), ".npz", force=False)
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: a.npy: the file must end in .npz
    """
    if out.suffix != suffix:
        raise InputError(f"{out}: the file must end in {suffix}")
    target = destination(out)
    if target.exists() and not force:
        raise InputError(f"{out}: exists; overwrite it with --force")
    folder = target.parent if out.is_symlink() else out.parent  # as the user wrote it
    if not folder.is_dir():
        raise InputError(f"{out}: no such folder: {folder}")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{out}: cannot be written: no permission for {folder}")
