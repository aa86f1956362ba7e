"""Blocks as HTML for notebooks: escaped, in the page's own ink, on light and dark pages alike."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from convlin.display.badges import BADGES
from convlin.display.blocks import Block, Picture, Table, Toned, Words, spans

__all__ = ["as_html"]


def as_html(blocks: Sequence[Block]) -> str:
    """Return blocks as HTML; a line that stands alone is no paragraph.

    >>> as_html(["a < b"]), as_html([[Toned("no", "differs"), ": b"], ""])
    ('a &lt; b', '<p><b>≠ no</b>: b</p><p></p>')
    """
    if len(blocks) == 1 and not isinstance(blocks[0], Table | Picture):
        return _line(blocks[0])
    return "".join(map(_block, blocks))


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Picture):
        return _picture(block)
    return f"<p>{_line(block)}</p>"


def _line(words: Words) -> str:
    parts = spans(words)
    texts = [_toned(part) for part in parts]
    for index, part in enumerate(parts[:-1]):
        if part.tone in BADGES:  # a label of its own, which takes no colon
            texts[index + 1] = texts[index + 1].removeprefix(":")
    return "".join(texts)


def _toned(part: Toned) -> str:
    text = html.escape(part.text)
    if part.tone in BADGES:
        badge = BADGES[part.tone]
        style = f"background:{badge.paper};color:#000;border-radius:3px;padding:0 4px"
        return f'<b style="{style}">{badge.mark} {text}</b>'
    if part.tone == "differs":
        return f"<b>{BADGES['refused'].mark} {text}</b>"
    return f"<b>{text}</b>" if part.tone in ("strong", "bad") else text


def _table(table: Table) -> str:
    sides = [column.align for column in table.columns]
    titles = [column.title for column in table.columns]
    head = f"<thead><tr>{_cells('th', sides, titles)}</tr></thead>" if any(titles) else ""
    rows = "".join(
        f"<tr>{_cells('td', sides, [column.cell(row) for column in table.columns])}</tr>"
        for row in table.rows
    )
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def _cells(tag: str, sides: Iterable[str], cells: Iterable[Words]) -> str:
    return "".join(
        f'<{tag} style="text-align:{side};padding:1px 6px">{_line(cell)}</{tag}>'
        for side, cell in zip(sides, cells, strict=True)
    )


def _picture(picture: Picture) -> str:
    width, height = picture.size
    paths = []
    for ink, rectangles in picture.inks.items():
        path = "".join(f"M{x:g} {y:g}h{w:g}v{h:g}h-{w:g}z" for x, y, w, h in rectangles)
        paths.append(f'<path d="{path}" fill="currentColor" fill-opacity="{ink}"/>' * bool(path))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width * picture.scale:.0f}" '
        f'height="{height * picture.scale:.0f}" role="img" '
        f'aria-label="{html.escape(picture.label)}" '
        f'style="border:1px solid currentColor">{"".join(paths)}</svg>'
    )
