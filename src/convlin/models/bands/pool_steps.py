"""Pools in bands: as convolutions, on all that they read along rows.

Padding is below every number for a maximum. An average divides by the number of cells that it
reads, which near the image's border are fewer: there a sum is divided by the true counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, fx, nn
from torch.nn import functional

from convlin.models.bands.band_step import Asked, Span, Step
from convlin.models.bands.neighbour_steps import arguments, axes_along
from convlin.models.bands.row_flow import Neighbours
from convlin.models.bands.row_queue import Chunk
from convlin.models.graph.per_dimension import each

__all__ = ["FUNCTIONS", "MODULES"]

Constants = Mapping[fx.Node, Any]


def max_pool(asked: Asked) -> Step:
    """Return the step of a max pool: padding is below every number."""
    given = _given(asked, MAX_POOL)
    if given.get("return_indices"):
        raise asked.refused("return_indices", True, "False", "indices count within one image")
    kernel, pads, spacing = (
        each(given[name], asked.ndim) for name in ("kernel_size", "padding", "dilation")
    )
    stride = each(given["stride"] or kernel, asked.ndim)
    pairs = [(p, p) for p in pads]
    axes = axes_along(asked, kernel, stride, pairs, spacing, ceil=given["ceil_mode"])
    pool = POOLS["max", asked.ndim]

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        made: Tensor = pool(
            chunks[0].rows, kernel, stride, (0, *pads[1:]), spacing, given["ceil_mode"]
        )
        return made

    return asked.step(asked.read, axes, compute, fill=-math.inf, twins=2)


def average_pool(asked: Asked) -> Step:
    """Return the step of an average pool."""
    given = _given(asked, AVERAGE_POOL)
    kernel, pads = (each(given[name], asked.ndim) for name in ("kernel_size", "padding"))
    stride = each(given["stride"] or kernel, asked.ndim)
    ceil, divisor = given["ceil_mode"], given["divisor_override"]
    with_padding = given["count_include_pad"]
    pairs = [(p, p) for p in pads]
    axes = axes_along(asked, kernel, stride, pairs, (1,) * asked.ndim, ceil=ceil)
    pool, inner = POOLS["avg", asked.ndim], (0, *pads[1:])
    more = () if asked.ndim == 1 else (divisor,)

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        x = chunks[0].rows
        start, stop = axes[0].rows(span.first, span.last, span.read[0])
        made: Tensor
        if divisor is not None or (start >= 0 and stop <= span.read[0]):
            made = pool(x, kernel, stride, inner, ceil, with_padding, *more)
            return made
        outputs = [range(span.first, span.last), *map(range, span.made[1:])]
        made = _sums(x, kernel, stride, inner, ceil)
        counts = x.new_ones(())
        for axis, those, n in zip(axes, outputs, span.read, strict=True):
            along = x.new_tensor([_count(axis, o, n, with_padding) for o in those])
            counts = counts.unsqueeze(-1) * along
        return made.div_(counts)

    return asked.step(asked.read, axes, compute, twins=1)


def _count(axis: Neighbours, output: int, n: int, with_padding: bool) -> int:
    """Return how many inputs an average divides by along one axis."""
    start = output * axis.stride - axis.before
    stop = min(start + axis.kernel, n + axis.after)
    return stop - start if with_padding else min(stop, n) - max(start, 0)


def _sums(
    x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...],
    ceil: bool,
) -> Tensor:  # fmt: skip
    """Return the sums that average pools divide."""
    if len(kernel) > 1:
        made: Tensor = POOLS["avg", len(kernel)](x, kernel, stride, padding, ceil, True, 1)
        return made
    flat = functional.avg_pool2d(
        x.unsqueeze(-1), (*kernel, 1), (*stride, 1), (*padding, 0), ceil, True, 1
    )
    return flat.squeeze(-1)


def _given(asked: Asked, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pool's arguments, of its layer's attributes or of its call."""
    if asked.module is None:
        return arguments(asked.node, defaults)
    names = ("return_indices", *defaults)
    return dict(defaults) | {
        name: getattr(asked.module, name) for name in names if hasattr(asked.module, name)
    }


MAX_POOL = {
    "kernel_size": None, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False,
}  # fmt: skip
AVERAGE_POOL = {
    "kernel_size": None, "stride": None, "padding": 0, "ceil_mode": False,
    "count_include_pad": True, "divisor_override": None,
}  # fmt: skip
POOLS: dict[tuple[str, int], Callable[..., Any]] = {
    ("max", 1): functional.max_pool1d, ("max", 2): functional.max_pool2d,
    ("max", 3): functional.max_pool3d, ("avg", 1): functional.avg_pool1d,
    ("avg", 2): functional.avg_pool2d, ("avg", 3): functional.avg_pool3d,
}  # fmt: skip

MODULES: dict[type[nn.Module], Callable[[Asked], Step]] = {
    nn.MaxPool1d: max_pool, nn.MaxPool2d: max_pool, nn.MaxPool3d: max_pool,
    nn.AvgPool1d: average_pool, nn.AvgPool2d: average_pool, nn.AvgPool3d: average_pool,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[Asked], Step]] = {
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), average_pool),
}
