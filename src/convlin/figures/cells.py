"""Maps as cells: grey by value, coloured where something reads them, a number where it fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Rectangle

from convlin.figures.palette import BLANK, INK, MUTED, ink_on, inked, paper_with

__all__ = ["TINY", "Sheet", "covering", "number", "squares", "write"]

# Letters in points: below SMALLEST nobody reads a print, at twice it most maps of digits have none;
# LARGEST is that of the titles, twice it shouts them down.
SMALLEST, LARGEST = 4.5, 11.0
# Inches a cell has for lines between cells: at half of it they grey the colours, at twice it the
# maps of a digit look like photographs.
GRID = 0.08
# Inches below which a cell is found by its frame, which is thin then: at half of it a thick frame
# hides such a cell, at twice it the one output of the article has a hairline.
TINY = 0.1
FAINT = paper_with(0.2)


@dataclass(frozen=True)
class Sheet:
    """A map of rows × columns, where it stands on the figure; all in inches.

    >>> Sheet(1.0, 2.0, rows=4, columns=6, side=0.5).middle(3, 0)
    (1.25, 3.75)
    """

    left: float
    top: float
    rows: int
    columns: int
    side: float

    @property
    def right(self) -> float:
        """Where it ends, to the right."""
        return self.left + self.columns * self.side

    @property
    def bottom(self) -> float:
        """Where it ends, at the bottom."""
        return self.top + self.rows * self.side

    def middle(self, row: int, column: int) -> tuple[float, float]:
        """Return the centre of a cell."""
        return self.left + (column + 0.5) * self.side, self.top + (row + 0.5) * self.side

    def shade(self, axes: Axes, values: Shaped[np.ndarray, "rows columns"]) -> None:
        """Draw all cells grey by value, with their numbers where there is room for every one."""
        texts = [[number(value) for value in row] for row in values.tolist()]
        size = self.letters(max((len(text) for row in texts for text in row), default=1))
        ink = _ink(values, most=0.25 if size else 0.85)
        if size:
            self._shade_cells(axes, ink, texts, size)
        else:
            axes.imshow(
                1 - ink, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto",
                extent=(self.left, self.right, self.bottom, self.top), zorder=1,
            )  # fmt: skip
        self.rule(axes)

    def _shade_cells(
        self,
        axes: Axes,
        ink: Float[np.ndarray, "rows columns"],
        texts: Sequence[Sequence[str]],
        size: float,
    ) -> None:
        """Draw cells with their numbers: shapes, whose paper and ink a page may exchange."""
        cells = list(np.ndindex(self.rows, self.columns))
        faces = [paper_with(float(ink[cell])) for cell in cells]
        corners = np.array([(column, row) for row, column in cells])
        squares(axes, self, corners, np.ones(len(cells)), faces, zorder=1)
        for (row, column), face in zip(cells, faces, strict=True):
            behind = covering(face)  # so that wires do not cross it
            write(axes, self.middle(row, column), texts[row][column], size, zorder=4, **behind)

    def rule(self, axes: Axes, every: tuple[int, int] = (1, 1), width: float = 0.5) -> None:
        """Draw the lines between every so many rows and columns, and the border."""
        dense = self.side * min(every) < GRID
        # A last step that is not whole leaves out the border, which the sets below add.
        ys = np.arange(0, self.rows + 1, self.rows if dense else every[0])
        xs = np.arange(0, self.columns + 1, self.columns if dense else every[1])
        lines = [
            [(self.left, self.top + y * self.side), (self.right, self.top + y * self.side)]
            for y in {*ys.tolist(), self.rows}
        ] + [
            [(self.left + x * self.side, self.top), (self.left + x * self.side, self.bottom)]
            for x in {*xs.tolist(), self.columns}
        ]
        color = FAINT if width < 1 else MUTED
        axes.add_collection(
            LineCollection(lines, colors=color, linewidths=width, zorder=1.5), autolim=False
        )

    def frame(self, axes: Axes, low: tuple[int, int], high: tuple[int, int]) -> None:
        """Draw a border around the cells (row, column) from `low` up to and with `high`."""
        corner = (self.left + low[1] * self.side, self.top + low[0] * self.side)
        width, height = (self.side * (high[n] - low[n] + 1) for n in (1, 0))
        thick = 1.8 if self.side > TINY else 1.0
        axes.add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor=INK, linewidth=thick, zorder=7)
        )

    def letters(self, length: int) -> float:
        """Return the size in points of so many characters in a cell; 0 if there is no room."""
        # In points, of which an inch has 72. Letters get 0.86 of the cell's width, each 0.62 of the
        # size: a digit of DejaVu Sans takes 0.64 of it, a decimal point 0.32.
        cell = 72 * self.side
        size = min(LARGEST, 0.5 * cell, 0.86 * cell / (0.62 * max(length, 1)))
        return size if size >= SMALLEST else 0.0

    def paint(
        self,
        axes: Axes,
        colors: Mapping[tuple[int, int], Sequence[str]],
        values: Shaped[np.ndarray, "rows columns"] | None = None,
        ink: str | None = None,
    ) -> None:
        """Colour some cells, in stripes where one has several colours; numbers where they fit."""
        cells, corners, widths, faces = [], [], [], []
        for (row, column), several in colors.items():
            for n, color in enumerate(several):
                corners.append((column + n / len(several), row))  # stripe n of as many
                widths.append(1 / len(several))
                faces.append(color)
            cells.append((row, column, several))
        squares(axes, self, np.array(corners), np.array(widths), faces, edge=BLANK, zorder=5)
        if values is None:
            return
        texts = [number(values[row, column].item()) for row, column, _ in cells]
        size = self.letters(max((len(text) for text in texts), default=1))
        if size:
            for (row, column, several), text in zip(cells, texts, strict=True):
                behind = covering(BLANK) if len(several) > 1 else {}
                paper = bool(behind) or inked(several[0]) is not None
                color = ink or (INK if paper else ink_on(several[0]))
                write(axes, self.middle(row, column), text, size, color, zorder=6, **behind)


def squares(
    axes: Axes,
    sheet: Sheet,
    corners: Float[np.ndarray, "n 2"],
    widths: Float[np.ndarray, " n"],
    faces: Any,
    edge: str = "none",
    zorder: float = 2,
) -> None:
    """Draw cells, or upright parts of cells, whose corners (x, y) are given in cells."""
    if not len(corners):
        return
    x, y = corners[:, 0], corners[:, 1]
    # (n, corner, x or y), clockwise from the top left: in cells, whose lower edge is at y + 1.
    outline: Any = np.stack(
        [np.stack([x, x + widths, x + widths, x], 1), np.stack([y, y, y + 1, y + 1], 1)], axis=2
    )
    outline = outline * sheet.side + (sheet.left, sheet.top)
    width = 0.8 if edge != "none" and sheet.side > 2 * GRID else 0.0
    axes.add_collection(
        PolyCollection(outline, facecolors=faces, edgecolors=edge, linewidths=width, zorder=zorder,
                       clip_on=False),
        autolim=False,
    )  # fmt: skip


def write(
    axes: Axes,
    point: tuple[float, float],
    text: str,
    size: float = 9,
    color: str = INK,
    **options: Any,
) -> None:
    """Write text around a point."""
    options = {"zorder": 8, "ha": "center", "va": "center_baseline", **options}
    axes.text(*point, text, fontsize=size, color=color, parse_math=False, **options)


def number(value: Any) -> str:
    """Return a number in few characters, with a minus sign as long as a plus.

    >>> number(-1), number(0.33333), number(-188.2), number(True), number(float("inf"))
    ('−1', '0.33', '−188', '1', 'inf')
    """
    if isinstance(value, complex):
        text = f"{value:.2g}"
    elif not math.isfinite(value) or abs(value) >= 100_000:
        text = f"{value:.0e}"
    else:
        text = f"{value:.2g}" if abs(value) < 10 and value != int(value) else f"{value:.0f}"
    return text.replace("-", "−")


def covering(color: str) -> dict[str, Any]:
    """Return what makes a text cover what lies under it."""
    return {"bbox": {"boxstyle": "square,pad=0.1", "facecolor": color, "edgecolor": "none"}}


def _ink(values: Shaped[np.ndarray, "*shape"], most: float) -> Float[np.ndarray, "*shape"]:
    """Return shares of ink from 0 for the least value up to `most` for the largest."""
    plain = np.abs(values) if values.dtype.kind == "c" else values
    level = np.nan_to_num(plain.astype(np.float64), posinf=0, neginf=0)
    span = np.ptp(level)
    share: np.ndarray = (level - level.min()) / span if span else np.zeros(level.shape)
    return most * share
