"""Convolutions, pools and padding: what reads a few neighbours.

On the window's own grid they stay as they are. Behind an adaptive pool, where the window's
neighbours lie `step` grid cells apart, they are dilated by `step` and lose their stride.
"""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from convlin.display.numbers import times
from convlin.geometry import ConvGeometry
from convlin.layers.parameters import layer_with
from convlin.layers.stock_layer import CONVOLUTIONS, require_stock_layer, weight_of
from convlin.models.dense import grid
from convlin.models.dense.axis import Axis
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import FeatureMap
from convlin.models.dense.rules.pooling import pool_all
from convlin.models.graph.per_dimension import each, one
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant

Pairs = tuple[tuple[int, int], ...]
_FLOOR = "ceil_mode ⇒ floor, alike at the window"


def convolution(
    call: DenseCall, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> FeatureMap:  # fmt: skip
    """Keep a convolution; dilate it where the window's neighbours lie apart."""
    value = call.map(input)
    if not isinstance(weight, Constant):
        raise call.refused("weight", "computed from the images", "a tensor of the model")
    out, per_group, *kernel = weight.shape
    g = ConvGeometry(per_group * groups, out, kernel, one(stride), padding=one(padding),
                     dilation=one(dilation), groups=groups)  # fmt: skip
    axes = behind(call, value, g.kernel, g.stride, g.padding, g.dilation)
    if not value.is_spread:
        return call.mapped(value, call.keep(), axes, out)
    _require_symmetric(call, g)
    _dilated(call, value, g.stride, g.dilation)
    if call.layer is not None:
        return call.mapped(value, call.module(_apart(call, value, g), value.node), axes, out)
    node = call.function(
        grid.CONV_FUNCTIONS[call.ndim], value.node, weight.node, bias and bias.node,
        **_geometry_apart(value, g), groups=groups,
    )  # fmt: skip
    return call.mapped(value, node, axes, out)


def convolution_layer(call: DenseCall, input: Any) -> FeatureMap:
    """Keep a convolution that pads by something else than zeros."""
    value, conv = call.map(input), call.layer
    with call.resited():
        weight_of(conv, *CONVOLUTIONS.values())  # or its attributes may not be what it does
    g = ConvGeometry.of(conv)
    axes = behind(call, value, g.kernel, g.stride, g.padding, g.dilation)
    if value.is_spread:
        _require_symmetric(call, g)
    return call.mapped(value, call.keep(), axes, g.out_channels)


def max_pool(
    call: DenseCall, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False,
) -> FeatureMap:  # fmt: skip
    """Keep a max pool; dilate it where the window's neighbours lie apart."""
    value = call.map(input)
    kernel, pads, spacing = (each(n, call.ndim) for n in (kernel_size, padding, dilation))
    if _covers(value, kernel, pads):
        return pool_all(call, value, "max")
    steps = each(stride or kernel, call.ndim)
    cut = ceil_mode and _cuts(value, kernel, steps, pads, spacing)
    axes = behind(call, value, kernel, steps, _pairs(pads), spacing, cut)
    if not value.is_spread and cut == ceil_mode:
        return call.mapped(value, call.keep(), axes)
    if value.is_spread:
        _refuse_outside(call, pads, cut)
        _dilated(call, value, steps, spacing)
        spacing = tuple(d * q for d, q in zip(spacing, value.step, strict=True))
        steps = value.grid_stride(steps)
    else:
        call.exchanged(_FLOOR)
    pool = grid.POOLS["max", call.ndim](kernel, steps, pads, spacing)
    return call.mapped(value, call.module(pool, value.node), axes)


def max_pool_with_indices(call: DenseCall, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Refuse indices: they count within one image."""
    raise call.refused("return_indices", True, "False", "indices count within one image")


def average_pool(
    call: DenseCall, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> FeatureMap:  # fmt: skip
    """Keep an average pool, as a max pool."""
    value = call.map(input)
    kernel, pads, ones = each(kernel_size, call.ndim), each(padding, call.ndim), (1,) * call.ndim
    steps = each(stride or kernel, call.ndim)
    if _covers(value, kernel, pads) and divisor_override is None:
        return pool_all(call, value, "avg")
    cut = ceil_mode and _cuts(value, kernel, steps, pads, ones)
    axes = behind(call, value, kernel, steps, _pairs(pads), ones, cut)
    if not value.is_spread and cut == ceil_mode:
        return call.mapped(value, call.keep(), axes)
    if not value.is_spread:
        call.exchanged(_FLOOR)
        options: dict[str, Any] = {"count_include_pad": count_include_pad}
        if divisor_override is not None:
            options["divisor_override"] = divisor_override
        pool = grid.POOLS["avg", call.ndim](kernel, steps, pads, **options)
        return call.mapped(value, call.module(pool, value.node), axes)
    _refuse_outside(call, pads, cut)
    if divisor_override is not None:
        raise call.refused("divisor_override", divisor_override, "None behind an adaptive pool")
    _dilated(call, value, steps, ones)
    stride = value.grid_stride(steps)
    node = call.function(grid.dilated_mean, value.node, kernel, value.step, stride)
    return call.mapped(value, node, axes)


def pad(call: DenseCall, input: Any, pad: Sequence[int], mode: str = "constant",
        value: float | None = None) -> FeatureMap:  # fmt: skip
    """Keep padding; note which cells it breaks. Negative padding cuts cells off."""
    if not any(pad):
        return call.lying(input)
    image = call.map(input)
    sides = tuple(pad) + (0,) * (2 * call.ndim - len(pad))
    if any(sides[2 * call.ndim :]):
        raise call.refused("pad", pad, f"at most {2 * call.ndim} numbers, for space alone")
    pairs = tuple((sides[2 * d], sides[2 * d + 1]) for d in reversed(range(call.ndim)))
    if image.is_spread and any(sides):
        raise call.refused("pad", pad, "none behind an adaptive pool")
    if min(sides) < 0 < max(sides):
        raise call.refused("pad", pad, "all sides ≥ 0, or all ≤ 0")
    if min(sides) < 0:
        axes = tuple(
            axis.taken(-before, axis.size + before + after)
            for axis, (before, after) in zip(image.axes, pairs, strict=True)
        )
    else:
        ones = (1,) * call.ndim
        axes = behind(call, image, ones, ones, pairs, ones)
    return call.mapped(image, call.keep(), axes)


def behind(
    call: DenseCall, value: FeatureMap, kernel: Sequence[int], stride: Sequence[int],
    padding: Pairs, dilation: Sequence[int], ceil: bool = False,
) -> tuple[Axis, ...]:  # fmt: skip
    """Return the axes behind a layer that reads neighbours, noting what it breaks."""
    rows = list(zip(value.axes, kernel, stride, padding, dilation, strict=True))
    axes = tuple(axis.windowed(k, s, p, d, ceil, call.site) for axis, k, s, p, d in rows)
    if any(call.site in axis.culprits for axis in axes):
        _note_break(call, padding, ceil)
        for axis, pixels in zip(value.axes, call.pixels, strict=True):
            if not axis.is_whole and axis.dense(pixels) > axis.size * axis.step:
                raise call.refused("padding", padding, "0 behind a pool over all of a map that "
                                   "leaves a remainder", "the network has a cell where the "
                                   "classifier has padding")  # fmt: skip
    return axes


def _apart(call: DenseCall, value: FeatureMap, g: ConvGeometry) -> nn.Module:
    """Return the layer whose window's neighbours lie `step` apart, around the same parameters."""
    conv = call.layer
    with call.resited():
        require_stock_layer(conv, *CONVOLUTIONS.values())
    return layer_with(
        CONVOLUTIONS[g.ndim, False], g.in_channels, g.out_channels, g.kernel, groups=g.groups,
        **_geometry_apart(value, g), weight=conv.weight, bias=conv.bias,
    ).train(conv.training)  # fmt: skip


def _geometry_apart(value: FeatureMap, g: ConvGeometry) -> dict[str, Any]:
    return {
        "stride": value.grid_stride(g.stride),
        "padding": tuple(p * q for (p, _), q in zip(g.padding, value.step, strict=True)),
        "dilation": tuple(d * q for d, q in zip(g.dilation, value.step, strict=True)),
    }


def _require_symmetric(call: DenseCall, g: ConvGeometry) -> None:
    symmetric = all(before == after for before, after in g.padding)
    if g.padding_mode != "zeros" or not symmetric:
        raise call.refused("padding", (g.padding, g.padding_mode), "symmetric zeros behind an "
                           "adaptive pool")  # fmt: skip


def _dilated(
    call: DenseCall, value: FeatureMap, stride: Sequence[int], dilation: Sequence[int]
) -> None:
    """Note that a layer was dilated where the window's neighbours lie apart."""
    apart = tuple(d * q for d, q in zip(dilation, value.step, strict=True))
    call.exchanged(
        f"{call.operation} d{times(dilation)} s{times(stride)} ⇒ "
        f"d{times(apart)} s{times(value.grid_stride(stride))}"
    )


def _note_break(call: DenseCall, padding: Pairs, ceil: bool) -> None:
    if any(side for pair in padding for side in pair):
        call.breaks("padding", padding, "0", "the window sees padding where the large image has "
                    "neighbours")  # fmt: skip
    elif ceil:
        call.breaks("ceil_mode", True, "a map that leaves no remainder", "the window's last cell "
                    "is cut, the large image's is not")  # fmt: skip


def _cuts(value: FeatureMap, kernel: Sequence[int], stride: Sequence[int], pads: Sequence[int],
          dilation: Sequence[int]) -> bool:  # fmt: skip
    """Whether ceil_mode adds a cell at the window; if not, it may as well be off."""
    rows = zip(value.axes, kernel, stride, _pairs(pads), dilation, strict=True)
    return any(
        axis.windowed(k, s, p, d, ceil=True).size != axis.windowed(k, s, p, d).size
        for axis, k, s, p, d in rows
    )


def _refuse_outside(call: DenseCall, pads: Sequence[int], cut: bool) -> None:
    if any(pads):
        raise call.refused("padding", tuple(pads), "0 behind an adaptive pool")
    if cut:
        raise call.refused("ceil_mode", True, "False behind an adaptive pool, where it adds a cell")


def _covers(value: FeatureMap, kernel: Sequence[int], pads: Sequence[int]) -> bool:
    return tuple(kernel) == value.size and not any(pads) and not value.is_whole


def _pairs(pads: Sequence[int]) -> Pairs:
    return tuple((p, p) for p in pads)


_WHY = "its cells read the same neighbours in the window and in the image, but for what it pads"

RULES = (
    Rule(convolution, _WHY, ("conv1d", "conv2d", "conv3d")),
    Rule(convolution_layer, _WHY, layers=(nn.Conv1d, nn.Conv2d, nn.Conv3d)),
    Rule(max_pool, _WHY, ("max_pool1d", "max_pool2d", "max_pool3d")),
    Rule(average_pool, _WHY, ("avg_pool1d", "avg_pool2d", "avg_pool3d")),
    Rule(pad, "cells outside of the window alone are made, and named", ("pad",)),
    Rule(max_pool_with_indices, "indices count within one image",
         ("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices"),
         kind="never"),
)  # fmt: skip
