"""More cells than there were: resized maps, transposed convolutions, channels that become cells.

| operation | a cell is named by |
|---|---|
| resized, one axis after another | the cells that it is a sum of, with their weights |
| transposed convolution | the cells that reach it, and its phase between them |
| pixel shuffle | the cell that it was a channel of, and its phase |
| pixel unshuffle | the cells that become its channels |

A transposed convolution of stride s is a convolution of stride 1 with a channel for each of s
phases: y[q·s + r - padding] = Σₑ x[q - e]·w[e·s + r] (Shi et al., arXiv:1609.07009).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convlin.models.cells.cell_call import SAME, CellCall
from convlin.models.cells.cell_map import CellMap, Numbers, Source
from convlin.models.cells.chains import Reads
from convlin.models.cells.names import Name
from convlin.models.cells.rules.neighbouring import CONVOLUTIONS
from convlin.models.cells.rules.several_maps import numbers_along
from convlin.models.graph.per_dimension import each
from convlin.models.graph.traced import shape_of

Taps = list[list[tuple[int, float]]]  # of each cell: what it is a sum of, and with which weights

RESIZES = (
    "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d",
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
    "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
)  # fmt: skip


def resized(call: CellCall) -> CellMap | None:
    """Share a map that is resized: by linear interpolation, or to the nearest cell."""
    value = call.map(call.arg(0))
    if value is None or not value.is_plain:
        return None
    corners = (call.arg(2, False, "align_corners"),) if "linear" in call.name else ()
    factors = call.args[2 + len(corners) :]
    if len(factors) == 1 and not isinstance(factors[0], float):  # all of them as one argument
        factors = factors[0] or ()
    ndim = len(value.axes)
    for axis, size in enumerate(call.shape[1:]):
        along: list[Any] = [None] * ndim
        along[axis] = factors[axis] if axis < len(factors) else None
        sizes = [1] * ndim
        sizes[axis] = size
        taps = _taps(call.name, axis, len(value.axes[axis]), sizes, (*corners, *along))
        if taps is None:
            return None
        value = _summed(call, value, axis, taps)
    return value


def _taps(
    name: str, axis: int, size: int, sizes: list[int], options: tuple[Any, ...]
) -> Taps | None:
    """Return what each cell of a row, resized along an axis, is a sum of, as PyTorch computes it.

    None: which cell is nearest depends on the dtype.
    """

    def weights(dtype: torch.dtype) -> Tensor:
        rows = torch.eye(size, dtype=dtype, device="cpu")
        shape = [size if at == axis else 1 for at in range(len(sizes))]
        made: Tensor = getattr(torch.ops.aten, name)(rows.reshape(1, size, *shape), sizes, *options)
        return made.reshape(size, sizes[axis]).T.double()

    exact = weights(torch.float64)
    if "nearest" in name and not torch.equal(exact, weights(torch.float32)):
        return None
    taps: Taps = [[] for _ in range(sizes[axis])]
    known: dict[float, float] = {0.0: 0.0, 1.0: 1.0}
    for cell, place in exact.nonzero().tolist():
        weight = exact[cell, place].item()
        # equal but for rounding, so that their cells have one name
        weight = known.setdefault(round(weight, 12), weight)
        if weight:
            taps[cell].append((place, weight))
    return taps


def _summed(call: CellCall, value: CellMap, axis: int, taps: Taps) -> CellMap:
    """Return a map whose cells along an axis are sums of the map's."""
    names = value.axes[axis]
    if all(its == [(its[0][0], 1.0)] for its in taps):
        return value.along(axis, tuple(names[place] for ((place, _),) in taps))
    sources, parts = [], []
    for number in range(max(map(len, taps))):
        its = [tap[number] if number < len(tap) else (tap[0][0], 0.0) for tap in taps]
        moved = value.along(axis, tuple(names[place] for place, _ in its))
        factors = numbers_along(call, moved, axis, [weight for _, weight in its])
        sources += [Source(moved, (SAME,) * len(value.axes)), factors]
        parts += [moved.axes[axis], factors.map.axes[axis]]

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        first, *others = (
            block * weights.to(block.dtype)
            for block, weights in zip(blocks[::2], blocks[1::2], strict=True)
        )
        return sum(others, first)

    made = value.along(axis, tuple(map(call.names.of, zip(*parts, strict=True))))
    return call.made(
        sources, made.axes, value.roles, compute, rest=value.stored.rest, multiply_adds=0
    )


