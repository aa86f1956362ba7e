"""`forms`: convolution ⊂ locally connected ⊂ fully connected, side by side.

The same map in three forms, as a matrix each. A convolution has one colour per weight wherever it
stands. In the other two no weight comes again, on the convolution's support or everywhere: they are
noise of greys, in which no line can look like a weight that is shared. (Of a convolution with more
than a thousand weights, colours come again.)
"""

from __future__ import annotations

from collections.abc import Mapping

from convlin.costs import Form, convolution_forms
from convlin.display.languages import figure_texts
from convlin.figures.canvas import Drawing, blank
from convlin.figures.cells import Sheet, write
from convlin.figures.palette import MUTED
from convlin.figures.plane import require_plane
from convlin.figures.stored_entries import (
    ColoredEntries,
    all_entries,
    draw,
    separate_entries,
    shared_entries,
)
from convlin.figures.unrolled import border
from convlin.geometry import short_at
from convlin.matrix import ConvMatrix

__all__ = ["forms"]

WORDS = {
    "conv": "convolution",
    "local": "locally connected",
    "linear": "fully connected",
    "conv_count": "{weights:,} weights, shared",
    "local_count": "{weights:,} weights, one each",
    "linear_count": "{weights:,} weights, one each",
}
# Inches. Three panels fill a page across: half as wide, the article has no squares; twice, no page.
PANEL = 3.9
CELL = 0.25  # at half of it a small matrix is lost between its words, at twice it looks enlarged
# ABOVE holds the title and each form's name, GAP the sign between two: half has them collide, twice
# is no figure but three. Twice MARGIN or BELOW is empty paper.
MARGIN, GAP, ABOVE, BELOW = 0.4, 0.55, 0.95, 0.55
HEADING = 0.5  # of ABOVE, what the title takes
NARROW = 2.2  # that the words need: at half of it they run into each other, twice is empty paper


def forms(
    matrix: ConvMatrix, *, stacked: bool = False, words: Mapping[str, str] | None = None
) -> Drawing:
    """Draw the matrix as convolution, locally connected and fully connected, with their weights.

    The counts are those of `convlin.cost`, without biases. stacked: one below the other, for a
    narrow column of text that says itself which layer it is. words: others for those of `WORDS`.
    Raises `Refused` for 3-D, and for more than 4096² stored entries.

    >>> import numpy as np
    >>> from convlin import ConvGeometry, ConvMatrix
    >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,)), np.array([[[5, 7]]]), 3)
    >>> forms(A)  # doctest: +ELLIPSIS
    <Drawing size ... with 1 Axes>
    """
    require_plane("forms", matrix)
    texts = figure_texts("forms", WORDS, words)
    drawn: dict[Form, ColoredEntries] = {
        "conv": shared_entries("forms", matrix),
        "local": separate_entries("forms", matrix),
        "linear": all_entries(matrix),
    }
    costs = convolution_forms(matrix.geometry, matrix.input_size, bias=False)
    weights = {cost.form: cost.parameters for cost in costs}
    rows, columns = matrix.shape
    side = min(CELL, PANEL / rows, PANEL / columns)
    width = max(columns * side, NARROW)
    head = ABOVE - HEADING if stacked else ABOVE
    high = head + rows * side + BELOW
    down, across = (high, 0.0) if stacked else (0.0, width + GAP)
    figure, axes = blank(2 * MARGIN + width + 2 * across, high + 2 * down)
    if not stacked:
        layer = short_at(matrix.geometry, matrix.input_size)
        write(axes, (MARGIN, 0.3), layer, 10, MUTED, ha="left")
    for n, (form, entries) in enumerate(drawn.items()):
        middle = MARGIN + n * across + width / 2
        sheet = Sheet(middle - columns * side / 2, head + n * down, rows, columns, side)
        draw(axes, sheet, entries)
        border(axes, sheet, matrix)
        write(axes, (middle, sheet.top - 0.2), texts[form], 10, weight="bold")
        count = texts(f"{form}_count", weights=weights[form])
        write(axes, (middle, sheet.bottom + 0.25), count)
        if n and not stacked:
            between = middle - width / 2 - GAP / 2
            write(axes, (between, (sheet.top + sheet.bottom) / 2), "⊂", 16, MUTED)
    return figure
