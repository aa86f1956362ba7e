"""The demo's sheet with what the map of scores says of it, as SVG."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO

import numpy as np
from PIL import Image

from convlin.teach.numbers.head import Head

__all__ = ["scored_sheet"]

SIZE = 5  # pixels of the sheet that a letter is high: cells are four apart


def scored_sheet(head: Head, label: str) -> str:
    """Return the sheet, and on it the digit of every cell that holds one."""
    file = BytesIO()
    Image.fromarray(head.sheet).save(file, "PNG", optimize=True)
    picture = base64.b64encode(file.getvalue()).decode()
    height, width = head.sheet.shape
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'class="sheet" aria-label="{escape(label)}">',
        f'<image href="data:image/png;base64,{picture}" width="{width}" height="{height}"/>',
    ]
    nothing = head.classes - 1
    for row, column in np.argwhere(head.best != nothing).tolist():
        y = row * head.stride[0] + head.window[0] / 2
        x = column * head.stride[1] + head.window[1] / 2
        parts.append(f'<text x="{x:g}" y="{y:g}">{head.best[row, column]}</text>')
    return "".join([*parts, "</svg>"])
