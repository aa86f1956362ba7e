"""Blocks in a terminal, through Rich; and the same as plain text. Rich loads when it is needed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convlin.display.badges import BADGES
from convlin.display.blocks import Block, Picture, Table, Words, spans, text_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as RichTable
    from rich.text import Text

__all__ = ["as_text", "renderable"]

STYLES = {
    "plain": "",
    "strong": "bold",
    "faint": "dim",
    "good": "green",
    "caution": "yellow",
    "bad": "red",
    "differs": "red",
    **{kind: f"bold {badge.terminal}" for kind, badge in BADGES.items()},
}
FOLDED = 9  # letters to which words in a column may be folded, if they are as long: no syllables


def renderable(blocks: Sequence[Block], width: int | None = None) -> RenderableType:
    """Return blocks as Rich prints them in so many columns; pictures are for pages only."""
    from rich.console import Group

    shown = [block for block in blocks if not isinstance(block, Picture)]
    parts = [_table(block, width) if isinstance(block, Table) else _text(block) for block in shown]
    return parts[0] if len(parts) == 1 else Group(*parts)


def as_text(shown: Any, width: int = 120) -> str:
    """Return what a terminal of so many columns shows, without colour and trailing blanks.

    >>> as_text("[bold]1×1[/bold]   ")
    '1×1'
    """
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _text(words: Words) -> Text:
    from rich.text import Text

    return Text.assemble(*((part.text, STYLES[part.tone]) for part in spans(words)))


def _table(table: Table, width: int | None) -> RichTable:
    from rich.table import Table as RichTable

    drawn = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, table.gap, 0, 0),
                      show_header=any(column.title for column in table.columns))  # fmt: skip
    longest = [
        max((len(text_of(column.cell(row))) for row in table.rows), default=0)
        for column in table.columns
    ]
    whole = map(max, longest, (len(column.title) for column in table.columns))
    narrow = width is not None and sum(whole) + table.gap * (len(longest) - 1) > width
    for column, cells in zip(table.columns, longest, strict=True):
        if column.align == "right":
            drawn.add_column(column.title, justify="right", no_wrap=True)
            continue
        # Where there is no room, titles are folded before names are.
        title = [column.title] if not narrow else column.title.split()
        most = max(cells, *map(len, title), 1)
        least = min(FOLDED, most)
        drawn.add_column(column.title, overflow="fold", min_width=least, max_width=most)
    for row in table.rows:
        drawn.add_row(*(_text(column.cell(row)) for column in table.columns))
    return drawn
