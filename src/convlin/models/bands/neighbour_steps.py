"""Convolutions, pools and padding in bands: along rows they are handed all that they read.

A chunk begins with the first row that its first output reads and ends with the last row that its
last one does, padding included; so a layer runs on it without padding along rows, and gives exactly
the outputs asked for. Along the other axes it pads as it always does.

An average pool divides by the number of rows that it reads, which near the image's border are
fewer: there a sum is divided by the true counts.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from convlin.errors import Refused
from convlin.geometry import ConvGeometry
from convlin.internals.modules import ConstantPadBase, ConvBase, TransposedConvBase
from convlin.layers.forms.linear_forms import LinearForm
from convlin.models.bands.band_step import Asked, Span, Step
from convlin.models.bands.row_flow import BorderMode, Neighbours
from convlin.models.bands.row_queue import Chunk
from convlin.models.dense.grid import CONV_FUNCTIONS
from convlin.models.dense.grid import dilated_mean as dilated_mean_of
from convlin.models.graph.per_dimension import each, one

__all__ = ["FUNCTIONS", "MODULES"]

Constants = Mapping[fx.Node, Any]
Pairs = Sequence[tuple[int, int]]
MODES: dict[str, BorderMode] = {
    "zeros": "constant", "constant": "constant", "reflect": "reflect", "replicate": "replicate",
}  # fmt: skip
CIRCULAR = "the first rows would wait for the last"


def convolution_module(asked: Asked) -> Step:
    """Return the step of a convolution that is a layer."""
    module = asked.module
    if isinstance(module, TransposedConvBase):
        raise asked.refused("type", type(module).__name__, "a layer that reads neighbours",
                            "convlin has no rule for it in bands")  # fmt: skip
    try:
        g = ConvGeometry.of(module)
    except Refused as refused:
        raise Refused([replace(r, site=asked.site) for r in refused.refusals]) from None
    inner = copy.copy(module)  # around the same parameters and hooks
    inner.padding_mode = "zeros"
    inner.padding = _own_padding(g)
    return _convolution(asked, g, lambda x, constants: inner(x))


def convolution_function(asked: Asked) -> Step:
    """Return the step of a convolution whose weight is computed, or read by the code."""
    given = _named(asked.node, CONVOLUTION)
    weight = asked.values[given["weight"]]
    out, per_group, *kernel = weight.shape
    groups = given["groups"]
    g = ConvGeometry(
        per_group * groups, out, kernel, one(given["stride"]), padding=one(given["padding"]),
        dilation=one(given["dilation"]), groups=groups,
    )  # fmt: skip
    function = CONV_FUNCTIONS[g.ndim]
    padding = _own_padding(g)

    def run(x: Tensor, constants: Constants) -> Tensor:
        kernel, bias = constants[given["weight"]], given["bias"] and constants[given["bias"]]
        return function(x, kernel, bias, g.stride, padding, g.dilation, groups)

    return _convolution(asked, g, run)


def _convolution(asked: Asked, g: ConvGeometry, run: Callable[[Tensor, Constants], Tensor]) -> Step:
    axes = _axes(asked, g.kernel, g.stride, g.padding, g.dilation, mode=g.padding_mode)
    mode = "constant" if g.padding_mode == "zeros" else g.padding_mode
    sides = () if _pads_itself(g) else g.padding[1:]

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        return run(_padded(chunks[0].rows, sides, mode), constants)

    return asked.step(
        asked.node.all_input_nodes[:1], axes, compute, copies=int(any(map(any, sides))),
        **_products(g),
    )  # fmt: skip


def _products(g: ConvGeometry) -> dict[str, int]:
    """Return what one output cell takes: groups follow each other."""
    taps = g.in_channels // g.groups * math.prod(g.kernel)
    return {
        "multiply_adds": g.out_channels * taps, "patch": taps, "kernel": g.out_channels * taps,
        "twins": int(g.groups > 1),
    }  # fmt: skip


def _pads_itself(g: ConvGeometry) -> bool:
    """Whether the layer's own padding can be along the axes that are no rows."""
    return g.padding_mode == "zeros" and all(before == after for before, after in g.padding[1:])


