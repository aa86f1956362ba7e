"""A matrix too large to draw cell by cell: a picture with a pixel for each entry, or fewer.

Where a picture has fewer pixels than its matrix has entries, a browser that shrinks it leaves out
most of them, and a line of entries breaks into dashes. Here no entry is lost: a pixel shows one of
those that fall on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from jaxtyping import UInt
from PIL import Image

from convlin.errors import Description, Refusal, Refused
from convlin.figures.palette import SEVERAL, weight_colors
from convlin.matrix import ConvMatrix
from convlin.teach.scenes.page_state import State

__all__ = ["LARGEST", "matrix_png"]

# Rows, and columns: a picture of 16 million pixels, which browsers still show. The 64×64 of the
# sliders has as many; half refuses it, twice is 64 MB of memory a request.
LARGEST = 4096
# Colours of a PNG with a palette: more weights than leave two of them take four bytes a pixel.
PALETTE = 256


def matrix_png(state: State, most: int | None = None) -> bytes:
    """Return the matrix as PNG: every entry in its weight's colour, what is no entry transparent.

    most: pixels a side of a smaller picture, which covers the whole matrix as the large one does.
    `Refused` for a matrix of more than 4,096 rows or columns.
    """
    matrix = ConvMatrix(state.geometry, state.weights, state.size)
    rows, columns = matrix.shape
    if max(rows, columns) > LARGEST:
        raise Refused(
            Refusal("explore", "size", Description(f"a matrix of {rows:,} × {columns:,}"),
                    f"at most {LARGEST:,} × {LARGEST:,}")
        )  # fmt: skip
    # An entry's pixel is its index among the colours: a weight, or one of the two behind them all.
    geometry = state.geometry
    weights = weight_colors(
        geometry.weight_shape, geometry.groups, transposed=geometry.transposed
    )  # fmt: skip
    colors = [*weights, SEVERAL, "#000000"]
    several, blank = len(colors) - 2, len(colors) - 1
    csr, held = matrix.tocsr(), matrix.entry_weights()
    alone = np.diff(held.starts) == 1
    number = np.where(alone, held.index[held.starts[:-1]], several)
    of_row = np.repeat(np.arange(rows), np.diff(csr.indptr))
    height, width = _pixels((rows, columns), most)
    picture = np.full((height, width), blank, dtype=np.min_scalar_type(blank))
    # Of entries on one pixel the last one is seen. In their own order that were always the last of
    # a row's weights; at random, all are.
    order = np.random.default_rng(0).permutation(len(number))
    # Row r of so many lies from r/rows of the height on, whose pixel is ⌊r·height/rows⌋ < height.
    y, x = of_row * height // rows, csr.indices.astype(np.int64) * width // columns
    picture[y[order], x[order]] = number[order]
    return _png(picture, colors)


def _pixels(shape: tuple[int, int], most: int | None) -> tuple[int, int]:
    """Return height and width in the proportions of the matrix, neither larger than `most`.

    >>> _pixels((4096, 1024), 300), _pixels((20, 30), 300), _pixels((4096, 1), 64)
    ((300, 75), (20, 30), (64, 1))
    """
    scale = min(1.0, (most or LARGEST) / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _png(picture: UInt[np.ndarray, "h w"], colors: Sequence[str]) -> bytes:
    """Return a picture of indices as PNG; the last of the colours is transparent."""
    table = np.array([list(bytes.fromhex(color[1:])) for color in colors], dtype=np.uint8)
    file, blank = BytesIO(), len(colors) - 1
    if len(colors) <= PALETTE:
        image = Image.fromarray(picture, "P")
        image.putpalette(table.tobytes())
        image.save(file, "PNG", transparency=blank, compress_level=3)
    else:
        opacity = np.full((len(colors), 1), 255, dtype=np.uint8)
        opacity[blank] = 0
        Image.fromarray(np.hstack([table, opacity])[picture], "RGBA").save(
            file, "PNG", compress_level=3
        )
    return file.getvalue()
