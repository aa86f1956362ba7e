"""Badges: one mark, one colour on paper and one in a terminal for each outcome.

No outcome is told by its colour alone: the mark or the word stands beside it.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BADGES", "Badge"]


class Badge(NamedTuple):
    """mark: one letter wide. paper: under black ink, 4.5:1 or more. terminal: a name of Rich's."""

    mark: str
    paper: str
    terminal: str


BADGES = {
    "proved": Badge("✓", "#009E73", "green"),
    "rounded": Badge("≅", "#F0E442", "bright_yellow"),
    "measured": Badge("≈", "#E69F00", "yellow"),
    "refuted": Badge("✗", "#D55E00", "red"),
    "refused": Badge("≠", "#CC79A7", "magenta"),
    "exchanged": Badge("⇒", "#56B4E9", "cyan"),
    "kept": Badge("·", "#BBBBBB", "default"),
}
