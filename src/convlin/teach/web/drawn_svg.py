"""A figure as an SVG element in the page's own colours, so that a dark page has no white slab.

Paper and ink are the page's variables `--paper`, `--ink` and `--soft`, and a grey is a mix of paper
and ink. The colours of weights stay, and so does the black or white of what is written on them:
the figures' own paper is a white that no ink is.
"""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import TYPE_CHECKING

from convlin.figures.palette import BLANK, INK, MUTED, inked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["as_svg"]

COLOR = re.compile(r"(?<=: )#[0-9a-f]{6}\b")
ATTRIBUTE = re.compile(r'\b(fill|stroke)="(#[0-9a-f]{6})"')
POINT = r"([\d.]+) ([\d.]+)"
SQUARE = re.compile(rf"M {POINT} \nL {POINT} \nL {POINT} \nL {POINT} \nz\n")
LONG = re.compile(r"-?\d+\.\d{3,}(?!\w)")
OWN = {INK: "var(--ink)", MUTED: "var(--soft)", BLANK: "var(--paper)"}


def as_svg(figure: Figure, prefix: str, label: str) -> str:
    """Return a figure as an SVG element whose names no other on the page has.

    prefix: of those names. label: what is read out in its place.

    >>> from convlin.figures.canvas import blank
    >>> figure, axes = blank(1, 1)
    >>> _ = axes.plot([0, 1], [0, 1], color=INK)
    >>> svg = as_svg(figure, "lesson-1-", "a line")
    >>> svg[:36], "stroke: var(--ink)" in svg
    ('<svg role="img" aria-label="a line" ', True)
    """
    file = io.StringIO()
    with warnings.catch_warnings():
        # Text stays text: the reader's browser has the Chinese that matplotlib's font has not.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing")
        figure.savefig(file, format="svg", transparent=True)
    svg = file.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", svg)
    svg = ATTRIBUTE.sub(r'style="\1: \2"', svg)  # where no variable may stand
    greys = (inked(color) for color in COLOR.findall(svg) if color not in OWN)
    shares = {share for share in greys if share is not None}
    svg = COLOR.sub(lambda color: _of_page(color[0]), svg)
    # Points have two digits: what is a hundredth of a point off nobody sees.
    svg = LONG.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), svg)
    svg = SQUARE.sub(_shorter, svg)
    named = (
        f'role="img" aria-label="{escape(label)}" style="{"".join(map(_mixed, sorted(shares)))}"'
    )
    return svg.replace("<svg", f"<svg {named}", 1).strip()


def _of_page(color: str) -> str:
    """Return a colour as the page has it.

    >>> _of_page("#222222"), _of_page("#e69f00"), _of_page("#ffffff"), _of_page("#d3d3d2")
    ('var(--ink)', '#e69f00', '#ffffff', 'var(--ink-20)')
    """
    ink = inked(color)
    return OWN.get(color, color if ink is None else f"var(--ink-{100 * ink:.0f})")


def _shorter(square: re.Match[str]) -> str:
    r"""Write an upright square in a third of the letters; leave other shapes of four corners.

    >>> SQUARE.sub(_shorter, "M 1 2 \nL 4 2 \nL 4 5 \nL 1 5 \nz\n")
    'M1 2H4V5H1z'
    """
    left, top, right, y, x, bottom, x0, y0 = square.groups()
    upright = (y, x, x0, y0) == (top, right, left, bottom)
    return f"M{left} {top}H{right}V{bottom}H{left}z" if upright else square[0]


def _mixed(share: float) -> str:
    """Return what the variable of a grey is: so much of the page's own ink on its paper.

    >>> _mixed(0.2)
    '--ink-20:color-mix(in srgb,var(--ink) 20%,var(--paper));'
    """
    percent = f"{100 * share:.0f}"
    return f"--ink-{percent}:color-mix(in srgb,var(--ink) {percent}%,var(--paper));"
