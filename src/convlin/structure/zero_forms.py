"""Forms with zero padding: every weight stands on a diagonal, pixel - output·stride = offset.

So each stride says at once which offsets are in use, and from them follow padding, dilation and
kernel. The stride itself shows between an output and the next: what a tap shares, it shares
between neighbours, and one of the two then reads the first pixel of the other, a stride further.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int, Num

from convlin.geometry import PaddingMode
from convlin.structure.axis_forms import AxisForm, by_size, covering
from convlin.structure.axis_support import AxisSupport
from convlin.structure.occurring import occurring

__all__ = ["likely_form", "zero_forms"]

FOLLOWED = 256  # pairs: of a random matrix they leave the strides for which few pixels are left


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
    used = np.flatnonzero(support.widths)
    first = np.full(support.outputs + 1, support.pixels)
    first[used + 1] = support.pixel[support.starts[used]]
    steps, _ = occurring(support.pixel - first[support.output])
    for stride in _followed(support, steps[steps > 0]).tolist():
        if np.array_equal(before[: len(before) - stride], after[stride:]):
            yield stride


def _followed(
    support: AxisSupport, strides: Int[np.ndarray, " strides"]
) -> Int[np.ndarray, " some_strides"]:
    """Return the strides by which outputs next to a few of those in use read what they do."""
    for pair in np.unique(np.linspace(0, len(support) - 1, FOLLOWED).astype(int)):
        for way in (-1, 1):
            output = support.output[pair] + way
            if 0 <= output < support.outputs:
                pixel = support.pixel[pair] + way * strides
                outside = (pixel < 0) | (pixel >= support.pixels)
                reads = support.number(output, np.where(outside, -1, pixel)) >= 0
                strides = strides[outside | reads]
    return strides


def _unshared(support: AxisSupport) -> list[int]:
    """Return strides for one output or one pixel in use: the others read past all pixels."""
    outputs, n = support.outputs, support.pixels
    # Output q reads the pixel p in use, and an earlier one, r, must not, nor any other pixel of the
    # same tap: p - (q - r)·stride < 0, so stride > p. The same from the other end.
    least = 1
    if support.output[0] > 0:
        least = int(support.pixel.max()) + 1
    if support.output[-1] < outputs - 1:
        least = max(least, n - int(support.pixel.min()))
    if outputs == 1:
        return [1]
    # From the last output in use on, windows so far apart leave the input whatever they read.
    ample = -(-n // (outputs - int(support.output[-1])))
    return sorted({least, max(least, ample)})


def likely_form(
    support: AxisSupport, mode: PaddingMode, taps: int | None = None
) -> AxisForm | None:
    """Return the form that most of what is read agrees with, by its windows inside the input.

    The stride is that by which most first and last pixels move on; the taps stand on the diagonals
    that are mostly read, on at most so many of them.

    >>> read = np.eye(5, 6, 0, dtype=bool) | np.eye(5, 6, 1, dtype=bool)
    >>> read[0, 3] = True
    >>> likely_form(AxisSupport.of(read), "zeros")
    AxisForm(n=6, kernel=2, stride=1, padding=(0, 0), dilation=1, mode='zeros')
    """
    used = np.flatnonzero(support.widths)
    ends = support.pixel[support.starts[used]], support.pixel[support.starts[used + 1] - 1]
    steps = np.diff(ends).ravel()
    moves, votes = np.unique(steps[steps > 0], return_counts=True)
    stride = int(moves[votes.argmax()]) if len(moves) else 1
    offsets, counts = _diagonals(support, stride)
    # More than half: a diagonal of two with one stray entry is none.
    usual = offsets[2 * counts > _lengths(offsets, stride, support)]
    if taps is not None:
        usual = np.sort(offsets[np.argsort(-counts, kind="stable")[:taps]])
    return min(covering(usual, stride, support, mode), key=by_size, default=None)


def _diagonals(
    support: AxisSupport, stride: int
) -> tuple[Int[np.ndarray, " offsets"], Int[np.ndarray, " offsets"]]:
    """Return the offsets in use, and how many pairs stand on each."""
    return occurring(support.pixel - support.output * stride)


def _lengths(
    offsets: Int[np.ndarray, " offsets"], stride: int, support: AxisSupport
) -> Int[np.ndarray, " offsets"]:
    """Return how many pixels lie on each diagonal pixel - output·stride = offset.

    Those with 0 ≤ output·stride + offset ≤ pixels - 1: outputs from ⌈-offset / stride⌉, which is
    -⌊offset / stride⌋, to ⌊(pixels - 1 - offset) / stride⌋, as far as there are outputs.
    """
    first = np.maximum(0, -(offsets // stride))
    last = np.minimum(support.outputs - 1, (support.pixels - 1 - offsets) // stride)
    count: np.ndarray = np.maximum(0, last - first + 1)
    return count
