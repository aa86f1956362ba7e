"""The split of a matrix's energy in Jupyter: three numbers, and a bar in the page's own ink."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["split"]

INKS = (0.9, 0.45, 0.15)  # of the three parts, in order


def split(fractions: Sequence[float], words: str) -> str:
    """Return three fractions of a whole as a bar, under what they are in words.

    >>> split((1.0, 0.0, 0.0), "a < b")[:14]
    '<p>a &lt; b</p'
    """
    places = [sum(fractions[:n]) for n in range(len(fractions))]
    bars = "".join(
        f'<path d="M{300 * start:.2f} 0h{300 * part:.2f}v14h-{300 * part:.2f}z" '
        f'fill="currentColor" fill-opacity="{ink}"/>'
        for start, part, ink in zip(places, fractions, INKS, strict=True)
    )
    return (
        f"<p>{html.escape(words)}</p>"
        f'<svg viewBox="0 0 300 14" width="300" height="14" role="img" '
        f'style="border:1px solid currentColor">{bars}</svg>'
    )
