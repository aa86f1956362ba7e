"""What a figure shows, read back from its artists; and convolutions by loops, as the oracle."""

import itertools

from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex


def texts(figure):
    """Every text of a figure."""
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def squares(axes, left, top, side, rows, columns):
    """Colours, from left to right, of each cell (row, column) of a grid at a place in inches."""
    found = {}
    for collection in axes.collections:
        if not isinstance(collection, PolyCollection) or collection.get_zorder() < 2:
            continue  # grey by value lies below what is painted
        faces = collection.get_facecolor()
        for number, path in enumerate(collection.get_paths()):
            (x0, y0), (x1, y1) = path.vertices.min(axis=0), path.vertices.max(axis=0)
            row, column = ((y0 + y1) / 2 - top) / side, ((x0 + x1) / 2 - left) / side
            if 0 <= row < rows and 0 <= column < columns:
                face = to_hex(faces[number % len(faces)])
                found.setdefault((int(row), int(column)), []).append((x0, face))
    return {place: [face for _, face in sorted(parts)] for place, parts in found.items()}


def source(n, output, tap, stride=1, padding=0, dilation=1, mode="zeros"):
    """The pixel that a tap of an output reads along one dimension, or None."""
    at = output * stride + tap * dilation - padding
    if mode == "reflect":
        at = -at if at < 0 else at
        return 2 * (n - 1) - at if at >= n else at
    return at if 0 <= at < n else None


def reads(size, kernel, output, **options):
    """Each (tap, pixel) of one output position, taps in order."""
    for tap in itertools.product(*map(range, kernel)):
        pixel = tuple(source(n, o, t, **options) for n, o, t in zip(size, output, tap, strict=True))
        if None not in pixel:
            yield tap, pixel
