"""The stored entries of a matrix, each in the colour of what it holds; as squares or as an image.

What shares a colour is one tap; where a kernel has one tap only, one weight. Where padding repeats
pixels, an entry holds several taps, and has a stripe of each, or in an image a colour for that.
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
from convlin.figures.palette import SEVERAL, tap_colors
from convlin.matrix import ConvMatrix

__all__ = [
    "LIMIT",
    "SQUARES",
    "ColoredEntries",
    "all_entries",
    "draw",
    "entry_colors",
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
# Colours where every entry has a weight of its own, before they come again. A prime, so that they
# do not come again below each other. At half of it the article's 576 weights share, twice takes as
# long.
WALK = 997


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
    """Return the colours of what a matrix shares: of its taps, or of its weights if all are 1×1."""
    geometry = matrix.geometry
    return tap_colors(geometry.taps if geometry.taps > 1 else int(np.prod(geometry.weight_shape)))


def shared_entries(site: str, matrix: ConvMatrix) -> ColoredEntries:
    """Return every stored entry with the colour of the tap that it holds."""
    rows, columns = _positions(site, matrix)
    weights = matrix.entry_weights()
    what = weights.taps if matrix.geometry.taps > 1 else weights.index
    # `starts` is CSR's: entry e holds the weights starts[e] … starts[e + 1] - 1. Each gets a row of
    # its own here, the nth of m at n/m of the cell: n is its number less that of the entry's first.
    sizes = np.diff(weights.starts)
    entry = np.repeat(np.arange(len(sizes)), sizes)
    share = 1 / sizes[entry]
    offset = (np.arange(len(entry)) - weights.starts[entry]) * share
    return ColoredEntries(
        matrix.shape, rows[entry], columns[entry], what.astype(np.int64), entry_colors(matrix),
        offset, share,
    )  # fmt: skip


def separate_entries(site: str, matrix: ConvMatrix) -> ColoredEntries:
    """Return the same entries, each with a colour of its own, as a locally connected layer has."""
    rows, columns = _positions(site, matrix)
    return _each_its_own(matrix.shape, rows, columns)


def all_entries(matrix: ConvMatrix) -> ColoredEntries:
    """Return every entry of a fully connected layer, each with a colour of its own.

    Of a matrix with more entries than an image has pixels, as many as that.
    """
    rows, columns = _pixels(matrix.shape)
    positions = np.indices((rows, columns)).reshape(2, -1)
    return _each_its_own((rows, columns), positions[0], positions[1])


def _positions(
    site: str, matrix: ConvMatrix
) -> tuple[Int[np.ndarray, " entries"], Int[np.ndarray, " entries"]]:
    if matrix.nnz > LIMIT:
        raise Refused(Refusal(site, "matrix.nnz", matrix.nnz, f"{LIMIT:,} stored entries or fewer"))
    stored = matrix.tocsr()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(stored.indptr))
    return rows, stored.indices.astype(np.int64)


def _each_its_own(
    shape: tuple[int, int],
    rows: Int[np.ndarray, " entries"],
    columns: Int[np.ndarray, " entries"],
) -> ColoredEntries:
    count = len(rows)
    return ColoredEntries(
        shape, rows, columns, np.arange(count) % WALK, tap_colors(max(min(count, WALK), 10)),
        np.zeros(count), np.ones(count),
    )  # fmt: skip


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
