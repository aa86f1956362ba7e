"""Forms whose padding repeats pixels: the first and last outputs read folded ones.

Circular padding shifts what is read around a ring, so every output tells all. With reflect and
replicate padding, an output whose window lies inside shows its taps as they are, and its neighbours
show the stride. Where no output's window lies inside, forms are listed one by one, and those kept
that read what they should; on maps wider than `SMALL` such forms are not looked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int, Num

from convlin.geometry import ConvGeometry, PaddingMode
from convlin.matrix import folded
from convlin.structure.axis_forms import AxisForm, by_size, covering
from convlin.structure.axis_support import AxisSupport

__all__ = ["FOLDED", "SMALL", "listed_forms", "reads_just", "shown_forms"]

FOLDED: tuple[PaddingMode, ...] = ("reflect", "replicate", "circular")
SMALL = 32  # pixels
STRIDES = 64  # that such an output's neighbours are taken to show; the first, if one lies inside
SHOWN = 5  # outputs that are taken to show their taps as they are
ALIKE = 1 / 16  # of the largest: sums of taps that differ by no more may be equal but for rounding


def shown_forms(
    support: AxisSupport, fibre: Num[np.ndarray, " pairs"], mode: PaddingMode
) -> set[AxisForm]:
    """Return the forms that some output shows; not all of them read just what is read.

    fibre: one array with this support, by whose values some strides are ruled out.

    >>> read = AxisSupport.of(np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=bool))
    >>> forms = shown_forms(read, np.array([5, 7, 5, 7, 7, 5]), "circular")
    >>> min((form for form in forms if reads_just(form, read)), key=by_size)
    AxisForm(n=3, kernel=2, stride=1, padding=(0, 1), dilation=1, mode='circular')
    """
    if not len(support):
        return set()
    return set(_circular(support, fibre) if mode == "circular" else _inside(support, mode))


def _inside(support: AxisSupport, mode: PaddingMode) -> Iterator[AxisForm]:
    """Yield the forms of outputs whose windows may lie inside: those that read most pixels."""
    widest = np.flatnonzero(support.widths == support.widths.max(initial=0))
    for output in widest[np.linspace(0, len(widest) - 1, SHOWN).astype(int)].tolist():
        row = support.row(output)
        steps = {1} if support.outputs == 1 else set()
        if output + 1 < support.outputs:
            steps |= set((support.row(output + 1) - row[0]).tolist())
        if output > 0:
            steps |= set((row[-1] - support.row(output - 1)).tolist())
        for stride in sorted(step for step in steps if step > 0)[:STRIDES]:
            for form in covering(row - output * stride, stride, support, mode):
                if _row_fits(form, support, output - 1) and _row_fits(form, support, output + 1):
                    yield form


def _row_fits(form: AxisForm, support: AxisSupport, output: int) -> bool:
    """Return whether a form reads all that an output reads; there may be no such output."""
    if not 0 <= output < support.outputs:
        return True
    position = output * form.stride + np.arange(form.kernel) * form.dilation - form.padding[0]
    return bool(np.isin(support.row(output), folded(form.geometry, form.n, position)).all())


def _circular(support: AxisSupport, fibre: Num[np.ndarray, " pairs"]) -> Iterator[AxisForm]:
    """Yield the forms whose taps cover a ring's offsets, those with the fewest taps."""
    n = support.pixels
    for stride, offsets in _turns(support, fibre):
        arcs = []
        for dilation in range(1, 3 * n // max(1, len(offsets) - 1) + 1):
            steps, starts = _arcs(offsets, dilation, n)
            arcs += [(steps, dilation, start) for start in starts]
        fewest = sorted({steps for steps, *_ in arcs})[:SHOWN]
        for steps, dilation, start in arcs:
            if steps in fewest:
                # Padding before is n at the most, and none is n as well.
                for first in {start % n - n, -(-start % n)}:
                    ends = np.array([first, first + steps * dilation])
                    yield from covering(ends, stride, support, "circular", dilation)


def _turns(
    support: AxisSupport, fibre: Num[np.ndarray, " pairs"]
) -> Iterator[tuple[int, Int[np.ndarray, " offsets"]]]:
    """Yield strides, with the offsets that every output reads, that many pixels further each."""
    n, outputs = support.pixels, support.outputs
    row = support.row(0)
    if not len(row) or outputs * len(row) != len(support):
        return
    steps = np.array([1])
    if outputs > 1:
        before, after = (support.dense(fibre, output) for output in (0, 1))
        steps = np.unique((support.row(1) - row[0]) % n)
        off = [np.abs(np.roll(before, step) - after).max() for step in steps]
        steps = steps[np.array(off) <= ALIKE * np.abs(before).max()]
    for step in steps.tolist():
        offsets = np.unique((support.pixel - support.output * step) % n)
        if len(offsets) == len(row):
            # A turn more reads the same, and leaves room for padding.
            yield from ((stride, offsets) for stride in (step, step + n, step + 2 * n) if stride)


def _arcs(offsets: Int[np.ndarray, " offsets"], dilation: int, n: int) -> tuple[int, list[int]]:
    """Return the fewest steps of `dilation` that meet all offsets on a ring, and where they start.

    Nowhere, where no number of steps meets all.
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


def reads_just(form: AxisForm, support: AxisSupport) -> bool:
    """Return whether a form reads all that is read, and nothing else but where taps may cancel."""
    space = form.space()
    reached = space.restricted(space.used(support)).reached
    return bool((reached.place(support.output, support.pixel) >= 0).all())


def listed_forms(support: AxisSupport, mode: PaddingMode, kernel: int) -> list[AxisForm]:
    """Return the forms of one folding mode and kernel size that read just this, smallest first.

    >>> read = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=bool)
    >>> listed_forms(AxisSupport.of(read), "circular", 2)[0]
    AxisForm(n=3, kernel=2, stride=1, padding=(0, 1), dilation=1, mode='circular')
    """
    read = support.table()
    outputs, n = read.shape
    widest = int(np.argmax(support.widths))
    pixels = support.row(widest)
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
        kept = _read_just(folded(geometry, n, taps - before[:, None, None]), read)
        for sides in zip(before[kept].tolist(), after[kept].tolist(), strict=True):
            found.append(AxisForm(n, kernel, stride, sides, dilation, mode))
    return sorted(found, key=by_size)


def _read_just(
    tables: Int[np.ndarray, "forms outputs taps"], read: Bool[np.ndarray, "outputs pixels"]
) -> Bool[np.ndarray, " forms"]:
    """Return which forms read just what is read, as `reads_just` does, for many at once."""
    forms, outputs, taps = tables.shape
    unread = ~read[np.arange(outputs)[:, None], tables]
    cells = np.arange(forms * outputs).reshape(forms, outputs, 1) * read.shape[1] + tables
    used = np.ones((forms, 1, taps), dtype=bool)
    while True:
        weights = np.broadcast_to(used, tables.shape).ravel()
        met = np.bincount(cells.ravel(), weights, forms * read.size)
        wrong = (used & unread & (met[cells] == 1)).any(axis=1, keepdims=True)
        if not wrong.any():
            just: np.ndarray = ((met.reshape(forms, *read.shape) > 0) | ~read).all(axis=(1, 2))
            return just
        used &= ~wrong


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
