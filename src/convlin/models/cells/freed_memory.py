"""Memory that the C library's allocator holds on to after it was freed.

glibc has `malloc_trim` for that; elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

__all__ = ["give_back"]


def give_back() -> None:
    """Return freed memory to the system, which else stays with the process in pieces.

    >>> give_back()
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
