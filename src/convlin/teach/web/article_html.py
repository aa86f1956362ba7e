"""Lessons as HTML that says everything without a script, and more where one runs.

What only a script can do is left to it: a paragraph with a view carries its link in `data-link`, a
question its right answer in `data-right`, and every ruling is folded behind its question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

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
    Table,
)
from convlin.teach.web.drawn_svg import as_svg

__all__ = ["article", "contents", "plain_text"]

# Columns that fit on a telephone, 320 pixels wide: with half of it what fits is a stop of the
# keyboard, with twice it what scrolls is none.
NARROW = 6
MINUS = re.compile(r"(?<![\w.)\]])-(?=[\d.])|(?<=\de)-(?=\d)")


def article(document: Document) -> Iterator[str]:
    """Yield the lessons as sections. Draws the figures, for which matplotlib must be there."""
    for lesson in document.lessons:
        yield from _lesson(lesson, document)
    yield '<p id="score" role="status" hidden></p>'


def contents(document: Document) -> Iterator[str]:
    """Yield a list of links to the lessons; nothing where there is only one."""
    if len(document.lessons) < 2:
        return
    yield f'<nav id="contents" aria-label="{plain_text(document.contents)}"><ol>'
    for lesson in document.lessons:
        title = f"<b>{plain_text(lesson.label)}</b> {plain_text(lesson.title)}"
        yield f'<li><a href="#lesson-{lesson.number}">{title}</a></li>'
    yield "</ol></nav>"


def plain_text(text: str) -> str:
    """Return text for HTML, with real minus signs."""
    return escape(MINUS.sub("\N{MINUS SIGN}", text))


def _lesson(lesson: Lesson, document: Document) -> Iterator[str]:
    anchor = f"lesson-{lesson.number}"
    yield f'<section id="{anchor}" aria-labelledby="{anchor}-title">'
    label, title = plain_text(lesson.label), plain_text(lesson.title)
    yield f'<h2 id="{anchor}-title"><small>{label}</small> {title}</h2>'
    for number, block in enumerate(lesson.blocks):
        if isinstance(block, Question):
            after = enumerate(lesson.blocks[number:], start=number)
            ruling = next(n for n, later in after if isinstance(later, Judgement))
            yield from _question(block, f"{anchor}-{ruling}", document)
        else:
            yield from _block(block, f"{anchor}-{number}", document)
    yield "</section>"


def _block(block: Block, name: str, document: Document) -> Iterator[str]:
    match block:
        case Heading(text):
            yield f"<h3>{plain_text(text)}</h3>"
        case Paragraph():
            yield _paragraph(block, name)
        case Formula(lines):
            text = "".join(f"<p>{plain_text(line)}</p>" for line in lines)
            yield f'<div class="formula">{text}</div>'
        case Note(title, text):
            yield f'<details class="note"><summary>{plain_text(title)}</summary>'
            yield f"<p>{plain_text(text)}</p></details>"
        case Beside():
            yield from _beside(block)
        case Table():
            yield from _table(block)
        case Judgement():
            yield from _judgement(block, name, document)
        case Exercise():
            yield from _exercise(block)
        case Figure():
            drawn = block.draw()
            svg = drawn if isinstance(drawn, str) else as_svg(drawn, f"{name}-", block.text)
            yield f'<figure><div class="card" role="group" tabindex="0">{svg}</div>'
            yield f"<figcaption>{plain_text(block.caption)}</figcaption></figure>"


def _paragraph(block: Paragraph, name: str) -> str:
    text, view = plain_text(block.text), block.view
    if view is None:
        return f"<p>{text}</p>"
    data = {"link": view.link, "tab": view.tab, "step": view.step}
    attributes = "".join(f' data-{key}="{escape(value)}"' for key, value in data.items() if value)
    return f'<p class="step" id="{name}"{attributes}>{text}</p>'


def _beside(block: Beside) -> Iterator[str]:
    # What scrolls on a narrow screen must be within reach of the keyboard.
    widest = max(len(grid.rows[0]) for grid in block.grids)
    label = plain_text(", ".join(grid.title for grid in block.grids))
    reach = f' role="group" tabindex="0" aria-label="{label}"' if widest > NARROW else ""
    yield f'<div class="scroll"{reach}><div class="beside">'
    signs = block.signs or ("",) * len(block.grids)
    for grid, sign in zip(block.grids, signs, strict=True):
        # A sign stays with the grid that follows it, wherever the line breaks.
        yield f'<div class="term"><span class="sign">{_sign(sign)}</span>' if sign else ""
        yield from _grid(grid)
        yield "</div>" if sign else ""
    yield "</div></div>"


def _sign(sign: str) -> str:
    return {"*": "\N{ASTERISK OPERATOR}"}.get(sign, sign)


def _grid(grid: Grid) -> Iterator[str]:
    colours = weight_colors(grid.kernel) if grid.kernel else []
    note = f' <span class="part">{plain_text(grid.note)}</span>' if grid.note else ""
    caption = f"<caption>{plain_text(grid.title)}{note}</caption>"
    yield f'<table class="grid{" tight" * grid.tight}">{caption}'
    for row in grid.rows:
        yield f"<tr>{''.join(_cell(cell, colours) for cell in row)}</tr>"
    yield "</table>"


def _cell(cell: Cell, colours: list[str]) -> str:
    marks = "" if cell.look == "plain" else f' class="{cell.look}"'
    if cell.tap is not None:
        colour = colours[cell.tap]
        marks += f' style="background:{colour};color:{ink_on(colour)}"'
    return f"<td{marks}>{plain_text(cell.text)}</td>"


def _table(block: Table) -> Iterator[str]:
    yield '<div class="scroll"><table class="counts">'
    yield f"<caption>{plain_text(block.title)}</caption>"
    header = "".join(f'<th scope="col">{plain_text(name)}</th>' for name in block.header)
    yield f"<thead><tr>{header}</tr></thead><tbody>"
    for first, *rest in block.rows:
        numbers = "".join(f"<td>{plain_text(text)}</td>" for text in rest)
        yield f'<tr><th scope="row">{plain_text(first)}</th>{numbers}</tr>'
    yield "</tbody></table></div>"


def _judgement(block: Judgement, name: str, document: Document) -> Iterator[str]:
    yield f'<div class="judged" id="{name}">'
    label = f'<span class="label">{plain_text(block.claim_label)}</span>'
    yield f'<p class="claim">{label}{plain_text(block.claim)}</p>'
    yield f'<details class="ruling {block.ruling}">'
    yield f"<summary>{plain_text(document.words['reveal'])}</summary>"
    yield f'<p class="word">{plain_text(block.word)}</p><p>{plain_text(block.answer)}</p>'
    evidence = "".join(f"<li>{plain_text(text)}</li>" for text in block.evidence)
    yield f'<ul aria-label="{plain_text(block.evidence_label)}">{evidence}</ul>'
    if block.code is not None:
        yield _code(block.code)
    yield "</details></div>"


def _question(question: Question, ruling: str, document: Document) -> Iterator[str]:
    yield f'<div class="ask" data-right="{question.right}" data-ruling="{ruling}">'
    yield f'<p class="predict">{plain_text(document.words["predict"])}</p>'
    options = "".join(f"<li>{plain_text(option)}</li>" for option in question.options)
    yield f"<p>{plain_text(question.prompt)}</p><ul class='options'>{options}</ul></div>"


def _exercise(block: Exercise) -> Iterator[str]:
    yield f"<h3>{plain_text(block.title)}</h3><p>{plain_text(block.task)}</p>"
    yield f'<details class="answer"><summary>{plain_text(block.answer_label)}</summary>'
    yield f"<p>{plain_text(block.answer)}</p>{_code(block.code) if block.code else ''}</details>"


def _code(code: Code) -> str:
    # Python is shown as it is typed: its minus signs stay.
    shown = f'<pre tabindex="0"><code>{escape(code.doctest)}</code></pre>'
    return f'<div class="try"><p class="title">{plain_text(code.title)}</p>{shown}</div>'
