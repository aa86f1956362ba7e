"""Candidate forms along one dimension: a convolution of one channel, on so many pixels.

Seen along one dimension, a matrix is a set of *fibres*: for every pair of channels and every other
output and pixel position, an array (outputs × pixels). A convolution's matrix lies in a product of
spaces, one per dimension, and such a product holds a matrix iff each factor holds its fibres. So
the dimensions are searched one by one: `zero_forms.py`, `circular_forms.py` and
`inside_windows.py` list the forms that could have read just these pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from convlin.geometry import ConvGeometry, PaddingMode
from convlin.structure.axis_space import AxisSpace
from convlin.structure.axis_support import AxisSupport

__all__ = ["IDLE", "AxisForm", "by_size", "covering"]

# Taps of a kernel for each that an output reads on average: a longer one is not looked for. Half as
# many would lose kernels that are mostly 0, twice as many make tables of every stray entry.
IDLE = 8


@dataclass(frozen=True)
class AxisForm:
    """A convolution along one dimension, on `n` pixels."""

    n: int
    kernel: int
    stride: int
    padding: tuple[int, int]
    dilation: int
    mode: PaddingMode

    @property
    def key(self) -> tuple[int, int, int, int, int]:
        """What makes a form small: taps, then padding (in all, and by side), dilation, stride."""
        return self.kernel, sum(self.padding), max(self.padding), self.dilation, self.stride

    @property
    def span(self) -> object:
        """Equal for forms that hold the same matrices, if both read the same pixels.

        Every weight stands on one diagonal, on a ring up to whole turns; reflect and replicate
        padding add up what stands on several, which padding and dilation change too.
        """
        if self.mode in ("zeros", "circular"):
            return self.stride % self.n if self.mode == "circular" else self.stride
        return self

    @property
    def extent(self) -> int:
        """Pixels from the first to the last tap."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def geometry(self) -> ConvGeometry:
        """The form as a geometry of one dimension and one channel."""
        return ConvGeometry(
            1, 1, (self.kernel,), self.stride, (self.padding,), self.dilation,
            padding_mode=self.mode,
        )  # fmt: skip

    def space(self) -> AxisSpace:
        """Return what its taps span."""
        return AxisSpace(self.geometry, 0, self.n)


def by_size(form: AxisForm) -> tuple[int, ...]:
    """Return the key that sorts forms, smallest first; of equal ones, less padding before first."""
    return *form.key, form.padding[0]


def covering(
    offsets: Int[np.ndarray, " offsets"],
    stride: int,
    support: AxisSupport,
    mode: PaddingMode = "zeros",
    dilation: int | None = None,
) -> Iterator[AxisForm]:
    """Yield the forms of a stride whose taps fall on these offsets, for one or every dilation.

    offsets: where the taps of output 0 would stand, from the first pixel on; sorted, may be
    negative, may be none. Kernels of which next to nothing is read are left out where they are
    huge: their tables would take far more than the matrix.

    >>> support = AxisSupport.of(np.eye(3, 4, 1, dtype=bool))
    >>> next(covering(np.array([1]), 1, support))
    AxisForm(n=4, kernel=2, stride=1, padding=(0, 0), dilation=1, mode='zeros')
    """
    n, outputs = support.pixels, support.outputs
    first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    limit = {"reflect": n - 1, "circular": n}.get(mode, math.inf)
    taps = IDLE * max(len(support), outputs) // outputs
    for apart in [dilation] if dilation else _dilations(offsets - first, n):
        # Tap t of output 0 stands at t·apart - before: the first tap at `first`, or, where that is
        # inside the input, as few steps further out as reach padding or its edge.
        before = -first if first <= 0 else -first % apart
        kernel = (last + before) // apart + 1
        jump = stride
        if outputs == 1:
            jump = max(stride, n + before - (kernel - 1) * apart)
        # There are ⌊(n + before + after - extent) / stride⌋ + 1 outputs, with after = 0 one more
        # than `outputs` if the extent is below n + before - outputs·stride + 1 …
        extent = n + before - outputs * jump + 1
        kernel = max(kernel, -(-(extent - 1) // apart) + 1)
        # … and as many as that if after is what the last window, from (outputs - 1)·stride - before
        # on, needs beyond the n pixels.
        extent = (kernel - 1) * apart + 1
        after = max(0, (outputs - 1) * jump + extent - n - before)
        # Taps that meet all around a ring are one: a longer kernel only blurs what is exact.
        most = min(taps, n // math.gcd(n, apart)) if mode == "circular" else taps
        if max(before, after) <= limit and kernel <= most:
            yield AxisForm(n, kernel, jump, (before, after), apart if kernel > 1 else 1, mode)
        if kernel == 1:  # one tap has no dilation
            return


def _dilations(steps: Int[np.ndarray, " offsets"], n: int) -> Iterator[int]:
    common = math.gcd(*steps.tolist())
    yield from _divisors(common) if common else range(1, n + 1)


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]
