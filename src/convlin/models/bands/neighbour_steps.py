"""Convolutions and padding in bands: along rows they are handed all that they read.

A chunk begins with the first row that its first output reads and ends with the last row that its
last one does, padding included; so a layer runs on it without padding along rows, and gives exactly
the outputs asked for. Along the other axes it pads as it always does.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

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

__all__ = ["FUNCTIONS", "MODULES", "arguments", "axes_along"]

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
    given = arguments(asked.node, CONVOLUTION)
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
    axes = axes_along(asked, g.kernel, g.stride, g.padding, g.dilation, mode=g.padding_mode)
    mode = "constant" if g.padding_mode == "zeros" else g.padding_mode
    sides = () if _pads_itself(g) else g.padding[1:]

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        return run(_padded(chunks[0].rows, sides, mode), constants)

    return asked.step(
        asked.read, axes, compute, copies=int(any(map(any, sides))),
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
    axes = axes_along(asked, g.kernel, g.stride, [(0, 0), *g.padding[1:]], g.dilation)

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        made: Tensor = asked.module(chunks[0].rows)
        return made

    return asked.step(
        asked.read, axes, compute, copies=1, columns=2 * g.in_channels * math.prod(g.kernel),
        **_products(g),
    )  # fmt: skip


def dilated_mean(asked: Asked) -> Step:
    """Return the step of a mean of cells that lie apart."""
    source, kernel, dilation, *stride = asked.args
    steps = each(stride[0] if stride else 1, asked.ndim)
    axes = axes_along(asked, kernel, steps, [(0, 0)] * asked.ndim, dilation)

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
    module = asked.module
    if module is None:
        given = arguments(asked.node, PAD)
        sides, mode, value = given["pad"], given["mode"], given["value"] or 0.0
    else:
        sides, mode = module.padding, _PAD_MODES[_base(module, _PAD_MODES)]
        value = getattr(module, "value", 0.0)
    sides = (*sides, *(0,) * (2 * asked.ndim - len(sides)))
    pairs = [(sides[2 * d], sides[2 * d + 1]) for d in reversed(range(asked.ndim))]
    ones = (1,) * asked.ndim
    axes = axes_along(asked, ones, ones, pairs, ones, mode=mode)
    others = any(map(any, pairs[1:]))

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        return _padded(chunks[0].rows, pairs[1:], mode, value)

    return asked.step(asked.read, axes, compute, fill=value, copies=int(others))


def _padded(x: Tensor, sides: Pairs, mode: str, value: float | None = None) -> Tensor:
    """Pad the axes that are no rows."""
    if not any(map(any, sides)):
        return x
    flat = [side for pair in reversed(sides) for side in pair]
    if mode == "constant":
        return functional.pad(x, flat, value=value or 0.0)
    return functional.pad(x, [*flat, 0, 0], mode=mode)


def axes_along(
    asked: Asked, kernel: Sequence[int], stride: Sequence[int], padding: Pairs,
    dilation: Sequence[int], ceil: bool = False, mode: str = "zeros",
) -> tuple[Neighbours, ...]:  # fmt: skip
    """Return what a layer reads along every axis; circular padding wants the last rows first."""
    if mode == "circular" and any(padding[0]):
        raise asked.refused("padding_mode", "circular", "another mode along rows", CIRCULAR)
    border = MODES.get(mode, "constant")
    rows = zip(kernel, stride, dilation, padding, strict=True)
    return tuple(Neighbours(k, s, d, b, a, ceil, border) for k, s, d, (b, a) in rows)


def arguments(node: fx.Node, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments behind the first by their names."""
    given = dict(zip(defaults, node.args[1:], strict=False))
    return {**defaults, **given, **{k: v for k, v in node.kwargs.items() if k in defaults}}


def _base(module: nn.Module, kinds: Mapping[type[nn.Module], Any]) -> type[nn.Module]:
    return next(kind for kind in type(module).__mro__ if kind in kinds)


CONVOLUTION = {
    "weight": None, "bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1,
}  # fmt: skip
PAD = {"pad": (), "mode": "constant", "value": None}
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
    **dict.fromkeys(_PAD_MODES, pad),
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[Asked], Step]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution_function),
    "pad": pad,
    "dilated_mean": dilated_mean,
}