def _own_padding(g: ConvGeometry) -> tuple[int, ...]:
    own = [before if _pads_itself(g) else 0 for before, _ in g.padding[1:]]
    return (0, *own)


def linear_form(asked: Asked) -> Step:
    """Return the step of a convolution that runs as windows through a Linear."""
    g = asked.module.geometry
    if any(g.padding[0]):
        raise asked.refused("padding", g.padding, "none along rows")
    axes = _axes(asked, g.kernel, g.stride, [(0, 0), *g.padding[1:]], g.dilation)
    module = asked.module
    return asked.step(
        asked.node.all_input_nodes[:1], axes, lambda chunks, constants, span: module(chunks[0].rows),
        copies=1, columns=2 * g.in_channels * math.prod(g.kernel), **_products(g),
    )  # fmt: skip


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
    axes = _axes(asked, kernel, stride, pairs, spacing, ceil=given["ceil_mode"])
    pool = _POOLS["max", asked.ndim]

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        made: Tensor = pool(
            chunks[0].rows, kernel, stride, (0, *pads[1:]), spacing, given["ceil_mode"]
        )
        return made

    return asked.step(asked.node.all_input_nodes[:1], axes, compute, fill=-math.inf, twins=2)


def average_pool(asked: Asked) -> Step:
    """Return the step of an average pool."""
    given = _given(asked, AVERAGE_POOL)
    kernel, pads = (each(given[name], asked.ndim) for name in ("kernel_size", "padding"))
    stride = each(given["stride"] or kernel, asked.ndim)
    ceil, divisor = given["ceil_mode"], given["divisor_override"]
    with_padding = given["count_include_pad"]
    pairs = [(p, p) for p in pads]
    axes = _axes(asked, kernel, stride, pairs, (1,) * asked.ndim, ceil=ceil)
    pool, inner = _POOLS["avg", asked.ndim], (0, *pads[1:])
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
        for dim, (axis, those, n) in enumerate(zip(axes, outputs, span.read, strict=True), 2):
            counts = [_count(axis, o, n, with_padding) for o in those]
            shape = [-1 if d == dim else 1 for d in range(x.ndim)]
            numbers = torch.tensor(counts, dtype=x.dtype, device=x.device).reshape(shape)
            divide = numbers if dim == 2 else divide * numbers
        return made.div_(divide)

    return asked.step(asked.node.all_input_nodes[:1], axes, compute, twins=1)


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
        made: Tensor = _POOLS["avg", len(kernel)](x, kernel, stride, padding, ceil, True, 1)
        return made
    flat = functional.avg_pool2d(
        x.unsqueeze(-1), (*kernel, 1), (*stride, 1), (*padding, 0), ceil, True, 1
    )
    return flat.squeeze(-1)


def dilated_mean(asked: Asked) -> Step:
    """Return the step of a mean of cells that lie apart."""
    source, kernel, dilation, *stride = asked.node.args
    steps = each(stride[0] if stride else 1, asked.ndim)
    axes = _axes(asked, kernel, steps, [(0, 0)] * asked.ndim, dilation)

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        return dilated_mean_of(chunks[0].rows, kernel, dilation, steps)

    channels = asked.values[source].shape[1]
    taps = math.prod(kernel)
    return asked.step(
        [source], axes, compute, multiply_adds=channels * taps, patch=taps, twins=1,
        kernel=channels * taps,
    )  # fmt: skip


def pad(asked: Asked) -> Step:
    """Return the step of padding by a layer or a function; negative padding cuts rows off."""
    module, node = asked.module, asked.node
    if module is None:
        given = _named(node, PAD)
        sides, mode, value = given["pad"], given["mode"], given["value"] or 0.0
    else:
        sides, mode = module.padding, _PAD_MODES[_base(module, _PAD_MODES)]
        value = getattr(module, "value", 0.0)
    sides = (*sides, *(0,) * (2 * asked.ndim - len(sides)))
    pairs = [(sides[2 * d], sides[2 * d + 1]) for d in reversed(range(asked.ndim))]
    ones = (1,) * asked.ndim
    axes = _axes(asked, ones, ones, pairs, ones, mode=mode)
    others = any(map(any, pairs[1:]))

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        return _padded(chunks[0].rows, pairs[1:], mode, value)

    return asked.step(node.all_input_nodes[:1], axes, compute, fill=value, copies=int(others))


