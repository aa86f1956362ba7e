"""The stored entries of a matrix, each in the colour of what it holds; as squares or as an image.

What shares a colour is one weight, or one tap. Where padding repeats pixels, an entry holds
several, and has a stripe of each, or in an image a colour for that. Entries that share nothing have
greys in no order, so that no line of them looks like a weight that comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from convlin.errors import Refusal, Refused
from convlin.figures.cells import Sheet, squares
from convlin.figures.palette import SEVERAL, paper_with, tap_colors, weight_colors
from convlin.matrix import ConvMatrix

__all__ = [
    "LIMIT",
    "SQUARES",
    "ColoredEntries",
    "all_entries",
    "draw",
    "entry_colors",
    "kernel_colors",
    "separate_entries",
    "shared_entries",
]

# Entries drawn: those of every dense matrix of 4096×4096. Twice as many take gigabytes of indices.
LIMIT = 4096 * 4096
# Inches: smaller cells are drawn as an image. At half of it a square is three points of print, and
# a thousand of them an SVG that browsers scroll slowly; at twice it the article's forms are
# blurred.
SQUARES = 0.055
# Of an image, along its longer side: some 140 per inch. Half of it shows as steps, twice is beyond
# what is printed, at four times the bytes.
PIXELS = 900
# Colours of weights, before they come again. A prime, so that they do not come again below each
# other. Half of it is less than two channels by three of 11×11, twice takes as long.
WALK = 997
# Shares of ink, of which noise has thirty-one greys. Less than the least is lost on paper, beyond
# the most it is darker than the lines between cells.
NOISE = np.linspace(0.1, 0.4, 31)


@dataclass(frozen=True)
class ColoredEntries:
    """What is drawn where: entries of `shape`, by row, column, and index in `colors`.

    Entries of one position stand side by side; `share` is the part of the cell each one gets, and
    `offset` where it begins.
    """

    shape: tuple[int, int]
    rows: Int[np.ndarray, " entries"]
    columns: Int[np.ndarray, " entries"]
    color: Int[np.ndarray, " entries"]
    colors: Sequence[str]
    offset: Float[np.ndarray, " entries"]
    share: Float[np.ndarray, " entries"]

    def within(self, low: tuple[int, int], size: tuple[int, int]) -> ColoredEntries:
        """Return the entries of a rectangle of rows and columns, counted from its corner."""
        rows, columns = self.rows - low[0], self.columns - low[1]
        inside = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
        return ColoredEntries(
            size, rows[inside], columns[inside], self.color[inside], self.colors,
            self.offset[inside], self.share[inside],
        )  # fmt: skip


def entry_colors(matrix: ConvMatrix) -> list[str]:
    """Return the colours of a matrix's taps, or of its weights if all are 1×1."""
    taps = matrix.geometry.taps
    return tap_colors(taps) if taps > 1 else kernel_colors(matrix)


def kernel_colors(matrix: ConvMatrix) -> list[str]:
    """Return the colours of a matrix's weights; of more than `WALK`, they come again."""
    geometry = matrix.geometry
    if int(np.prod(geometry.weight_shape)) > WALK:
        return tap_colors(WALK)
    return weight_colors(
        geometry.weight_shape, geometry.groups, transposed=geometry.transposed
    )  # fmt: skip


def shared_entries(site: str, matrix: ConvMatrix, *, by_tap: bool = False) -> ColoredEntries:
    """Return every stored entry with the colour of the weight that it holds, or of the tap."""
    rows, columns = _positions(site, matrix)
    weights = matrix.entry_weights()
    by_tap = by_tap and matrix.geometry.taps > 1
    colors = entry_colors(matrix) if by_tap else kernel_colors(matrix)
    what = weights.taps if by_tap else weights.index % len(colors)
    # `starts` is CSR's: entry e holds the weights starts[e] … starts[e + 1] - 1. Each gets a row of
    # its own here, the nth of m at n/m of the cell: n is its number less that of the entry's first.
    sizes = np.diff(weights.starts)
    entry = np.repeat(np.arange(len(sizes)), sizes)
    share = 1 / sizes[entry]
    offset = (np.arange(len(entry)) - weights.starts[entry]) * share
    return ColoredEntries(
        matrix.shape, rows[entry], columns[entry], what.astype(np.int64), colors, offset, share,
    )  # fmt: skip


def separate_entries(site: str, matrix: ConvMatrix) -> ColoredEntries:
    """Return the same entries as a locally connected layer has them: none shares its weight."""
    rows, columns = _positions(site, matrix)
    return _unshared(matrix.shape, rows, columns)


def all_entries(matrix: ConvMatrix) -> ColoredEntries:
    """Return every entry of a fully connected layer, of which none shares its weight.

    Of a matrix with more entries than an image has pixels, as many as that.
    """
    rows, columns = _pixels(matrix.shape)
    positions = np.indices((rows, columns)).reshape(2, -1)
    return _unshared((rows, columns), positions[0], positions[1])


def _positions(
    site: str, matrix: ConvMatrix
) -> tuple[Int[np.ndarray, " entries"], Int[np.ndarray, " entries"]]:
    if matrix.nnz > LIMIT:
        raise Refused(Refusal(site, "matrix.nnz", matrix.nnz, f"{LIMIT:,} stored entries or fewer"))
    stored = matrix.tocsr()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(stored.indptr))
    return rows, stored.indices.astype(np.int64)


def _unshared(
    shape: tuple[int, int],
    rows: Int[np.ndarray, " entries"],
    columns: Int[np.ndarray, " entries"],
) -> ColoredEntries:
    count = len(rows)
    noise = np.random.default_rng(0).integers(len(NOISE), size=count)
    greys = [paper_with(share) for share in NOISE]
    return ColoredEntries(shape, rows, columns, noise, greys, np.zeros(count), np.ones(count))


def draw(axes: Axes, sheet: Sheet, entries: ColoredEntries) -> None:
    """Draw the entries on a sheet as large as their matrix."""
    if sheet.side >= SQUARES:
        faces = np.array(entries.colors)[entries.color]
        corners = np.stack([entries.columns + entries.offset, entries.rows], axis=1)
        squares(axes, sheet, corners, entries.share, faces.tolist())
        return
    axes.imshow(
        _image(entries), interpolation="nearest", aspect="auto", zorder=2,
        extent=(sheet.left, sheet.right, sheet.bottom, sheet.top),
    )  # fmt: skip


def _image(entries: ColoredEntries) -> Float[np.ndarray, "height width rgba"]:
    """Return the matrix as an image; of entries that fall on one pixel, some one is seen."""
    height, width = _pixels(entries.shape)
    image = np.zeros((height, width, 4))  # transparent where nothing stands
    colors = np.array([to_rgba(color) for color in (*entries.colors, SEVERAL)])
    color = np.where(entries.share < 1, len(colors) - 1, entries.color)
    order = np.random.default_rng(0).permutation(len(color))  # the last one is seen: not one tap
    # Row r of so many lies from r/rows of the height on, whose pixel is ⌊r·height/rows⌋ < height.
    y, x = entries.rows * height // entries.shape[0], entries.columns * width // entries.shape[1]
    image[y[order], x[order]] = colors[color[order]]
    return image


def _pixels(shape: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the image of a matrix: its own, unless those are too many."""
    scale = min(1.0, PIXELS / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
