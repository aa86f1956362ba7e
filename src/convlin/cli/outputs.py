"""Files that a command writes: what could not be written is refused before the work."""

from __future__ import annotations

import os
from pathlib import Path

from convlin.errors import InputError

__all__ = ["check_output"]


def check_output(out: Path, suffix: str, force: bool) -> None:
    """Raise `InputError` unless `out` ends in `suffix` and can be written, over a file if `force`.

    >>> check_output(Path("a.npy"), ".npz", force=False)
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: a.npy: the file must end in .npz
    """
    if out.suffix != suffix:
        raise InputError(f"{out}: the file must end in {suffix}")
    if out.is_dir():
        raise InputError(f"{out}: is a folder")
    if out.exists() and not force:
        raise InputError(f"{out}: exists; overwrite it with --force")
    if not out.parent.is_dir():
        raise InputError(f"{out}: no such folder: {out.parent}")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"{out}: cannot be written: no permission for {out.parent}")
