"""Lines of at most so many terminal cells, also of Chinese, which has no spaces to break at."""

from __future__ import annotations

import re

from rich.cells import cell_len

__all__ = ["wrap"]

WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
# Marks that close stay with what is before them, marks that open with what follows.
CLOSING = "，。；：、！？）》」』”’,.;:!?)%"
OPENING = "（《「『“‘("
PIECES = re.compile(rf"[ \n]+|[{OPENING}]*(?:[{WIDE}“”‘’]|[^ \n{WIDE}“”‘’]+)[{CLOSING}]*")


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most `width` cells, broken at spaces and between ideographs.

    >>> wrap("Nine weights, shared.", 14)
    ['Nine weights,', 'shared.']
    >>> wrap("九个权重，全部共享。", 10)
    ['九个权重，', '全部共享。']
    >>> wrap("九个权重，全部共享。", 8)
    ['九个权', '重，全部', '共享。']
    """
    lines, line = [], ""
    for piece in PIECES.findall(text):
        if piece.isspace():
            line += " " if line else ""
            continue
        if line and cell_len(line) + cell_len(piece) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()] if line.strip() else lines
