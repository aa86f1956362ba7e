"""Lessons as one HTML file: nothing to load, no script, light and dark, on paper too."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from convlin.figures.palette import ink_on, tap_colors
from convlin.teach.document import (
    Beside,
    Block,
    Cell,
    Document,
    Figure,
    Formula,
    Grid,
    Heading,
    Judgement,
    Lesson,
    Paragraph,
    Table,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

__all__ = ["page"]

# Columns that fit on a telephone, 320 pixels wide: with half of it what fits is a stop of the
# keyboard, with twice it what scrolls is none.
NARROW = 6
LANGUAGES = {"en": "en", "zh": "zh-Hans"}
MINUS = re.compile(r"(?<![\w.)\]])-(?=[\d.])|(?<=\de)-(?=\d)")


def page(document: Document) -> str:
    """Return a document as HTML. Draws the figures, for which matplotlib must be there."""
    style = files("convlin.teach").joinpath("page", "article.css").read_text("utf-8")
    parts = [
        "<!doctype html>",
        f'<html lang="{LANGUAGES[document.lang]}">',
        '<head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{_text(document.title)}</title>",
        f"<style>\n{style}</style></head>",
        f'<body><header><h1>{_text(document.title)}</h1><p class="lead">{_text(document.lead)}</p>',
        *_contents(document),
        "</header><main>",
        *(part for lesson in document.lessons for part in _lesson(lesson)),
        f"</main><footer>{_text(document.end)}</footer></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _contents(document: Document) -> Iterator[str]:
    if len(document.lessons) < 2:
        return
    yield f'<nav aria-label="{_text(document.contents)}"><ol>'
    for lesson in document.lessons:
        title = f"{_text(lesson.label)} {_text(lesson.title)}"
        yield f'<li><a href="#lesson-{lesson.number}">{title}</a></li>'
    yield "</ol></nav>"


def _lesson(lesson: Lesson) -> Iterator[str]:
    anchor = f"lesson-{lesson.number}"
    yield f'<section id="{anchor}" aria-labelledby="{anchor}-title">'
    label, title = _text(lesson.label), _text(lesson.title)
    yield f'<h2 id="{anchor}-title"><small>{label}</small> {title}</h2>'
    for number, block in enumerate(lesson.blocks):
        yield from _block(block, f"{anchor}-{number}-")
    yield "</section>"


def _block(block: Block, prefix: str) -> Iterator[str]:
    match block:
        case Heading(text):
            yield f"<h3>{_text(text)}</h3>"
        case Paragraph(text):
            yield f"<p>{_text(text)}</p>"
        case Formula(lines):
            yield f'<div class="formula">{"".join(f"<p>{_text(line)}</p>" for line in lines)}</div>'
        case Beside():
            yield from _beside(block)
        case Table():
            yield from _table(block)
        case Judgement():
            yield from _judgement(block)
        case Figure():
            yield f'<figure><div class="card" role="group" tabindex="0">{_svg(block, prefix)}</div>'
            yield f"<figcaption>{_text(block.caption)}</figcaption></figure>"


def _beside(block: Beside) -> Iterator[str]:
    # What scrolls on a narrow screen must be within reach of the keyboard.
    widest = max(len(grid.rows[0]) for grid in block.grids)
    label = _text(", ".join(grid.title for grid in block.grids))
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
    colours = tap_colors(grid.taps)
    note = f' <span class="note">{_text(grid.note)}</span>' if grid.note else ""
    yield f'<table class="grid{" tight" * grid.tight}"><caption>{_text(grid.title)}{note}</caption>'
    for row in grid.rows:
        yield f"<tr>{''.join(_cell(cell, colours) for cell in row)}</tr>"
    yield "</table>"


def _cell(cell: Cell, colours: list[str]) -> str:
    marks = "" if cell.look == "plain" else f' class="{cell.look}"'
    if cell.tap is not None:
        colour = colours[cell.tap]
        marks += f' style="background:{colour};color:{ink_on(colour)}"'
    return f"<td{marks}>{_text(cell.text)}</td>"


def _table(block: Table) -> Iterator[str]:
    yield '<div class="scroll"><table class="counts">'
    yield f"<caption>{_text(block.title)}</caption>"
    header = "".join(f'<th scope="col">{_text(name)}</th>' for name in block.header)
    yield f"<thead><tr>{header}</tr></thead><tbody>"
    for first, *rest in block.rows:
        numbers = "".join(f"<td>{_text(text)}</td>" for text in rest)
        yield f'<tr><th scope="row">{_text(first)}</th>{numbers}</tr>'
    yield "</tbody></table></div>"


def _judgement(block: Judgement) -> Iterator[str]:
    yield f'<div class="ruling {block.ruling}">'
    yield f'<p><span class="label">{_text(block.claim_label)}</span>{_text(block.claim)}</p>'
    yield f'<p class="word">{_text(block.word)}</p><p>{_text(block.answer)}</p>'
    evidence = "".join(f"<li>{_text(text)}</li>" for text in block.evidence)
    yield f'<ul aria-label="{_text(block.evidence_label)}">{evidence}</ul></div>'


def _svg(block: Figure, prefix: str) -> str:
    """Return a figure as an SVG element whose names no other on the page has."""
    drawing: Drawing = block.draw()
    file = io.StringIO()
    with warnings.catch_warnings():
        # Text stays text: the reader's browser has the Chinese that matplotlib's font has not.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing")
        drawing.savefig(file, format="svg")
    svg = file.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{_text(block.text)}"', 1)


def _text(text: str) -> str:
    """Return text for HTML, with real minus signs."""
    return escape(MINUS.sub("\N{MINUS SIGN}", text))
