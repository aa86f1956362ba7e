"""Convolutions and pools: a cell is named by the neighbours that it reads, in order.

They run without padding, on blocks that hold what is read, padding among it. An average pool
divides by what its layer divides by: where the kernel sticks out, cells that differ in that differ
in name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional

from convlin.geometry import ConvGeometry
from convlin.models.cells.cell_call import CellCall
from convlin.models.cells.cell_map import CellMap, Numbers, Runs, Source
from convlin.models.cells.chains import Reads
from convlin.models.cells.rules.several_maps import scaled_by
from convlin.models.graph.per_dimension import each, one
from convlin.models.graph.traced import shape_of

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
AVERAGES: dict[int, Any] = {
    1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d,
}  # fmt: skip
MAXIMA: dict[int, Any] = {
    1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d,
}  # fmt: skip


def convolution(call: CellCall) -> CellMap | None:
    """Share a convolution whose weights are the model's own."""
    value, weight, bias = call.map(call.arg(0)), call.arg(1), call.arg(2, name="bias")
    if value is None or not value.is_plain or call.map(weight) or call.map(bias):
        return None
    out, per_group, *kernel = shape_of(weight)
    groups = call.arg(6, 1, "groups")
    g = ConvGeometry(
        per_group * groups, out, kernel, one(call.arg(3, 1, "stride")),
        padding=one(call.arg(4, 0, "padding")), dilation=one(call.arg(5, 1, "dilation")),
        groups=groups,
    )  # fmt: skip
    rows = zip(g.kernel, g.stride, g.padding, g.dilation, strict=True)
    reads = tuple(Reads.of(k, s, before, d) for k, s, (before, _), d in rows)
    run = CONVOLUTIONS[len(reads)]

    def compute(
        numbers: Numbers, blocks: Sequence[Tensor], apart: Any, steps: Sequence[int] = g.stride
    ) -> Tensor:
        own = numbers.tensor(weight)
        shift = None if bias is None else numbers.tensor(bias)
        dilation = _times(g.dilation, apart)
        return run(blocks[0], own, shift, steps, 0, dilation, groups)

    return _windowed(call, value, reads, compute, outside=0.0, runs=_runs(reads))


def max_pool(call: CellCall) -> CellMap | None:
    """Share a max pool of numbers that have an infinity: what it pads with is below everything."""
    value, kernel = call.map(call.arg(0)), call.arg(1)
    if value is None or not (value.is_plain and call.node.meta["value"].dtype.is_floating_point):
        return None
    ndim = len(value.axes)
    sides = each(kernel, ndim)
    steps = each(call.arg(2, (), "stride") or kernel, ndim)
    before, dilation = (each(call.arg(n, default), ndim) for n, default in ((3, 0), (4, 1)))
    reads = tuple(map(Reads.of, sides, steps, before, dilation))
    run = MAXIMA[ndim]

    def compute(
        numbers: Numbers, blocks: Sequence[Tensor], apart: Any, steps: Sequence[int] = steps
    ) -> Tensor:
        made: Tensor = run(blocks[0], sides, steps, 0, _times(dilation, apart))
        return made

    return _windowed(call, value, reads, compute, outside=-math.inf, runs=_runs(reads))


def average_pool(call: CellCall) -> CellMap | None:
    """Share an average pool, with the divisor that each of its cells has."""
    value, kernel = call.map(call.arg(0)), call.arg(1)
    if value is None or not value.is_plain:
        return None
    ndim = len(value.axes)
    sides = each(kernel, ndim)
    steps = each(call.arg(2, (), "stride") or kernel, ndim)
    before = each(call.arg(3, 0, "padding"), ndim)
    counts_padding = call.arg(5, True, "count_include_pad")
    divisor = call.arg(6, None, "divisor_override")
    counts = [
        [_divisor(cell * s - p, k, m, p, counts_padding) if divisor is None else k
         for cell in range(size)]
        for k, s, p, m, size in zip(sides, steps, before, value.size, call.shape[1:], strict=True)
    ]  # fmt: skip
    factors = [[k / n if n else 0.0 for n in its] for k, its in zip(sides, counts, strict=True)]
    whole = 1.0 if divisor is None else math.prod(sides) / divisor
    reads = tuple(map(Reads.of, sides, steps, before))
    return _averaged(call, value, reads, factors, whole)


def adaptive_average(call: CellCall) -> CellMap | None:
    """Share an adaptive average pool whose cells all have as many neighbours."""
    value = call.map(call.arg(0))
    reads = None if value is None else _adaptive(call, value)
    if value is None or reads is None:
        return None
    return _averaged(call, value, reads, [[1.0] * size for size in call.shape[1:]], 1.0)


def _adaptive(call: CellCall, value: CellMap) -> tuple[Reads, ...] | None:
    """Return what the cells of an adaptive pool read, if they all read as many."""
    sizes = call.shape[1:]
    if not value.is_plain or any(m % n for m, n in zip(value.size, sizes, strict=True)):
        return None
    return tuple(Reads.of(m // n, m // n) for m, n in zip(value.size, sizes, strict=True))


def _averaged(
    call: CellCall, value: CellMap, reads: tuple[Reads, ...],
    factors: Sequence[Sequence[float]], whole: float,
) -> CellMap:  # fmt: skip
    """Return means over the kernel, times what each cell's own divisor makes of them."""
    sides, steps = [r.span for r in reads], [r.step for r in reads]
    run = AVERAGES[len(reads)]

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        made: Tensor = run(blocks[0], sides, steps)
        return made if whole == 1.0 else made * whole

    made = _windowed(call, value, reads, compute, outside=0.0)
    return scaled_by(call, made, factors)


def _windowed(
    call: CellCall, value: CellMap, reads: tuple[Reads, ...], compute: Any, outside: float,
    runs: Runs = "batched",
) -> CellMap:  # fmt: skip
    axes = call.read(value, reads, call.shape[1:])
    return call.made([Source(value, reads, outside)], axes, value.roles, compute, runs=runs)


def _runs(reads: Sequence[Reads]) -> Runs:
    """Return how runs come to what can be dilated."""
    return "apart" if all(its.step == 1 for its in reads) else "strided"


def _times(dilation: Sequence[int], apart: Sequence[int]) -> tuple[int, ...]:
    return tuple(d * n for d, n in zip(dilation, apart, strict=True))


def _divisor(start: int, kernel: int, size: int, padding: int, counts_padding: bool) -> int:
    """Return how many cells PyTorch divides by: a kernel that ceil_mode lets hang out is cut."""
    stop = min(start + kernel, size + padding)
    if counts_padding:
        return stop - start
    return min(stop, size) - max(start, 0)


RULES = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), average_pool),
    **dict.fromkeys(
        ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"), adaptive_average
    ),
}
