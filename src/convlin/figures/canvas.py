"""A figure measured in inches, which saves to the same bytes every time.

All drawing here is done on one pair of axes whose unit is the inch, so that whoever lays out cells
knows how much room a number has. pyplot is not used, and no global setting stays changed.
"""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["DPI", "Drawing", "blank"]

# Pixels per inch: half of it blurs the smallest letters, twice makes notebooks four times as large.
DPI = 150
UNDATED = {"svg": "Date", "svgz": "Date", "pdf": "CreationDate"}
SAVING = threading.Lock()  # settings are global while a figure is saved
# Text stays text in an SVG: readers search it, and browsers have glyphs that the font here lacks.
SETTINGS: Any = {"svg.hashsalt": "convlin", "svg.fonttype": "none"}


class Drawing(Figure):
    """A matplotlib figure that saves without dates or random names, and shows itself in Jupyter."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save as matplotlib does: SVG, PDF, PNG and others, the same bytes every time."""
        kind = options.get("format") or Path(str(fname)).suffix.lstrip(".")
        date = UNDATED.get(str(kind).lower())
        if date:
            options["metadata"] = {date: None, **(options.get("metadata") or {})}
        with SAVING, rc_context(SETTINGS), warnings.catch_warnings():
            if date == "Date":
                warnings.filterwarnings("ignore", r"Glyph \d+ .* missing")
            super().savefig(fname, **options)

    def _repr_png_(self) -> bytes:
        stored = io.BytesIO()
        self.savefig(stored, format="png")
        return stored.getvalue()


def blank(width: float, height: float) -> tuple[Drawing, Axes]:
    """Return an empty figure of so many inches, and its axes: x to the right, y downwards."""
    figure = Drawing(figsize=(width, height), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes
