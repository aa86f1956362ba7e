"""Windows of images: where one is cut out, and whether images have any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlin.errors import GeometryError, Refusal
from convlin.geometry import ReceptiveField

__all__ = ["crop_of", "require_fit"]


def crop_of(field: ReceptiveField, cell: Sequence[int]) -> tuple[Any, ...]:
    """Return the index that cuts the window of `cell` out of images (N, C, *size).

    >>> crop_of(ReceptiveField((4, 3), (2, 2), (0, 0)), (1, 0))
    (Ellipsis, slice(2, 6, None), slice(0, 3, None))
    """
    return (..., *(slice(start, stop) for start, stop in field.reads(tuple(cell))))


def require_fit(window: Sequence[int], shape: Sequence[int]) -> None:
    """Raise `GeometryError` unless images of this shape are as large as the window (C, *spatial).

    >>> require_fit((3, 8, 8), (1, 3, 8, 7))
    Traceback (most recent call last):
        ...
    convlin.errors.GeometryError: images: shape is (1, 3, 8, 7), expected (N, 3, ≥8, ≥8)
    """
    fits = len(shape) == len(window) + 1 and shape[1] == window[0]
    if not fits or any(size < n for size, n in zip(shape[2:], window[1:], strict=True)):
        sizes = ", ".join((str(window[0]), *(f"≥{n}" for n in window[1:])))
        raise GeometryError(Refusal("images", "shape", tuple(shape), f"(N, {sizes})"))
