"""A lesson as it is drawn: blocks that know nothing of terminals or web pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

__all__ = [
    "Beside",
    "Block",
    "Cell",
    "Document",
    "Figure",
    "Formula",
    "Grid",
    "Heading",
    "Judgement",
    "Lesson",
    "Paragraph",
    "Ruling",
    "Table",
]

Ruling: TypeAlias = Literal["right", "corrected", "answered"]


@dataclass(frozen=True)
class Cell:
    """A number in a grid. tap: which weight it is, by colour; look: how it stands out."""

    text: str
    tap: int | None = None
    look: Literal["plain", "faint", "marked"] = "plain"


@dataclass(frozen=True)
class Grid:
    """Numbers in rows. taps: how many colours there are; note: which part is shown, if a part.

    tight: cells of one letter, drawn without space between.
    """

    title: str
    rows: tuple[tuple[Cell, ...], ...]
    taps: int = 0
    note: str = ""
    tight: bool = False


@dataclass(frozen=True)
class Beside:
    """Grids side by side, and the sign before each, "" for none."""

    grids: tuple[Grid, ...]
    signs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heading:
    """The title of a part of a lesson."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    text: str


@dataclass(frozen=True)
class Formula:
    """A calculation on lines of its own."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column is words, the others are numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Judgement:
    """A claim of the article, how it is ruled, what is exactly true, and the evidence."""

    ruling: Ruling
    word: str
    claim_label: str
    claim: str
    answer: str
    evidence_label: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A picture, drawn when a page asks for it. text: what it shows, for those who cannot see."""

    draw: Callable[[], Drawing]
    text: str
    caption: str


Block: TypeAlias = Beside | Heading | Paragraph | Formula | Table | Judgement | Figure


@dataclass(frozen=True)
class Lesson:
    """One lesson."""

    number: int
    label: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """Lessons in one language, "en" or "zh". contents: what their list is called."""

    lang: str
    title: str
    lead: str
    contents: str
    end: str
    lessons: tuple[Lesson, ...]
