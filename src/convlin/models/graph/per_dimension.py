"""Arguments that PyTorch takes as one number for all dimensions, or as one for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["each", "one"]


def each(value: Any, ndim: int) -> tuple[int, ...]:
    """Return one number per dimension.

    >>> each(3, 2), each([3], 2), each([3, 5], 2)
    ((3, 3), (3, 3), (3, 5))
    """
    numbers = tuple(value) if isinstance(value, Iterable) else (value,)
    return numbers * ndim if len(numbers) == 1 else numbers


def one(value: Any) -> Any:
    """Return a one-element sequence as its number; anything else as it is."""
    return value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
