"""Forms with zero padding: every weight stands on a diagonal, pixel - output·stride = offset.

So each stride says at once which offsets are in use, and from them follow padding, dilation and
kernel. The stride itself shows between an output and the next: what a tap shares, it shares
between neighbours, and one of the two then reads the first pixel of the other, a stride further.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int, Num

from convlin.structure.axis_forms import AxisForm, by_size, covering
from convlin.structure.axis_support import AxisSupport

__all__ = ["likely_form", "zero_forms"]

WIDE = 64  # pixels from which on few strides are tried where nothing is shared
LIKELY = 32  # strides that are tried where no stride fits


def zero_forms(support: AxisSupport, fibre: Num[np.ndarray, " pairs"]) -> list[AxisForm]:
    """Return the forms with zero padding whose taps reach all that is read, smallest first.

    fibre: one array with this support, by whose values some strides are ruled out.

    >>> read = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]], dtype=bool)
    >>> zero_forms(AxisSupport.of(read), np.array([5, 7, 5, 7, 5, 7]))[0]
    AxisForm(n=4, kernel=2, stride=1, padding=(1, 1), dilation=2, mode='zeros')
    """
    forms: set[AxisForm] = set()
    shareable = support.shareable
    for stride in _shared(support, fibre) if shareable else _unshared(support):
        offsets, counts = _diagonals(support, stride)
        whole = _lengths(offsets, stride, support)
        # A weight that is not 0 shows on its whole diagonal.
        if (counts == whole).all() and (len(offsets) < len(support) or not shareable):
            forms |= set(covering(offsets, stride, support))
    return sorted(forms, key=by_size)


def _shared(support: AxisSupport, fibre: Num[np.ndarray, " pairs"]) -> Iterator[int]:
    """Yield the strides by which some output reads what the one before it reads."""
    nonzero = np.bincount(support.output[fibre != 0], minlength=support.outputs)
    fullest = int(np.argmax(nonzero[:-1] + nonzero[1:]))
    before, after = (support.dense(fibre, output) for output in (fullest, fullest + 1))
    for stride in _steps(support)[0].tolist():
        if np.array_equal(before[: len(before) - stride], after[stride:]):
            yield stride


def _steps(support: AxisSupport) -> tuple[Int[np.ndarray, " steps"], Int[np.ndarray, " steps"]]:
    """Return how far outputs read beyond the first pixel of the output before, and how often."""
    used = np.flatnonzero(support.widths)
    first = np.full(support.outputs + 1, support.pixels)
    first[used + 1] = support.pixel[support.starts[used]]
    steps = support.pixel - first[support.output]
    found, counts = np.unique(steps[steps > 0], return_counts=True)
    return found, counts


def _unshared(support: AxisSupport) -> list[int]:
    """Return strides for one output or one pixel in use: the others read past all pixels."""
    outputs, n = support.outputs, support.pixels
    if not len(support):
        return [-(-n // outputs)]
    least = 1
    if support.output[0] > 0:
        least = int(support.pixel.max()) + 1
    if support.output[-1] < outputs - 1:
        least = max(least, n - int(support.pixel.min()))
    if outputs == 1:
        return [1]
    if n < WIDE:
        return list(range(least, 2 * n + 1))
    ample = -(-n // (outputs - int(support.output[-1])))
    return sorted({least, max(least, ample)})


def likely_form(support: AxisSupport) -> AxisForm:
    """Return the zero-padded form that most of what is read agrees with.

    The stride is that with the fewest exceptions: pixels on diagonals that are mostly unread, or
    unread ones on those that are mostly read.
    """
    steps, counts = _steps(support)
    ranked = []
    for stride in steps[np.argsort(-counts, kind="stable")][:LIKELY].tolist() or [1]:
        offsets, counts = _diagonals(support, stride)
        whole = _lengths(offsets, stride, support)
        usual = 2 * counts > whole
        exceptions = int(counts[~usual].sum() + (whole - counts)[usual].sum())
        ranked.append((exceptions, stride, offsets[usual]))
    for _, stride, offsets in sorted(ranked, key=lambda found: found[:2]):
        if forms := list(covering(offsets, stride, support)):
            return min(forms, key=by_size)
    n, outputs = support.pixels, support.outputs
    return next(covering(offsets[:0], -(-n // outputs), support))  # one tap, windows apart


def _diagonals(
    support: AxisSupport, stride: int
) -> tuple[Int[np.ndarray, " offsets"], Int[np.ndarray, " offsets"]]:
    """Return the offsets in use, and how many pairs stand on each."""
    offsets, counts = np.unique(support.pixel - support.output * stride, return_counts=True)
    return offsets, counts


def _lengths(
    offsets: Int[np.ndarray, " offsets"], stride: int, support: AxisSupport
) -> Int[np.ndarray, " offsets"]:
    """Return how many pixels lie on each diagonal pixel - output·stride = offset."""
    first = np.maximum(0, -(offsets // stride))
    last = np.minimum(support.outputs - 1, (support.pixels - 1 - offsets) // stride)
    count: np.ndarray = np.maximum(0, last - first + 1)
    return count
