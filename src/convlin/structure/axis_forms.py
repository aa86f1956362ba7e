"""Which one-dimensional convolutions could have read these pixels: candidate forms, smallest first.

Seen along one dimension, a matrix is a set of *fibres*: for every pair of channels and every other
output and pixel position, an array (outputs × pixels). A convolution's matrix lies in a product of
spaces, one per dimension, and such a product holds a matrix iff each factor holds its fibres. So
the dimensions are searched one by one.

Zero padding leaves every weight on a diagonal, pixel - output·stride = const. So for each stride
the diagonals in use give padding, dilation and kernel at once. With other padding modes the first
and last outputs read folded pixels; there forms are listed, and those kept whose widest row reads
what it should.

A form in which no two outputs share a weight says nothing: every matrix with the same zeros has
it (with a stride so large that windows never meet). Such forms are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from convlin.geometry import ConvGeometry, PaddingMode
from convlin.matrix import folded
from convlin.structure.axis_space import AxisSpace

__all__ = ["FOLDED", "AxisForm", "anything_to_share", "folded_forms", "likely_form", "zero_forms"]

FOLDED: tuple[PaddingMode, ...] = ("reflect", "replicate", "circular")


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


def zero_forms(read: Bool[np.ndarray, "outputs pixels"]) -> list[AxisForm]:
    """Return the forms with zero padding whose taps reach all that is read, smallest first.

    read: which output reads which pixel.

    >>> read = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]], dtype=bool)
    >>> zero_forms(read)[0]
    AxisForm(n=4, kernel=2, stride=1, padding=(1, 1), dilation=2, mode='zeros')
    """
    outputs, n = read.shape
    at, pixel = np.nonzero(read)
    forms = set()
    for stride in range(1, (n if outputs > 1 else 2 * n) + 1):
        offsets = np.unique(pixel - at * stride)
        if _diagonals(offsets, stride, read.shape).sum() != len(at):
            continue  # a weight that is not 0 shows on its whole diagonal
        if len(offsets) < len(at) or not anything_to_share(read):
            forms |= set(_covering(offsets, stride, read.shape))
    return sorted(forms, key=lambda form: form.key)


def _covering(
    offsets: Int[np.ndarray, " offsets"], stride: int, shape: tuple[int, ...]
) -> Iterator[AxisForm]:
    """Yield the forms of a stride whose taps fall on these diagonals, one per dilation."""
    outputs, n = shape
    first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    common = math.gcd(*(int(offset) for offset in offsets - first))
    for dilation in _divisors(common) if common else range(1, n + 1):
        before = -first if first <= 0 else -first % dilation
        kernel = (last + before) // dilation + 1
        # A kernel shorter than this would have one output more.
        extent = n + before - outputs * stride + 1
        kernel = max(kernel, -(-(extent - 1) // dilation) + 1)
        extent = (kernel - 1) * dilation + 1
        after = max(0, (outputs - 1) * stride + extent - n - before)
        spread = dilation if kernel > 1 else 1
        yield AxisForm(n, kernel, stride, (before, after), spread, "zeros")


def anything_to_share(read: Bool[np.ndarray, "outputs pixels"]) -> bool:
    """Return whether more than one output and more than one pixel are in use.

    >>> anything_to_share(np.array([[0, 1], [0, 1]], dtype=bool))
    False
    """
    return bool(min(np.count_nonzero(read.any(axis=axis)) for axis in (0, 1)) > 1)


def likely_form(read: Bool[np.ndarray, "outputs pixels"]) -> AxisForm:
    """Return the zero-padded form that most of what is read agrees with.

    The stride is that with the fewest exceptions: pixels on diagonals that are mostly unread, or
    unread ones on those that are mostly read.
    """
    at, pixel = np.nonzero(read)
    ranked = []
    for stride in range(1, max(read.shape[1], 2)):
        offsets, counts = np.unique(pixel - at * stride, return_counts=True)
        whole = _diagonals(offsets, stride, read.shape)
        usual = 2 * counts > whole
        exceptions = int(counts[~usual].sum() + (whole - counts)[usual].sum())
        ranked.append((exceptions, stride, offsets[usual]))
    _, stride, offsets = min(ranked, key=lambda found: found[:2])
    return min(_covering(offsets, stride, read.shape), key=lambda form: form.key)


def _diagonals(
    offsets: Int[np.ndarray, " offsets"], stride: int, shape: tuple[int, ...]
) -> Int[np.ndarray, " offsets"]:
    """Return how many pixels lie on each diagonal pixel - output·stride = offset."""
    outputs, n = shape
    first = np.maximum(0, -(offsets // stride))
    last = np.minimum(outputs - 1, (n - 1 - offsets) // stride)
    count: np.ndarray = np.maximum(0, last - first + 1)
    return count


def folded_forms(
    read: Bool[np.ndarray, "outputs pixels"], mode: PaddingMode, kernel: int
) -> list[AxisForm]:
    """Return the forms of one folding mode and kernel size that read just this, smallest first.

    >>> read = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=bool)
    >>> folded_forms(read, "circular", 2)[0]
    AxisForm(n=3, kernel=2, stride=1, padding=(0, 1), dilation=1, mode='circular')
    """
    outputs, n = read.shape
    widest = int(np.argmax(read.sum(axis=1)))
    pixels = np.flatnonzero(read[widest])
    geometry = ConvGeometry(1, 1, (1,), padding_mode=mode)
    found = []
    for dilation, stride in _steps(read, kernel):
        span = (outputs - 1) * stride + (kernel - 1) * dilation + 1
        limits = [_most(seen, mode, span, stride) for seen in (read, read[::-1, ::-1])]
        before = np.arange(limits[0] + 1)
        after = np.maximum(0, span - n - before)
        fits = (span + stride - 1 - n - before >= 0) & (after <= limits[1])
        before, after = before[fits], after[fits]
        position = widest * stride + np.arange(kernel) * dilation - before[:, None]
        reads = np.zeros((len(before), n), dtype=bool)
        np.put_along_axis(reads, folded(geometry, n, position), True, axis=1)
        before, after = (side[reads[:, pixels].all(axis=1)] for side in (before, after))
        taps = np.arange(outputs)[:, None] * stride + np.arange(kernel) * dilation
        kept = _reach_just(folded(geometry, n, taps - before[:, None, None]), read)
        for sides in zip(before[kept].tolist(), after[kept].tolist(), strict=True):
            found.append(AxisForm(n, kernel, stride, sides, dilation, mode))
    return sorted(found, key=lambda form: form.key)


def _reach_just(
    tables: Int[np.ndarray, "forms outputs taps"], read: Bool[np.ndarray, "outputs pixels"]
) -> Bool[np.ndarray, " forms"]:
    """Return which forms read just what is read, by taps whose every position is read.

    A tap that would read anything else can only have the weight 0.
    """
    used = read[np.arange(len(read))[:, None], tables].all(axis=1)
    form, output, tap = np.nonzero(np.broadcast_to(used[:, None, :], tables.shape))
    reached = np.zeros((len(tables), *read.shape), dtype=bool)
    reached[form, output, tables[form, output, tap]] = True
    just: np.ndarray = (reached == read).all(axis=(1, 2))
    return just


def _steps(read: Bool[np.ndarray, "outputs pixels"], kernel: int) -> Iterator[tuple[int, int]]:
    """Yield the dilations and strides worth a look: padding triples the input at the most.

    Outputs that read only the first or the last pixel may lie in replicated padding altogether.
    """
    outputs, n = read.shape
    inner = outputs - 1 - int((~read[:, 1:].any(axis=1)).sum() + (~read[:, :-1].any(axis=1)).sum())
    spacing = max(1, (3 * n - 1) // (kernel - 1)) if kernel > 1 else 1
    for dilation in range(1, spacing + 1):
        reach = n + 2 * max(n, (kernel - 1) * dilation + 1)
        most = min(n, reach // inner) if inner > 0 else 2 * n
        yield from ((dilation, stride) for stride in range(1, most + 1))


def _most(
    read: Bool[np.ndarray, "outputs pixels"], mode: PaddingMode, span: int, stride: int
) -> int:
    """Return the most padding before that a mode allows, or that can matter.

    Replication has no limit of its own, but ends where an output reads past the first pixel.
    """
    outputs, n = map(int, read.shape)
    if mode != "replicate":
        return n - 1 if mode == "reflect" else n
    past = np.flatnonzero(read[:, 1:].any(axis=1))
    rows_past = outputs - 1 - int(past[0]) if len(past) else 0
    return span - rows_past * stride


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]
