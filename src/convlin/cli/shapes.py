"""Shapes and sizes as people write them: 3,224,224 and 1024x1024."""

from __future__ import annotations

import re

from convlin.errors import InputError

__all__ = ["parse_shape", "parse_size"]

LONGEST = 10_000_000  # pixels along one side; `int` itself stops at 4,300 digits


def parse_shape(text: str, option: str, axes: tuple[int, ...], example: str) -> tuple[int, ...]:
    """Return a shape of positive numbers, with as many axes as one of `axes`.

    >>> parse_shape("3,224,224", "--window", (2, 3, 4), "3,224,224")
    (3, 224, 224)
    >>> parse_shape("3x224", "--window", (2, 3, 4), "3,224,224")
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: --window 3x224: not whole numbers with commas, such as 3,224,224
    """
    if not re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", text):
        raise InputError(f"{option} {text}: not whole numbers with commas, such as {example}")
    parts = [part.strip().lstrip("0") or "0" for part in text.split(",")]
    if any(len(part) > len(str(LONGEST)) or int(part) > LONGEST for part in parts):
        raise InputError(f"{option} {text}: at most {LONGEST:,} a side")
    shape = tuple(map(int, parts))
    if min(shape) < 1:
        raise InputError(f"{option} {text}: every number must be 1 or more")
    if len(shape) not in axes:
        few = " or ".join(str(n) for n in axes)
        raise InputError(
            f"{option} {text}: {len(shape)} numbers, where {few} fit, such as {example}"
        )
    return shape


def parse_size(text: str, option: str) -> tuple[int, int]:
    """Return (height, width) of a size written WIDTHxHEIGHT, or as one number for both.

    >>> parse_size("1280x1024", "--size"), parse_size("1000", "--size")
    ((1024, 1280), (1000, 1000))
    """
    match = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", text)
    if match is None:
        raise InputError(f"{option} {text}: not WIDTHxHEIGHT in pixels, such as 1280x1024")
    width = int(match[1])
    return int(match[2] or width), width
