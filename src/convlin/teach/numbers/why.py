"""Lesson 6: why a convolution shares its weights, and what that is good for."""

from __future__ import annotations

from dataclasses import dataclass

from convlin.teach.numbers.head import Head, head
from convlin.teach.numbers.shifts import Shifts, shifts
from convlin.teach.numbers.shuffles import Shuffles, shuffles

__all__ = ["Why", "why"]


@dataclass(frozen=True, eq=False)
class Why:
    """What shifts with the image, what shuffled pixels do, and one pass over a whole sheet."""

    shifts: Shifts
    shuffles: Shuffles
    head: Head


def why() -> Why:
    """Compute lesson 6.

    >>> lesson = why()
    >>> print(lesson.shifts.plain.compared[1], lesson.shuffles.local.alike, lesson.head.map)
    12 of 12 0 of 18 (17, 25)
    """
    return Why(shifts(), shuffles(), head())
