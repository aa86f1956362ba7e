"""Shapes and sizes as people write them: 3,224,224 and 1024x1024, a stride, and bytes."""

from __future__ import annotations

import re

from convlin.arguments import byte_count, shown
from convlin.errors import InputError, Refused

__all__ = ["parse_bytes", "parse_shape", "parse_size", "parse_stride"]

# Along one side: more than any image or sequence has, and so few that a byte more is a typing
# error, said in a message. `int` itself stops at 4,300 digits, with a traceback.
LONGEST = 10_000_000


def parse_shape(text: str, option: str, axes: tuple[int, ...], example: str) -> tuple[int, ...]:
    """Return a shape of positive numbers, with as many axes as one of `axes`.

    option: how the user writes it, as messages say it; example: of a shape that fits.

    >>> parse_shape("3,224,224", "--window", (2, 3, 4), "3,224,224")
    (3, 224, 224)
    >>> parse_shape("3x9", "--window", (2, 3, 4), "3,9,9")
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: --window is '3x9', expected whole numbers with commas, such as 3,9,9
    """
    is_text = f"{option} is {shown(text)}"
    if not re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", text):
        raise InputError(f"{is_text}, expected whole numbers with commas, such as {example}")
    parts = [part.strip().lstrip("0") or "0" for part in text.split(",")]
    if not all(len(part) <= len(str(LONGEST)) and 1 <= int(part) <= LONGEST for part in parts):
        raise InputError(f"{is_text}, expected whole numbers from 1 to {LONGEST:,}")
    if len(parts) not in axes:
        *some, last = map(str, axes)
        few = f"{', '.join(some)} or {last}" if some else last
        raise InputError(f"{is_text}, expected {few} number{'s' * (few != '1')}, such as {example}")
    return tuple(map(int, parts))


def parse_stride(text: str, ndim: int) -> tuple[int, ...]:
    """Return pixels from window to window, one number per dimension or one for all.

    >>> parse_stride("32", 2), parse_stride("32,16", 2)
    ((32, 32), (32, 16))
    """
    numbers = parse_shape(text, "--stride", (1, ndim) if ndim > 1 else (1,), "32")
    return numbers if len(numbers) == ndim else numbers * ndim


def parse_size(text: str, option: str) -> tuple[int, int]:
    """Return (height, width) of a size written WIDTHxHEIGHT, or as one number for both.

    >>> parse_size("1280x1024", "--size"), parse_size("1000", "--size")
    ((1024, 1280), (1000, 1000))
    """
    match = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", text)
    if match is None:
        wanted = "WIDTHxHEIGHT in pixels, such as 1280x1024"
        raise InputError(f"{option} is {shown(text)}, expected {wanted}")
    width = int(match[1])
    return int(match[2] or width), width


def parse_bytes(text: str | None) -> int | None:
    """Return a number of bytes; None stays.

    >>> parse_bytes("512MiB")
    536870912
    """
    try:
        return None if text is None else byte_count("", "--memory", text)
    except Refused as refused:
        allowed = refused.refusals[0].allowed
        raise InputError(f"--memory is {shown(text)}, expected {allowed}") from None
