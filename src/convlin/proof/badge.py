"""A verdict's word in HTML: its mark and its colour, black on it, on light and dark pages alike."""

from __future__ import annotations

__all__ = ["badge"]

MARKS = {"proved": ("✓", "#009E73"), "refuted": ("✗", "#D55E00"), "measured": ("≈", "#E69F00")}


def badge(kind: str) -> str:
    """Return the word of a kind of verdict with its mark.

    >>> badge("proved")
    '<b style="background:#009E73;color:#000;border-radius:3px;padding:0 4px">✓ proved</b>'
    """
    mark, color = MARKS[kind]
    style = f"background:{color};color:#000;border-radius:3px;padding:0 4px"
    return f'<b style="{style}">{mark} {kind}</b>'
