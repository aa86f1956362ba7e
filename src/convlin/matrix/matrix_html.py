"""A `ConvMatrix` in Jupyter: what it is, and a small picture where it is small; nothing is built.

The picture is in the page's own ink, light or dark: the larger a weight, the stronger. Larger
matrices, and a colour for each tap, are drawn by `convlin.figures`.
"""

from __future__ import annotations

import html
import math

import numpy as np

from convlin.matrix.protocol import Matrix

__all__ = ["as_html"]

SIDE, ENTRIES = 128, 2048  # rows, columns and stored entries that are still a small picture
LEVELS = (0.15, 0.4, 0.7, 1.0)  # of ink; the least is for 0


def as_html(matrix: Matrix) -> str:
    """Return the matrix's numbers as a table, with its picture where it is small."""
    rows, columns = matrix.shape
    share = matrix.nnz / (rows * columns)
    facts = {
        "outputs × inputs": f"{rows:,} × {columns:,}",
        "stored entries": f"{matrix.nnz:,} ({share:.2%})",
        "weights": f"{math.prod(matrix.geometry.weight_shape):,} {matrix.dtype}",
        "bytes if built (CSR)": f"{matrix.needed_bytes:,}",
    }
    lines = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    heading = f"<p><b>{html.escape(repr(matrix)[1:-1])}</b></p>"
    small = max(rows, columns) <= SIDE and 0 < matrix.nnz <= ENTRIES
    return f"{heading}<table>{lines}</table>{_picture(matrix) if small else ''}"


def _picture(matrix: Matrix) -> str:
    """Return the stored entries as squares in an inline SVG."""
    stored = matrix.tocsr()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(stored.indptr))
    size = np.abs(stored.data).astype(np.float64)
    largest = size.max() or 1.0
    level = np.ceil(np.nan_to_num(size / largest) * (len(LEVELS) - 1)).astype(int)
    paths = []
    for number, ink in enumerate(LEVELS):
        there = zip(stored.indices[level == number], rows[level == number], strict=True)
        squares = "".join(f"M{x} {y}h1v1h-1z" for x, y in there)
        if squares:
            paths.append(f'<path d="{squares}" fill="currentColor" fill-opacity="{ink}"/>')
    height, width = matrix.shape
    scale = min(12.0, 480 / max(height, width))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width * scale:.0f}" '
        f'height="{height * scale:.0f}" role="img" aria-label="where its entries stand" '
        f'style="border:1px solid currentColor">{"".join(paths)}</svg>'
    )
