"""A lesson as it is drawn: blocks that know nothing of terminals or web pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from convlin.display.languages import Texts

__all__ = [
    "Beside",
    "Block",
    "Cell",
    "Code",
    "Document",
    "Exercise",
    "Figure",
    "Formula",
    "Grid",
    "Heading",
    "Judgement",
    "Lesson",
    "Note",
    "Paragraph",
    "Question",
    "Ruling",
    "Table",
    "View",
]

Ruling: TypeAlias = Literal["right", "corrected", "depends", "answered"]


@dataclass(frozen=True)
class View:
    """What the linked views show beside a paragraph, where there are views.

    link: a state of theirs, such as "?at=output:0,0,0"; tab: which one is open below the maps;
    step: how far the reader's own are moved there, such as the dial to "local".
    """

    link: str
    tab: str = "matrix"
    step: str = ""


@dataclass(frozen=True)
class Cell:
    """A number in a grid. tap: the weight whose colour it has; look: how it stands out."""

    text: str
    tap: int | None = None
    look: Literal["plain", "faint", "marked"] = "plain"


@dataclass(frozen=True)
class Grid:
    """Numbers in rows. kernel: the shape of the weights that give cells their colours.

    note: which part is shown, if a part; tight: cells of one letter, without space between.
    """

    title: str
    rows: tuple[tuple[Cell, ...], ...]
    kernel: tuple[int, ...] = ()
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
    """A few sentences, and what to look at meanwhile."""

    text: str
    view: View | None = None


@dataclass(frozen=True)
class Note:
    """A few sentences for those who ask: folded where that can be."""

    title: str
    text: str


@dataclass(frozen=True)
class Code:
    """A few lines of Python with what they print, as a doctest."""

    title: str
    doctest: str

    @property
    def lines(self) -> str:
        """The lines alone, to be copied."""
        shown = (line for line in self.doctest.splitlines() if line[:4] in (">>> ", "... "))
        return "\n".join(line[4:] for line in shown)


@dataclass(frozen=True)
class Question:
    """What the reader predicts before the next ruling: an option, `right` counting from 0."""

    prompt: str
    options: tuple[str, ...]
    right: int


@dataclass(frozen=True)
class Exercise:
    """Something to do, and a folded answer."""

    title: str
    task: str
    answer_label: str
    answer: str
    code: Code | None = None


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
    """A claim of the article, how it is ruled, what is exactly true, and the evidence.

    code: a few lines that print the evidence.
    """

    ruling: Ruling
    word: str
    claim_label: str
    claim: str
    answer: str
    evidence_label: str
    evidence: tuple[str, ...]
    code: Code | None = None


@dataclass(frozen=True)
class Figure:
    """A picture, drawn when a page asks for it: by matplotlib, or as SVG in the page's colours.

    text: what it shows, for those who cannot see.
    """

    draw: Callable[[], Drawing | str]
    text: str
    caption: str


Block: TypeAlias = (
    Beside | Exercise | Figure | Formula | Heading | Judgement | Note | Paragraph | Question | Table
)


@dataclass(frozen=True)
class Lesson:
    """One lesson."""

    number: int
    label: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """Lessons in one language, "en" or "zh". contents: what their list is called.

    words: what readers and screens say around the blocks, by name.
    """

    lang: str
    title: str
    lead: str
    contents: str
    end: str
    lessons: tuple[Lesson, ...]
    words: Texts
