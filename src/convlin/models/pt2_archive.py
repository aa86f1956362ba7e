"""Open a `.pt2` archive, if its user trusts it.

An exported program is a program. `torch.export.load` unpickles, evaluates sizes and guards as
Python, resolves operators by name, whose arguments then are the file's, and loads compiled
libraries. No list of allowed parts makes that safe: operators of ATen itself write out of bounds
when a file says where. So without trust not a byte of the file is parsed.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn

from convlin.errors import InputError, one_line

__all__ = ["load_archive"]


def load_archive(path: Path, *, trust: bool = False) -> nn.Module:
    """Return the module of an exported program; it may run whatever its file says.

    Raises `InputError` without `trust`, and for what is no readable archive.
    """
    if not trust:
        raise InputError(
            f"{path}: an exported program is a program: loading it runs what the file says; "
            "open it only if you trust it (--trust)"
        )
    log = logging.getLogger("torch.export")
    log.disabled, before = True, log.disabled  # it prints the traceback of an error that it raises
    try:
        return torch.export.load(path).module()
    except Exception as error:  # of damaged files: whatever their readers stumble over
        raise InputError(f"{path}: not a readable .pt2 archive: {one_line(error)}") from error
    finally:
        log.disabled = before
