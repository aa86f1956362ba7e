"""A `ConvMatrix` as blocks: what it is, and a small picture where it is small; nothing is built.

The picture is in the page's own ink, light or dark: the larger a weight, the stronger. Larger
matrices, and a colour for each tap, are drawn by `convlin.figures`.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from convlin.display.blocks import Block, Column, Picture, Table, Toned
from convlin.matrix.protocol import Matrix

__all__ = ["blocks"]

SIDE = 128  # rows and columns of a small picture; each has 3 pixels or more, and is seen
ENTRIES = 2048  # stored entries of one: each takes 15 bytes or so of a notebook's file
WIDEST, CELL = 480, 12.0  # pixels: a picture at most half as wide as a page, an entry like a letter
LEVELS = (0.15, 0.4, 0.7, 1.0)  # of ink; the least is for 0


def blocks(matrix: Matrix) -> list[Block]:
    """Return the matrix's numbers as a table, with its picture where it is small."""
    rows, columns = matrix.shape
    facts = {
        "outputs × inputs": f"{rows:,} × {columns:,}",
        "stored entries": f"{matrix.nnz:,} ({matrix.nnz / (rows * columns):.2%})",
        "weights": f"{math.prod(matrix.geometry.weight_shape):,} {matrix.dtype}",
        "bytes if built (CSR)": f"{matrix.needed_bytes:,}",
    }
    columns_of = Column("", "fact", partial(Toned, tone="strong")), Column("", "value")
    table = Table(columns_of, [{"fact": fact, "value": value} for fact, value in facts.items()])
    heading = Toned(repr(matrix)[1:-1], "strong")
    small = max(rows, columns) <= SIDE and 0 < matrix.nnz <= ENTRIES
    return [heading, table, *([_picture(matrix)] if small else [])]


def _picture(matrix: Matrix) -> Picture:
    """Return the stored entries as squares."""
    stored = matrix.tocsr()
    height, width = matrix.shape
    rows = np.repeat(np.arange(height), np.diff(stored.indptr))
    magnitude = np.abs(stored.data).astype(np.float64)
    largest = magnitude.max() or 1.0
    level = np.ceil(np.nan_to_num(magnitude / largest) * (len(LEVELS) - 1)).astype(int)
    inks = {
        ink: [(x, y, 1, 1) for x, y in zip(stored.indices[at], rows[at], strict=True)]
        for ink, at in ((ink, level == number) for number, ink in enumerate(LEVELS))
    }
    scale = min(CELL, WIDEST / max(height, width))
    return Picture((width, height), inks, "where its entries stand", scale)
