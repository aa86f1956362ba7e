"""Forms with reflect or replicate padding, read off the windows that lie inside the input.

Such a window shows every tap by itself, and its neighbour, if inside as well, the stride: it reads
alike, that much further. Of the others, several taps of which may fall on one pixel, nothing is
taken but whether they agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from jaxtyping import Int

from convlin.geometry import PaddingMode
from convlin.structure.axis_forms import AxisForm, by_size, covering
from convlin.structure.axis_support import AxisSupport

__all__ = ["inside_forms", "reaches"]

# Let one window alone lie inside, first pixel f < stride. Reflected ones span as much as it does if
# they lie in padding altogether, less than n pixels of which are allowed: those at f - stride and
# f - 2·stride may, the next would begin before -n. So two on either side, and the one inside.
WIDEST = 5


def inside_forms(support: AxisSupport, mode: PaddingMode) -> list[AxisForm]:
    """Return the forms that windows inside may show, smallest first; not all explain the rest.

    >>> read = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]], dtype=bool)
    >>> inside_forms(AxisSupport.of(read), "replicate")[0]
    AxisForm(n=4, kernel=3, stride=1, padding=(1, 1), dilation=1, mode='replicate')
    """
    forms: set[AxisForm] = set()
    for stride, offsets in {*_of_two(support), *_of_one(support)}:
        forms.update(covering(np.array(offsets), stride, support, mode))
    return sorted(forms, key=by_size)


def _of_two(support: AxisSupport) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield stride and offsets wherever an output and the next read alike, some pixels further."""
    rows = (support.row(output) for output in range(support.outputs))
    for output, (row, following) in enumerate(pairwise(rows)):
        if len(row) and len(row) == len(following):
            stride = int(following[0] - row[0])
            if stride > 0 and (following - row == stride).all():
                yield stride, tuple((row - output * stride).tolist())


def _of_one(support: AxisSupport) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield every stride, with the offsets of an output that may be the only one inside."""
    for output in _widest(support):
        # Padding puts no window further out than 2·n - 2 pixels, which is then the largest stride.
        for stride in range(1, 2 * support.pixels) if support.outputs > 1 else [1]:
            yield stride, tuple((support.row(output) - output * stride).tolist())


def _widest(support: AxisSupport) -> list[int]:
    """Return the outputs that read furthest, if they are few enough for one of them to be it."""
    used = np.flatnonzero(support.widths)
    first, last = support.pixel[support.starts[used]], support.pixel[support.starts[used + 1] - 1]
    widest: Int[np.ndarray, " outputs"] = used[last - first == (last - first).max(initial=0)]
    return widest.tolist() if len(widest) <= WIDEST else []


def reaches(form: AxisForm, support: AxisSupport) -> bool:
    """Return whether the windows at both ends may reach what is read there, by its ends alone.

    Thousands of strides are thought of for a single window inside, and few leave that much.
    """
    n = form.n
    for output in {0, support.outputs - 1}:
        row = support.row(output)
        start = output * form.stride - form.padding[0]
        end = start + form.extent - 1
        lowest, highest = min(max(start, 0), n - 1), max(min(end, n - 1), 0)
        if form.mode == "reflect":
            lowest, highest = min(lowest, 2 * (n - 1) - end), max(highest, -start)
        if len(row) and (row[0] < lowest or row[-1] > highest):
            return False
    return True
