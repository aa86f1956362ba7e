"""Forms with circular padding: what is read turns around a ring, one stride an output.

Every output reads as many pixels as any other, so the first shows all offsets, and the second the
turn. No tap meets another as long as the kernel goes around at most once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int, Num

from convlin.structure.axis_forms import AxisForm, by_size, covering
from convlin.structure.axis_support import AxisSupport
from convlin.structure.occurring import occurring

__all__ = ["circular_forms"]


def circular_forms(support: AxisSupport, fibre: Num[np.ndarray, " pairs"]) -> list[AxisForm]:
    """Return the forms with circular padding whose taps reach just what is read, smallest first.

    fibre: one array with this support, by whose values some turns are ruled out.

    >>> read = AxisSupport.of(np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=bool))
    >>> circular_forms(read, np.array([5, 7, 5, 7, 7, 5]))[0]
    AxisForm(n=3, kernel=2, stride=1, padding=(0, 1), dilation=1, mode='circular')
    """
    forms: set[AxisForm] = set()
    n = support.pixels
    for stride, offsets in _turns(support, fibre):
        # Padding is n at the most on either side, so that no window spans more than three rings:
        # taps so far apart are the smallest form where padding is just as wide.
        for dilation in range(1, 3 * n // max(1, len(offsets) - 1) + 1):
            steps, starts = _arcs(offsets, dilation, n)
            for start in starts:
                # Padding before is n at the most, and none is n as well.
                for first in {start % n - n, -(-start % n)}:
                    ends = np.array([first, first + steps * dilation])
                    forms.update(covering(ends, stride, support, "circular", dilation))
    return sorted(forms, key=by_size)


def _turns(
    support: AxisSupport, fibre: Num[np.ndarray, " pairs"]
) -> Iterator[tuple[int, Int[np.ndarray, " offsets"]]]:
    """Yield strides, with the offsets that every output reads, that many pixels further each."""
    n, outputs = support.pixels, support.outputs
    row = support.row(0)
    if not len(row) or outputs * len(row) != len(support):
        return
    turns = [1]
    if outputs > 1:
        first, second = (support.dense(fibre, output) for output in (0, 1))
        turns = [
            turn
            for turn in np.unique((support.row(1) - row[0]) % n).tolist()
            if np.array_equal(np.roll(first, turn), second)
        ]
    for turn in turns:
        offsets, _ = occurring((support.pixel - support.output * turn) % n)
        if len(offsets) == len(row):
            # A turn more reads the same, and then any kernel will do: one output more would need
            # before + n + after ≥ outputs·(turn + n) + extent, with padding of n at the most.
            yield from ((stride, offsets) for stride in (turn, turn + n) if stride)


def _arcs(offsets: Int[np.ndarray, " offsets"], dilation: int, n: int) -> tuple[int, list[int]]:
    """Return the fewest steps of `dilation` that meet all offsets on a ring, and where they start.

    Nowhere, where no number of steps meets all. On a ring of n pixels, steps of d come back after
    n/g of them, g = gcd(d, n), and meet every g-th pixel. Offset o is met after step
    (o/g)·(d/g)⁻¹ mod n/g; the shortest arc through all such steps leaves out the widest gap.
    """
    common = math.gcd(dilation, n)
    steps, rest = np.divmod(offsets - offsets[0], common)
    if rest.any():
        return 0, []
    around = n // common
    if around > 1:
        steps = np.sort(steps * pow(dilation // common, -1, around) % around)
    gaps = np.diff(steps, append=steps[0] + around)
    starts = (np.flatnonzero(gaps == gaps.max()) + 1) % len(steps)
    return around - int(gaps.max()), (offsets[0] + steps[starts] * dilation).tolist()
