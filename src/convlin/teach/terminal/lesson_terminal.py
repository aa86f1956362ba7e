"""Lessons in a terminal: at most 80 cells wide, and readable without colour.

What colour says, something else says too: weights that are not zero stand beside a faint 0, taps
have letters, and what matters in a grid stands in brackets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text

from convlin.figures.palette import ink_on, weight_colors
from convlin.teach.document import (
    Beside,
    Block,
    Cell,
    Code,
    Document,
    Exercise,
    Figure,
    Formula,
    Grid,
    Heading,
    Judgement,
    Lesson,
    Note,
    Paragraph,
    Question,
    Ruling,
    Table,
)
from convlin.teach.terminal.wrapping import wrap

__all__ = ["Screen", "parts", "question_text"]

WIDEST = 80  # cells: what a terminal has at least; prose wider than that is hard to read
INDENT, GAP = 2, 2
RULINGS: dict[Ruling, str] = {
    "right": "green", "corrected": "yellow", "depends": "magenta", "answered": "cyan",
}  # fmt: skip
ASKING = "blue"


class Screen:
    """A document for `rich.console.Console.print`."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in parts(self.document, options.max_width):
            yield (
                question_text(part, self.document, options.max_width)
                if isinstance(part, Question)
                else part
            )


def parts(document: Document, across: int) -> Iterator[Text | Question]:
    """Yield a document piece by piece, each question before its ruling."""
    width = min(across, WIDEST)
    yield Text(document.title, style="bold")
    yield _prose(document.lead, width, style="dim")
    for lesson in document.lessons:
        yield Text()
        yield _title(lesson, width)
        for block in lesson.blocks:
            if isinstance(block, Figure):
                continue
            yield Text()
            yield block if isinstance(block, Question) else _block(block, width)
    yield Text()
    yield Text(document.end, style="dim")


def question_text(question: Question, document: Document, across: int) -> Text:
    """Return a question with its options, numbered."""
    width = min(across, WIDEST) - 2
    lines = [
        Text(document.words["predict"], style=f"bold {ASKING}"),
        *map(Text, wrap(question.prompt, width)),
    ]
    for number, option in enumerate(question.options, start=1):
        lines += _hanging(f"{number}) ", option, width, ASKING)
    return _lines(Text.assemble(("? ", f"bold {ASKING}"), line) for line in lines)


def _title(lesson: Lesson, width: int) -> Text:
    text = f"━━ {lesson.label}  {lesson.title} "
    return Text(text + "━" * max(0, width - cell_len(text)), style="bold")


def _block(block: Block, width: int) -> Text:
    match block:
        case Heading(text):
            return Text(text, style="bold underline")
        case Paragraph(text, _):
            return _prose(text, width)
        case Formula(lines):
            wrapped = [part for line in lines for part in wrap(line, width - 2 * INDENT)]
            return _lines(Text(" " * (2 * INDENT) + part) for part in wrapped)
        case Beside():
            return _beside(block, width)
        case Table():
            return _table(block, width)
        case Judgement():
            return _judgement(block, width)
        case Note(title, text):
            return _lines([Text(title, style="italic"), _prose(text, width, style="dim")])
        case Exercise():
            return _exercise(block, width)
        case _:
            raise TypeError(block)


def _prose(text: str, width: int, style: str = "") -> Text:
    return Text("\n".join(wrap(text, width)), style=style, no_wrap=True)


def _judgement(block: Judgement, width: int) -> Text:
    colour = RULINGS[block.ruling]
    lines = [
        *_hanging(block.claim_label, block.claim, width - 2, "dim"),
        Text(block.word, style=f"bold {colour}"),
        *map(Text, wrap(block.answer, width - 2)),
    ]
    for evidence in block.evidence:
        lines += _hanging("- ", evidence, width - 2, "dim")
    marked = [Text.assemble(("▌ ", colour), line) for line in lines]
    return _lines([*marked, Text(), _code(block.code)] if block.code else marked)


def _exercise(block: Exercise, width: int) -> Text:
    lines = [Text(block.title, style="bold underline"), _prose(block.task, width)]
    answer = [Text(block.answer_label, style="italic"), _prose(block.answer, width, style="dim")]
    return _lines([*lines, Text(), *answer, *([Text(), _code(block.code)] if block.code else [])])


