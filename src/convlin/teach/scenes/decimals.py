"""The numbers of a link: decimals of three digits at most, as whole thousandths.

Whole numbers make everything exact: a product of two is below (10⁷)² = 10¹⁴, and the largest kernel
there may be, 8 channels of 11×11 taps, sums 968 of them: below 10¹⁷, where 64 bits hold 9·10¹⁸.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from convlin.errors import Description, Refusal, Refused

__all__ = ["LARGEST", "SCALE", "plain", "read", "shortened", "written"]

SCALE = 1000  # to the unit: PATTERN reads as many decimals as it has zeros
LARGEST = 9999 * SCALE + SCALE - 1
PATTERN = re.compile(r"([+-]?)([0-9]{0,4})(?:\.([0-9]{0,3}))?")


def read(field: str, text: str) -> int:
    """Return a decimal as thousandths; `Refused`, naming the field, for anything else.

    >>> read("along", "-2.5"), read("along", "7")
    (-2500, 7000)
    """
    match = PATTERN.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        allowed = f"a number from -{written(LARGEST)} to {written(LARGEST)}, 3 decimals at most"
        raise Refused(Refusal("explore", field, shortened(text), allowed))
    sign, whole, part = match.groups()
    number = int(whole or 0) * SCALE + int((part or "").ljust(3, "0"))
    return -number if sign == "-" else number


def written(number: int) -> str:
    """Return thousandths as a decimal, as short as it is.

    >>> written(-2500), written(7000), written(5)
    ('-2.5', '7', '0.005')
    """
    whole, part = divmod(abs(number), SCALE)
    text = f"{whole}.{part:03d}".rstrip("0").rstrip(".")
    return f"-{text}" if number < 0 else text


def plain(numbers: Iterable[int], scale: int) -> list[int | float]:
    """Return numbers of so many parts to the unit: whole ones as int, others as nearest float.

    >>> plain([2000, -500], 1000)
    [2, -0.5]
    """
    return [n / scale if n % scale else n // scale for n in numbers]


def shortened(text: str) -> Description:
    """Return a text that may be anything as one that can be shown, in quotes."""
    return Description(repr(text if len(text) <= 60 else f"{text[:60]}…"))
