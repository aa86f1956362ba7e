"""`matrix`: the unrolled matrix of a convolution, shared weights in shared colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from convlin.display.languages import Texts, figure_texts
from convlin.figures.canvas import Drawing, blank
from convlin.figures.cells import Sheet, number, write
from convlin.figures.palette import INK, MUTED, SEVERAL, ink_on
from convlin.figures.plane import plane_shape, require_plane, weight_of
from convlin.figures.stored_entries import (
    SQUARES,
    ColoredEntries,
    draw,
    entry_colors,
    shared_entries,
)
from convlin.geometry import short_at
from convlin.matrix import ConvMatrix

__all__ = ["border", "matrix"]

WORDS = {
    "rows": "{rows:,} outputs",
    "columns": "{columns:,} inputs",
    "taps": "taps",
    "weights": "weights",
    "several": "several taps",
    "enlarged": "enlarged",
    "counts": "{stored:,} stored entries of {all:,}; {weights:,} weights in all",
}
# Inches. With the legend they fill a page on its side: half leaves half empty, twice needs two.
WIDTH, HEIGHT = 9.0, 6.5
CELL = 0.3  # at half of it the article's has no numbers, at twice it is larger than its legend
# Lines between the rows of the maps are this far apart or none: at half of it they cover an image,
# at twice it those of a digit are missing.
ROWS_APART = 0.15
# The enlarged part is as wide as the legend's room: cells, and the side of one, which is SQUARES or
# more. Half the cells show no map's row, twice do not fit on the page.
DETAIL, DETAIL_SIDE = 40, 0.06
# ABOVE holds two lines of words, ASIDE one line: half has them cut or collide, twice is empty
# paper.
MARGIN, ABOVE, ASIDE = 0.5, 0.75, 1.475
LETTER = 0.07  # of the sentence: half cuts it off below a narrow matrix, twice is empty paper


def matrix(matrix: ConvMatrix, *, words: Mapping[str, str] | None = None) -> Drawing:
    """Draw the unrolled matrix: every stored entry in the colour of its tap.

    Lines stand between the rows of the maps. A matrix whose cells are too small for squares is an
    image, with a part of it enlarged. If the kernel has one tap only, colours tell the weights
    apart. words: others for those of `WORDS`. Raises `Refused` for 3-D, and for more than 4096²
    stored entries.

    >>> from convlin import ConvGeometry, ConvMatrix
    >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,)), np.array([[[5, 7]]]), 3)
    >>> matrix(A)  # doctest: +ELLIPSIS
    <Drawing size ... with 1 Axes>
    """
    require_plane("matrix", matrix)
    texts = figure_texts("matrix", WORDS, words)
    entries = shared_entries("matrix", matrix, by_tap=True)
    rows, columns = matrix.shape
    side = min(CELL, WIDTH / columns, HEIGHT / rows)
    sheet = Sheet(MARGIN, ABOVE, rows, columns, side)
    enlarged = side < DETAIL_SIDE
    below = max(sheet.bottom, ABOVE + (4.6 if enlarged else 2.0))
    left, top = sheet.right + 0.5, ABOVE
    legend = _legend_sheet(matrix, left)
    right = max(legend.right, left + (DETAIL * DETAIL_SIDE if enlarged else ASIDE))
    weights = int(np.prod(matrix.geometry.weight_shape))
    counts = texts("counts", stored=matrix.nnz, all=rows * columns, weights=weights)
    figure, axes = blank(max(right + 0.4, MARGIN + LETTER * len(counts)), below + 0.55)
    draw(axes, sheet, entries)
    border(axes, sheet, matrix)
    if side >= 0.2:
        _numbers(axes, sheet, matrix)
    if enlarged:
        top = _enlarge(axes, sheet, entries, matrix, (left, top), texts["enlarged"]) + 0.6
    _legend(axes, matrix, replace(legend, top=top), texts, blurred=side < SQUARES)
    title = short_at(matrix.geometry, matrix.input_size)
    aligned = {"ha": "left", "va": "baseline"}
    write(axes, (MARGIN, 0.35), title, 10, weight="bold", **aligned)
    write(axes, ((sheet.left + sheet.right) / 2, ABOVE - 0.15),
          texts("columns", columns=columns), 8, MUTED)  # fmt: skip
    write(axes, (MARGIN - 0.18, (sheet.top + sheet.bottom) / 2),
          texts("rows", rows=rows), 8, MUTED, rotation=90, va="center")  # fmt: skip
    write(axes, (MARGIN, below + 0.3), counts, ha="left")
    return figure


def border(axes: Axes, sheet: Sheet, matrix: ConvMatrix) -> None:
    """Draw lines between cells where there is room, and between the rows of the maps."""
    sheet.rule(axes)
    _, out_rows, out_columns = plane_shape(matrix.output_shape)
    _, in_rows, in_columns = plane_shape(matrix.input_shape)
    # C order puts one row of a map behind another, so one begins every so many outputs, and inputs.
    # Maps of one row would have a line at each channel: they have none.
    every = (out_columns if out_rows > 1 else sheet.rows, in_columns)
    if in_rows == 1:
        every = (every[0], sheet.columns)
    if sheet.side >= SQUARES:
        sheet.rule(axes, every, width=1.0)
    elif min(every) * sheet.side > ROWS_APART:
        sheet.rule(axes, every, width=0.6)


def _numbers(axes: Axes, sheet: Sheet, matrix: ConvMatrix) -> None:
    """Write the weight of each stored entry that holds one tap."""
    stored, weights = matrix.tocsr(), matrix.entry_weights()
    colors = entry_colors(matrix)
    alone = np.diff(weights.starts) == 1
    texts = [number(value) for value in stored.data.tolist()]
    size = sheet.letters(max(map(len, texts), default=1))
    if not size:
        return
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(stored.indptr))
    what = weights.taps if matrix.geometry.taps > 1 else weights.index
    for entry in np.flatnonzero(alone):
        point = sheet.middle(int(rows[entry]), int(stored.indices[entry]))
        ink = ink_on(colors[int(what[weights.starts[entry]]) % len(colors)])
        write(axes, point, texts[entry], size, ink)


def _enlarge(
    axes: Axes,
    sheet: Sheet,
    entries: ColoredEntries,
    matrix: ConvMatrix,
    corner: tuple[float, float],
    word: str,
) -> float:
    """Draw a part of the matrix larger, from an output in its middle; return where it ends."""
    size = min(DETAIL, sheet.rows), min(DETAIL, sheet.columns)
    # Rows of the matrix are outputs in C order, so rows of their map start at multiples of `wide`:
    # from one of them, or further up where less than the part's height is below it.
    _, _, wide = plane_shape(matrix.output_shape)
    middle = min(sheet.rows // 2 // wide * wide, sheet.rows - size[0])
    read = entries.columns[entries.rows == middle]
    first = min(int(read[len(read) // 2]) if len(read) else 0, sheet.columns - size[1])
    part = Sheet(*corner, *size, DETAIL_SIDE)
    draw(axes, part, entries.within((middle, first), size))
    part.rule(axes, size, width=1.0)
    write(axes, (part.left, part.top - 0.15), word, 8, MUTED, ha="left")
    x, y = sheet.left + first * sheet.side, sheet.top + middle * sheet.side
    axes.add_patch(
        Rectangle((x, y), size[1] * sheet.side, size[0] * sheet.side, fill=False, edgecolor=INK,
                  linewidth=1.2, zorder=7)
    )  # fmt: skip
    return part.bottom


def _legend_sheet(matrix: ConvMatrix, left: float) -> Sheet:
    """Return the sheet of the kernel's taps, or of all weights of a 1×1 kernel."""
    geometry = matrix.geometry
    shape = plane_shape((1, *geometry.kernel))[1:] if geometry.taps > 1 else geometry.weight_shape
    rows, columns = shape[:2]
    return Sheet(left, ABOVE, rows, columns, min(0.36, 1.8 / max(rows, columns)))


def _legend(
    axes: Axes,
    matrix: ConvMatrix,
    legend: Sheet,
    texts: Texts,
    blurred: bool,
) -> None:
    """Draw the kernel's taps, or the weights of a 1×1 kernel, in their colours.

    Blurred, as an image is, an entry that holds several taps has a colour for that.
    """
    geometry = matrix.geometry
    colors = entry_colors(matrix)
    by_tap = geometry.taps > 1
    rows, columns = legend.rows, legend.columns
    one_pair = geometry.weight_shape[:2] == (1, 1)
    weight = weight_of(matrix).reshape(rows, columns) if one_pair or not by_tap else None
    walk = cycle(colors)
    legend.paint(axes, {cell: [next(walk)] for cell in np.ndindex(rows, columns)}, weight)
    word = texts["taps" if by_tap else "weights"]
    write(axes, (legend.left, legend.top - 0.15), word, 8, MUTED, ha="left")
    if blurred and matrix.entry_weights().starts[-1] > matrix.nnz:
        more = Sheet(legend.left, legend.bottom + 0.15, 1, 1, 0.2)
        more.paint(axes, {(0, 0): [SEVERAL]})
        write(axes, (more.right + 0.1, more.middle(0, 0)[1]), texts["several"], 8, ha="left")
