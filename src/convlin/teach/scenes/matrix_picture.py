"""A matrix too large to draw cell by cell: a picture with a pixel for each entry."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from convlin.errors import Description, Refusal, Refused
from convlin.figures.palette import SEVERAL, tap_colors
from convlin.matrix import ConvMatrix
from convlin.teach.scenes.page_state import State

__all__ = ["LARGEST", "matrix_png"]

# Rows, and columns: a picture of 16 million pixels, which browsers still show. The 64×64 of the
# sliders has as many; half refuses it, twice is 64 MB of memory a request.
LARGEST = 4096


def matrix_png(state: State) -> bytes:
    """Return the matrix as PNG: every entry in its tap's colour, what is no entry transparent.

    `Refused` for one of more than 4,096 rows or columns.
    """
    matrix = ConvMatrix(state.geometry, state.weights, state.size)
    rows, columns = matrix.shape
    if max(rows, columns) > LARGEST:
        raise Refused(
            Refusal("explore", "size", Description(f"a matrix of {rows:,} × {columns:,}"),
                    f"at most {LARGEST:,} × {LARGEST:,}")
        )  # fmt: skip
    # An entry's pixel is its index in the palette: a tap, or one of the two behind all taps.
    colors = [*tap_colors(state.geometry.taps), SEVERAL, "#000000"]
    several, blank = len(colors) - 2, len(colors) - 1
    csr, weights = matrix.tocsr(), matrix.entry_weights()
    alone = np.diff(weights.starts) == 1
    number = np.where(alone, weights.taps[weights.starts[:-1]], several)
    picture = np.full((rows, columns), blank, dtype=np.uint8)
    picture[np.repeat(np.arange(rows), np.diff(csr.indptr)), csr.indices] = number
    image = Image.fromarray(picture, "P")
    image.putpalette(b"".join(bytes.fromhex(color[1:]) for color in colors))
    file = BytesIO()
    image.save(file, "PNG", transparency=blank, compress_level=3)
    return file.getvalue()
