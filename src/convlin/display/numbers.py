"""Numbers as people read them: exact while they are short, three digits and a prefix beyond."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["bytes_of", "count", "excess", "times"]

PREFIXES = ("", "k", "M", "G", "T", "P", "E")  # a table's columns have room for one letter


def count(number: int | None, exact: int = 10_000) -> str:
    """Return a count, exact below `exact`; a dash where nobody counted.

    >>> count(9_408), count(10_000), count(999_999), count(999_999, exact=10**6), count(None)
    ('9,408', '10.0 k', '1.00 M', '999,999', '–')
    """
    if number is None:
        return "–"
    return f"{number:,}" if number < exact else _scaled(number)


def bytes_of(number: int) -> str:
    """Return a number of bytes; kB and so on are powers of 1000.

    >>> bytes_of(36), bytes_of(46_758_048)
    ('36 B', '46.8 MB')
    """
    return f"{number} B" if number < 1000 else f"{_scaled(number)}B"


def excess(share: float | None) -> str:
    """Return how much too many: in percent, as a factor from 100 % on; nothing where it is 0.

    >>> excess(0.0888), excess(5.54), excess(0.0)
    ('+8.9%', '6.5×', '')
    """
    if not share:
        return ""
    return f"{1 + share:.1f}×" if share >= 1 else f"+{share:.1%}"


def times(numbers: Iterable[int]) -> str:
    """Return the sizes of an image, a kernel or a matrix.

    >>> times((3, 224, 224))
    '3×224×224'
    """
    return "×".join(map(str, numbers))


def _scaled(number: int) -> str:
    """Return three digits and a prefix; 999,500 and more are a million already."""
    value, power = float(number), 0
    while value >= 999.5 and power < len(PREFIXES) - 1:
        value, power = value / 1000, power + 1
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{decimals}f} {PREFIXES[power]}"
