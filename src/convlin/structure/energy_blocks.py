"""The split of a matrix's energy as blocks: a table of three parts, and a bar of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from convlin.display.blocks import Block, Column, Picture, Table

__all__ = ["split", "split_in_words"]

INKS = {"shared": 0.9, "local but not shared": 0.45, "off the support": 0.15}
BAR = (300, 14)  # pixels: a line of text high, and a part of one percent is 3 wide


def split(fractions: Sequence[float]) -> list[Block]:
    """Return the three fractions of a whole as a table and a bar."""
    columns = Column("part", "part"), Column("share", "fraction", _share, "right")
    parts = [{"part": part, "fraction": f} for part, f in zip(INKS, fractions, strict=True)]
    (width, height), ends = BAR, accumulate(fractions)
    bars = {
        ink: [(width * (end - fraction), 0.0, width * fraction, height)]
        for ink, end, fraction in zip(INKS.values(), ends, fractions, strict=True)
    }
    return [Table(columns, parts), Picture(BAR, bars, split_in_words(fractions))]


def split_in_words(fractions: Sequence[float]) -> str:
    """Return the same in one line.

    >>> split_in_words((0.989, 0.011, 0.0))
    '98.9% shared, 1.1% local but not shared, 0.0% off the support'
    """
    named = zip(INKS, fractions, strict=True)
    return ", ".join(f"{_share(fraction)} {part}" for part, fraction in named)


def _share(fraction: float) -> str:
    return f"{fraction:.1%}"
