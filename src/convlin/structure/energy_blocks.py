"""The split of a matrix's energy as blocks: a table of three parts, and a bar of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from convlin.display.blocks import Block, Column, Picture, Table

__all__ = ["split", "split_in_words"]

INKS = {"shared": 0.9, "local but not shared": 0.45, "off the support": 0.15}
BAR = (300, 14)  # pixels: a line of text high, and a part of one percent is 3 wide


class Part(NamedTuple):
    """One part of the energy, as a fraction of all."""

    name: str
    fraction: float


def split(fractions: Sequence[float]) -> list[Block]:
    """Return the three fractions of a whole as a table and a bar."""
    table = Table((Column("part", "name"), Column("share", "fraction", _share, "right")),
                  _parts(fractions))  # fmt: skip
    width, height = BAR
    bars, start = {}, 0.0
    for name, fraction in _parts(fractions):
        bars[INKS[name]] = [(width * start, 0.0, width * fraction, height)]
        start += fraction
    return [table, Picture(BAR, bars, split_in_words(fractions))]


def split_in_words(fractions: Sequence[float]) -> str:
    """Return the same in one line.

    >>> split_in_words((0.989, 0.011, 0.0))
    '98.9% shared, 1.1% local but not shared, 0.0% off the support'
    """
    return ", ".join(f"{_share(part.fraction)} {part.name}" for part in _parts(fractions))


def _parts(fractions: Sequence[float]) -> list[Part]:
    return [Part(name, fraction) for name, fraction in zip(INKS, fractions, strict=True)]


def _share(fraction: float) -> str:
    return f"{fraction:.1%}"