def _code(code: Code) -> Text:
    indent = " " * INDENT
    lines = [Text(f"{indent}{line}", no_wrap=True) for line in code.doctest.splitlines()]
    return _lines([Text(f"{indent}{code.title}", style="italic"), *lines])


def _hanging(label: str, text: str, width: int, style: str) -> Iterator[Text]:
    """Yield lines whose first begins with a label, and whose others are moved in a little."""
    first, *rest = wrap(label + text, width - 2)
    yield Text.assemble((label, style), first[len(label) :])
    for line in rest:
        yield Text(f"  {line}")


def _beside(block: Beside, width: int) -> Text:
    """Return grids in a row, the signs halfway down; in several rows where they are too wide."""
    signs = block.signs or ("",) * len(block.grids)
    middle = min(len(grid.rows) + 1 for grid in block.grids) // 2
    bands: list[list[list[Text]]] = [[]]
    for grid, sign in zip(block.grids, signs, strict=True):
        lines = _grid(grid, width - INDENT)
        parts = [lines] if sign == "" else [_sign(sign, middle), lines]
        taken = sum(map(_across, bands[-1])) + GAP * len(bands[-1])
        if bands[-1] and INDENT + taken + sum(map(_across, parts)) + GAP > width:
            bands.append([])
        bands[-1] += parts
    return Text("\n\n").join(_side_by_side(band) for band in bands)


def _side_by_side(band: list[list[Text]]) -> Text:
    drawn = []
    for index in range(max(map(len, band))):
        line, at = Text(" " * INDENT), INDENT
        for part in band:
            if index < len(part):
                line.append(" " * (at - line.cell_len))
                line.append_text(part[index])
            at += _across(part) + GAP
        line.rstrip()
        drawn.append(line)
    return _lines(drawn)


def _sign(sign: str, middle: int) -> list[Text]:
    return [Text()] * middle + [Text(sign)]


def _across(lines: list[Text]) -> int:
    return max(line.cell_len for line in lines)


def _grid(grid: Grid, width: int) -> list[Text]:
    """Return a grid's lines: its title, its rows, and which part it is.

    A cell has a space on either side, which brackets fill where it is marked.
    """
    colours = weight_colors(grid.kernel) if grid.kernel else []
    across = max(len(cell.text) for row in grid.rows for cell in row)
    lines = [Text(line, style="italic") for line in wrap(grid.title, width) or [""]]
    for row in grid.rows:
        line = Text()
        for cell in row:
            left, right = "[]" if cell.look == "marked" else "  "
            text = cell.text if grid.tight else (left + cell.text).rjust(across + 1)
            line.append(f"{text}{right}", style=_style(cell, colours))
        lines.append(line)
    return [*lines, Text(grid.note, style="dim")] if grid.note else lines


def _style(cell: Cell, colours: list[str]) -> Style:
    if cell.tap is not None:
        return Style(color=ink_on(colours[cell.tap]), bgcolor=colours[cell.tap])
    return Style(bold=cell.look == "marked", dim=cell.look == "faint")


def _table(block: Table, width: int) -> Text:
    rows = [block.header, *block.rows]
    widths = _widths(list(zip(*rows, strict=True)), width - INDENT)
    title = wrap(block.title, width - INDENT)
    lines = [Text(" " * INDENT + line, style="italic") for line in title]
    for index, row in enumerate(rows):
        cells = [wrap(text, across) for text, across in zip(row, widths, strict=True)]
        for at in range(max(map(len, cells))):
            line = Text(" " * INDENT, style="" if index else "bold")
            for column, (cell, across) in enumerate(zip(cells, widths, strict=True)):
                text = cell[at] if at < len(cell) else ""
                space = " " * (across - cell_len(text))
                line.append(f"  {space}{text}" if column else f"{text}{space}")
            line.rstrip()
            lines.append(line)
    return _lines(lines)


def _widths(columns: list[tuple[str, ...]], width: int) -> list[int]:
    """Return how wide columns are: as their longest text, or less where that is too wide."""
    widths = [max(map(cell_len, column)) for column in columns]
    while sum(widths) + GAP * (len(widths) - 1) > width:
        widths[widths.index(max(widths))] -= 1
    return widths


def _lines(lines: Iterable[Text]) -> Text:
    return Text("\n").join(lines)