def _padded(x: Tensor, sides: Pairs, mode: str, value: float | None = None) -> Tensor:
    """Pad the axes that are no rows."""
    if not any(map(any, sides)):
        return x
    flat = [side for pair in reversed(sides) for side in pair]
    if mode == "constant":
        return functional.pad(x, flat, value=value or 0.0)
    return functional.pad(x, [*flat, 0, 0], mode=mode)


def _axes(
    asked: Asked, kernel: Sequence[int], stride: Sequence[int], padding: Pairs,
    dilation: Sequence[int], ceil: bool = False, mode: str = "zeros",
) -> tuple[Neighbours, ...]:  # fmt: skip
    if mode == "circular" and any(padding[0]):
        raise asked.refused("padding_mode", "circular", "another mode along rows", CIRCULAR)
    border = MODES.get(mode, "constant")
    rows = zip(kernel, stride, dilation, padding, strict=True)
    return tuple(Neighbours(k, s, d, b, a, ceil, border) for k, s, d, (b, a) in rows)


def _given(asked: Asked, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pool's arguments, of its layer's attributes or of its call."""
    if asked.module is None:
        return _named(asked.node, arguments)
    names = ("return_indices", *arguments)
    return dict(arguments) | {
        name: getattr(asked.module, name) for name in names if hasattr(asked.module, name)
    }


def _named(node: fx.Node, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments behind the first by their names."""
    given = dict(zip(arguments, node.args[1:], strict=False))
    return {**arguments, **given, **{k: v for k, v in node.kwargs.items() if k in arguments}}


def _base(module: nn.Module, kinds: Mapping[type[nn.Module], Any]) -> type[nn.Module]:
    return next(kind for kind in type(module).__mro__ if kind in kinds)


CONVOLUTION = {
    "weight": None, "bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1,
}  # fmt: skip
MAX_POOL = {
    "kernel_size": None, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False,
}  # fmt: skip
AVERAGE_POOL = {
    "kernel_size": None, "stride": None, "padding": 0, "ceil_mode": False,
    "count_include_pad": True, "divisor_override": None,
}  # fmt: skip
PAD = {"pad": (), "mode": "constant", "value": None}
_POOLS: dict[tuple[str, int], Callable[..., Any]] = {
    ("max", 1): functional.max_pool1d, ("max", 2): functional.max_pool2d,
    ("max", 3): functional.max_pool3d, ("avg", 1): functional.avg_pool1d,
    ("avg", 2): functional.avg_pool2d, ("avg", 3): functional.avg_pool3d,
}  # fmt: skip
_PAD_MODES: dict[type[nn.Module], str] = {
    cast(type[nn.Module], ConstantPadBase): "constant",
    nn.ReflectionPad1d: "reflect", nn.ReflectionPad2d: "reflect", nn.ReflectionPad3d: "reflect",
    nn.ReplicationPad1d: "replicate", nn.ReplicationPad2d: "replicate",
    nn.ReplicationPad3d: "replicate", nn.CircularPad1d: "circular", nn.CircularPad2d: "circular",
    nn.CircularPad3d: "circular",
}  # fmt: skip

MODULES: dict[type[nn.Module], Callable[[Asked], Step]] = {
    cast(type[nn.Module], ConvBase): convolution_module,
    LinearForm: linear_form,
    nn.MaxPool1d: max_pool, nn.MaxPool2d: max_pool, nn.MaxPool3d: max_pool,
    nn.AvgPool1d: average_pool, nn.AvgPool2d: average_pool, nn.AvgPool3d: average_pool,
    **dict.fromkeys(_PAD_MODES, pad),
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[Asked], Step]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution_function),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), average_pool),
    "pad": pad,
    "dilated_mean": dilated_mean,
}
