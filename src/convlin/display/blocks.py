"""What is shown, before anybody knows where: lines, tables and small pictures.

A line is made of `Words`: texts, and texts with a tone. What a tone looks like is the terminal's
and the page's to say (`terminal_view.py`, `html_view.py`); both show the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

__all__ = ["Block", "Column", "Picture", "Table", "Toned", "Words", "spans", "text_of"]

Tone: TypeAlias = Literal[
    "plain", "strong", "faint", "good", "caution", "bad",
    "differs",  # bad, with a mark of its own among many words
    "proved", "rounded", "refuted", "measured",  # a badge
]  # fmt: skip


class Toned(NamedTuple):
    """A text, and how it is meant."""

    text: str
    tone: Tone


Words: TypeAlias = str | Toned | list[str | Toned]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    title: what stands over it. key: the value of a row that it shows, as JSON calls it; "" for the
    whole row. form: that value in words, such as `numbers.count`. Words are on the left and may be
    folded, numbers on the right and are not.
    """

    title: str
    key: str = ""
    form: Callable[[Any], Words] = str
    align: Literal["left", "right"] = "left"

    def cell(self, row: Any) -> Words:
        """Return what stands in this column of a row."""
        if not self.key:
            return self.form(row)
        return self.form(row[self.key] if isinstance(row, dict) else getattr(row, self.key))


@dataclass(frozen=True)
class Table:
    """Rows of values, and the columns in which people read them; JSON has all values of a row.

    A row is a dict, or an object whose `as_dict` is one. gap: between two columns, in letters.

    >>> from convlin.display.numbers import count
    >>> columns = Column("layer", "layer"), Column("params", "parameters", count, "right")
    >>> table = Table(columns, [{"layer": "head", "parameters": 16_100_000, "calls": 1}])
    >>> [[column.cell(row) for column in table.columns] for row in table.rows]
    [['head', '16.1 M']]
    >>> table.as_dicts()
    [{'layer': 'head', 'parameters': 16100000, 'calls': 1}]
    """

    columns: Sequence[Column]
    rows: Sequence[Any]
    gap: int = 2

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as plain values, for JSON."""
        return [row if isinstance(row, dict) else row.as_dict() for row in self.rows]


@dataclass(frozen=True)
class Picture:
    """Filled rectangles (x, y, width, height) by strength of ink, on paper that is `size` large.

    scale: pixels to the unit. Pages show it in their own ink, light or dark; terminals do not.
    """

    size: tuple[int, int]
    inks: Mapping[float, Sequence[tuple[float, float, float, float]]]
    label: str
    scale: float = 1.0


Block: TypeAlias = Words | Table | Picture


def spans(words: Words) -> list[Toned]:
    """Return words in pieces of one tone each."""
    parts = [words] if isinstance(words, str | Toned) else words
    return [part if isinstance(part, Toned) else Toned(part, "plain") for part in parts]


def text_of(words: Words) -> str:
    """Return words without their tones.

    >>> text_of([Toned("proved", "proved"), ", p < 1e-10"])
    'proved, p < 1e-10'
    """
    return "".join(part.text for part in spans(words))
