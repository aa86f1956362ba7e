"""A merged geometry and its weights as PyTorch's own layer, for every input size."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from torch import Tensor, nn

from convlin.geometry import ConvGeometry
from convlin.geometry.conv import Padding
from convlin.layers.layer_of import pad_layer
from convlin.layers.parameters import conv_with, layer_with

__all__ = ["border_size", "merged_layer", "tap_size"]


def merged_layer(
    geometry: ConvGeometry, weight: Tensor, bias: Tensor | None, rows: bool = False
) -> nn.Module:
    """Return an nn.Linear on rows, else a convolution; behind a padding layer if sides differ.

    >>> import torch
    >>> merged_layer(ConvGeometry(3, 2, (2,), padding="same"), torch.ones(2, 3, 2), None)
    Conv1d(3, 2, kernel_size=(2,), stride=(1,), padding=same, bias=False)
    """
    kernel = nn.Parameter(weight.detach())
    own = None if bias is None else nn.Parameter(bias.detach())
    if rows:
        flat = nn.Parameter(kernel.detach().flatten(1))
        return layer_with(nn.Linear, *reversed(flat.shape), weight=flat, bias=own)
    if all(before == after for before, after in geometry.padding):
        return conv_with(geometry, tuple(side for side, _ in geometry.padding), kernel, own)
    if max(geometry.stride) == 1 and geometry.padding == _like(geometry, "same").padding:
        return conv_with(geometry, "same", kernel, own)
    conv = conv_with(_like(geometry, 0), 0, kernel, own)
    return nn.Sequential(pad_layer(geometry, list(geometry.padding)), conv)


def _like(geometry: ConvGeometry, padding: Padding) -> ConvGeometry:
    g = geometry
    return ConvGeometry(
        g.in_channels, g.out_channels, g.kernel, g.stride, padding, g.dilation, g.groups,
        g.padding_mode,
    )  # fmt: skip


def border_size(geometry: ConvGeometry) -> tuple[int, ...]:
    """Return a small input size, its numbers different, that has both borders and an inside.

    >>> border_size(ConvGeometry(3, 2, (3, 3), padding=1))
    (4, 5)
    """
    dims = zip(geometry.smallest_input, geometry.extent, geometry.stride, strict=True)
    inside = (1 if geometry.transposed else e + s - 1 for _, e, s in dims)
    least = (max(n, m) + 1 for n, m in zip(geometry.smallest_input, inside, strict=True))
    return _different(geometry.in_channels, least)


def tap_size(geometry: ConvGeometry) -> tuple[int, ...]:
    """Return a small input size, its numbers different, of which every tap reads a pixel.

    >>> tap_size(ConvGeometry(3, 2, (31, 31), padding=15)), tap_size(ConvGeometry(3, 2, (5,)))
    ((16, 17), (5,))
    """
    if geometry.transposed:
        return border_size(geometry)
    dims = range(geometry.ndim)
    least = [next(n for n in itertools.count(1) if _all_read(geometry, dim, n)) for dim in dims]
    return _different(geometry.in_channels, map(max, least, geometry.smallest_input))


def _all_read(geometry: ConvGeometry, dim: int, size: int) -> bool:
    """Whether every tap reads one of so many pixels, for some output, along one dimension."""
    stride, (before, after) = geometry.stride[dim], geometry.padding[dim]
    last = before + size + after - geometry.extent[dim]  # where the last window may start
    starts = range(-before, last - before + 1, stride)
    shifts = (tap * geometry.dilation[dim] for tap in range(geometry.kernel[dim]))
    return all(any(0 <= start + shift < size for start in starts) for shift in shifts)


def _different(channels: int, least: Iterable[int]) -> tuple[int, ...]:
    """Return sizes that are no smaller, and all different, from the number of channels too."""
    sizes: list[int] = []
    for size in least:
        sizes.append(next(n for n in itertools.count(size) if n not in (channels, *sizes)))
    return tuple(sizes)
