"""What a convolution's fields say at this moment, read as its own code reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from convlin.internals.modules import noted_padding
from convlin.internals.plain_tensors import are_equal
from convlin.layers import sliding

__all__ = ["each", "holds_a_window", "is_image", "windows_of"]


def windows_of(layer: Any, weight: Tensor) -> sliding.Windows | None:
    """Return how the layer's windows lie, by its fields as they are now; None if it is not said."""
    kernel = tuple(weight.shape[2:])
    stride, dilation = (each(value, len(kernel)) for value in (layer.stride, layer.dilation))
    if stride is None or dilation is None:
        return None
    padding = _padding(layer, kernel, stride, dilation)
    if padding is None:
        return None
    return sliding.Windows(kernel, stride, dilation, padding, layer.padding_mode)


def _padding(
    layer: Any, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...] | None:
    """Return what the layer pads before and after, as its own code does."""
    if layer.padding_mode != "zeros":  # by the numbers noted when it was made
        return noted_padding(layer)
    if layer.padding == "same" and max(stride) == 1:
        sums = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((total // 2, total - total // 2) for total in sums)
    if layer.padding == "valid":
        return ((0, 0),) * len(kernel)
    sides = each(layer.padding, len(kernel))
    return None if sides is None or min(sides) < 0 else tuple((side, side) for side in sides)


def is_image(x: Tensor, channels: int, ndim: int) -> bool:
    """Whether this is an image of so many channels and dimensions, batched or not."""
    return x.ndim in (ndim + 1, ndim + 2) and are_equal((x.shape[-ndim - 1],), (channels,))


def holds_a_window(size: Sequence[int], windows: sliding.Windows) -> bool:
    """Whether an image of this size is, padded, as large as what one window spans."""
    dims = zip(size, windows.padding, windows.kernel, windows.dilation, strict=True)
    return all(n + sum(pads) > (k - 1) * d for n, pads, k, d in dims)


def each(value: Any, ndim: int) -> tuple[int, ...] | None:
    """Return one number a dimension; None for what is no such thing."""
    items = (value,) * ndim if isinstance(value, int) else value
    fits = isinstance(items, tuple | list) and len(items) == ndim
    return tuple(items) if fits and all(isinstance(item, int) for item in items) else None