def transposed(call: CellCall) -> CellMap | None:
    """Share a transposed convolution whose weights are the model's own."""
    value, weight, bias = call.map(call.arg(0)), call.arg(1), call.arg(2, name="bias")
    if value is None or not value.is_plain or call.map(weight) or call.map(bias):
        return None
    into, per_group, *kernel = shape_of(weight)
    ndim, groups = len(kernel), call.arg(6, 1, "groups")
    stride, padding, dilation = (
        each(call.arg(place, default, name), ndim)
        for place, default, name in ((3, 1, "stride"), (4, 0, "padding"), (7, 1, "dilation"))
    )
    # of each axis: how many cells a block of phases reads, and which blocks are not cut off whole
    sides = [d * (k - 1) // s + 1 for k, s, d in zip(kernel, stride, dilation, strict=True)]
    firsts = [p // s for p, s in zip(padding, stride, strict=True)]
    lasts = [(p + n - 1) // s for p, n, s in zip(padding, call.shape[1:], stride, strict=True)]
    reads = tuple(
        Reads(first - side + 1, taps=tuple(range(side)))
        for first, side in zip(firsts, sides, strict=True)
    )
    phases = math.prod(stride)
    out = per_group * groups * phases
    run = CONVOLUTIONS[ndim]

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: tuple[int, ...]) -> Tensor:
        own = _by_phases(numbers.tensor(weight), groups, sides, stride, dilation)
        shift = None if bias is None else numbers.tensor(bias).repeat_interleave(phases)
        return run(blocks[0], own, shift, 1, 0, apart, groups)

    counts = [last - first + 1 for first, last in zip(firsts, lasts, strict=True)]
    made = call.made(
        [Source(value, reads)], call.read(value, reads, counts), value.roles, compute, rest=(out,),
        multiply_adds=out * into // groups * math.prod(sides), runs="apart",
    )  # fmt: skip
    for axis, size in reversed(list(enumerate(call.shape[1:]))):
        p, s, d = padding[axis], stride[axis], dilation[axis]
        names = [
            _reached(call, value.axes[axis], cell + p, s, range(0, d * kernel[axis], d))
            for cell in range(size)
        ]
        made = _spread(call, made, axis, s, p % s, names)
    return made


def _reached(
    call: CellCall, names: tuple[Name, ...], place: int, stride: int, taps: Sequence[int]
) -> Name:
    """Return the name of the cell that those reach which lie a tap before it, `stride` apart."""
    which = [(place - tap) // stride for tap in taps if (place - tap) % stride == 0]
    parts = [names[i] if 0 <= i < len(names) else call.names.outside for i in which]
    return call.names.of([*parts, call.names.mark("phase", place % stride)])


def _by_phases(
    weight: Tensor, groups: int, sides: Sequence[int], stride: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:  # fmt: skip
    """Return the weights of a convolution that makes all phases of a transposed one.

    (in, out / groups, *kernel) -> (out · phases, in / groups, *sides); the last axis's phases go
    fastest.
    """
    ndim = len(sides)
    size = (side * s for side, s in zip(sides, stride, strict=True))
    wide = weight.new_zeros(*weight.shape[:2], *size)
    ends = (d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
    taps = tuple(slice(0, end, d) for end, d in zip(ends, dilation, strict=True))
    wide[(slice(None), slice(None), *taps)] = weight
    pairs = zip(sides, stride, strict=True)
    wide = wide.reshape(*weight.shape[:2], *itertools.chain(*pairs))
    which, phases = range(2, 2 + 2 * ndim, 2), range(3, 3 + 2 * ndim, 2)
    apart = wide.permute(0, 1, *phases, *which).flatten(1, 1 + ndim).flip(*range(2, 2 + ndim))
    split = apart.reshape(groups, -1, *apart.shape[1:])
    return split.transpose(1, 2).flatten(0, 1)


def shuffled(call: CellCall) -> CellMap | None:
    """Share channels that become cells."""
    value = call.map(call.arg(0))
    if value is None or not value.is_plain:
        return None
    count = call.arg(1, name="upscale_factor")
    for axis in reversed(range(len(value.axes))):
        names = [
            call.names.of((name, call.names.mark("phase", phase)))
            for name in value.axes[axis]
            for phase in range(count)
        ]
        value = _spread(call, value, axis, count, 0, names)
    return value


def _spread(
    call: CellCall, value: CellMap, axis: int, count: int, start: int, names: Sequence[Name]
) -> CellMap:
    """Return a map whose channels (…, count) are (…), each phase a cell along the axis.

    start: the phase of the first cell; names: those of all cells.
    """
    if count == 1:
        return value
    places = [divmod(start + cell, count) for cell in range(len(names))]
    whole = value.along(axis, tuple(value.axes[axis][place] for place, _ in places))
    phases = numbers_along(call, whole, axis, [phase for _, phase in places])

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        block, phase = blocks
        each_phase = block.reshape(len(block), -1, count, *block.shape[2:])
        return torch.take_along_dim(each_phase, phase.long()[:, :, None], 2).squeeze(2)

    axes = whole.along(axis, tuple(names)).axes
    sources = [Source(whole, (SAME,) * len(axes)), phases]
    rest = (value.stored.rest[0] // count,)
    return call.made(sources, axes, value.roles, compute, rest=rest, multiply_adds=0)


def unshuffled(call: CellCall) -> CellMap | None:
    """Share blocks of cells that become channels."""
    value, by = call.map(call.arg(0)), call.arg(1, name="downscale_factor")
    if value is None or not value.is_plain:
        return None
    places = [(row, column) for row in range(by) for column in range(by)]
    rows, columns = ([names[phase::by] for phase in range(by)] for names in value.axes)

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        return torch.stack(list(blocks), 2).flatten(1, 2)

    sources = [
        Source(value.named((rows[row], columns[column])), (SAME, SAME)) for row, column in places
    ]
    axes = tuple(tuple(map(call.names.of, zip(*phases, strict=True))) for phases in (rows, columns))
    return call.made(sources, axes, value.roles, compute)


RULES = {
    **dict.fromkeys(RESIZES, resized),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed),
    "pixel_shuffle": shuffled,
    "pixel_unshuffle": unshuffled,
}
