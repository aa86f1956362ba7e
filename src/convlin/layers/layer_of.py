"""A geometry and its weights as the PyTorch layer that computes it."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.layers.parameters import layer_with
from convlin.layers.stock_layer import CONVOLUTIONS, Conv

__all__ = ["layer_of", "pad_layer"]

PADS = {
    "zeros": (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d),
    "reflect": (nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d),
    "replicate": (nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d),
    "circular": (nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d),
}


def layer_of(
    geometry: ConvGeometry, weight: Any, bias: Any, input_size: tuple[int, ...]
) -> nn.Module:
    """Return an nn.Conv or nn.ConvTranspose of this geometry, for inputs of `input_size`.

    Layers pad both sides alike. Where the sides differ, and the last pixels are left over at this
    size anyway, the side behind is padded like the one before; else a padding layer comes first.
    A transposed convolution takes less off behind by a larger output_padding; where that does not
    do, a padding layer of negative padding, which crops, comes last.
    Layers compute in floating point: whole numbers come in PyTorch's default dtype. Raises
    `Refused` where that has not all of them.

    >>> geometry = ConvGeometry(1, 1, kernel=(3,), padding=((1, 0),), stride=2)
    >>> layer_of(geometry, torch.ones(1, 1, 3), None, input_size=(8,))
    Conv1d(1, 1, kernel_size=(3,), stride=(2,), padding=(1,), bias=False)
    """
    if geometry.transposed:
        padding, extra, crops = _cropped(geometry)
        conv = _conv(geometry, weight, bias, padding, output_padding=extra)
        return nn.Sequential(conv, pad_layer(geometry, crops)) if any(map(any, crops)) else conv
    sides = _sides(geometry, input_size)
    if all(before == after for before, after in sides):
        return _conv(geometry, weight, bias, tuple(before for before, _ in sides))
    conv = _conv(geometry, weight, bias, (0,) * geometry.ndim)
    return nn.Sequential(pad_layer(geometry, sides), conv)


def _conv(
    geometry: ConvGeometry, weight: Any, bias: Any, padding: tuple[int, ...], **options: Any
) -> Conv:
    """Return a convolution layer of this geometry but for its padding and output_padding."""
    return layer_with(
        CONVOLUTIONS[geometry.ndim, geometry.transposed], geometry.in_channels,
        geometry.out_channels, geometry.kernel,
        weight=nn.Parameter(_inexact(geometry.kind, weight)),
        bias=None if bias is None else nn.Parameter(torch.as_tensor(bias)),
        stride=geometry.stride, padding=padding, dilation=geometry.dilation,
        groups=geometry.groups, padding_mode=geometry.padding_mode, **options,
    )  # fmt: skip


def pad_layer(geometry: ConvGeometry, sides: list[tuple[int, int]]) -> nn.Module:
    """Return the layer that pads so much before and after, per dimension; less than 0 crops."""
    pad: Any = PADS[geometry.padding_mode][geometry.ndim - 1]
    flat = tuple(side for pair in reversed(sides) for side in pair)
    layer: nn.Module = pad(flat, *([0.0] if geometry.padding_mode == "zeros" else []))
    return layer


def _cropped(
    geometry: ConvGeometry,
) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, int]]]:
    """Return padding, output_padding, and what to crop then (≤ 0), of a transposed convolution."""
    dims = []
    for (before, after), extra, s, d in zip(
        geometry.padding, geometry.output_padding, geometry.stride, geometry.dilation, strict=True
    ):
        if 0 <= extra + before - after < max(s, d):
            dims.append((before, extra + before - after, (0, 0)))
        else:
            least = min(before, after)
            dims.append((least, extra, (least - before, least - after)))
    padding, extras, crops = zip(*dims, strict=True)
    return padding, extras, list(crops)


def _inexact(site: str, weight: Any) -> Tensor:
    """Return whole numbers in the default dtype, which must hold them all; others as they are."""
    tensor = torch.as_tensor(weight)
    if tensor.is_floating_point() or tensor.is_complex():
        return tensor
    floats = tensor.to(torch.get_default_dtype())
    if floats.tolist() != tensor.tolist():  # as Python compares them: exactly
        largest = max(map(abs, tensor.flatten().tolist()))
        fits = f"numbers that {floats.dtype} holds"
        raise Refused(
            Refusal(site, "weight", Description(f"whole numbers up to {largest}"), fits,
                    "or a matrix of a floating-point dtype")
        )  # fmt: skip
    return floats


def _sides(geometry: ConvGeometry, input_size: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the padding per dimension, alike on both sides wherever that changes nothing."""
    sides = list(geometry.padding)
    for dim, (before, _) in enumerate(geometry.padding):
        even = [*sides[:dim], (before, before), *sides[dim + 1 :]]
        other = ConvGeometry(
            geometry.in_channels, geometry.out_channels, geometry.kernel, geometry.stride, even,
            geometry.dilation, geometry.groups, geometry.padding_mode,
        )  # fmt: skip
        fits = all(map(operator.ge, input_size, other.smallest_input))
        if fits and other.output_size(input_size) == geometry.output_size(input_size):
            sides = even
    return sides
