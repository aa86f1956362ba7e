"""Convolutions that compute as fully connected layers: on every pixel, patch, or the whole input.

Windows that do not overlap, or one window as large as the padded input, each through the kernel
seen as a matrix (`exchange/kernel_matrix.py`); and transposed convolutions whose outputs do not
overlap, each pixel through it to a patch of its own.
"""

from __future__ import annotations

import operator
from typing import Any

from torch import Tensor, compiler, fx, nn

from convlin.exchange.kernel_matrix import column_order
from convlin.exchange.patchify import disjoint
from convlin.internals.plain_tensors import are_equal
from convlin.layers import scattering, sliding
from convlin.layers.reclassed.fields import each, holds_a_window, is_image, windows_of
from convlin.layers.reclassed.reclassed import Reclassed, parameters_of

__all__ = [
    "Conv1dAsLinear", "Conv2dAsLinear", "Conv3dAsLinear",
    "ConvTranspose1dAsLinear", "ConvTranspose2dAsLinear", "ConvTranspose3dAsLinear",
]  # fmt: skip


class ConvAsLinear(Reclassed):
    """A convolution whose windows go through its kernel, seen as a matrix."""

    target = "linear"

    def forward(self, input: Any) -> Any:  # noqa: A002 (PyTorch's name)
        """Take and return what the convolution does."""
        layer: Any = self
        found = parameters_of(layer, input)
        windows = None if found is None else windows_of(layer, found[0])
        order = None if found is None else column_order(found[0])
        if (
            found is None or windows is None or order is None
            or not _fits(input, found[0], windows, layer.groups)
        ):  # fmt: skip
            return super().forward(input)  # type: ignore[misc]
        return sliding.as_linear(input, layer.weight, layer.bias, windows, layer.groups, order)


class Conv1dAsLinear(ConvAsLinear, nn.Conv1d):
    """An nn.Conv1d that computes as a fully connected layer."""

    base_class = nn.Conv1d


class Conv2dAsLinear(ConvAsLinear, nn.Conv2d):
    """An nn.Conv2d that computes as a fully connected layer."""

    base_class = nn.Conv2d


class Conv3dAsLinear(ConvAsLinear, nn.Conv3d):
    """An nn.Conv3d that computes as a fully connected layer."""

    base_class = nn.Conv3d


def _fits(x: Any, weight: Tensor, windows: sliding.Windows, groups: int) -> bool:
    """Whether the windows of this input are disjoint, or one is all of it."""
    k, s, d, pads, _ = windows
    apart = all(map(disjoint, k, s, d))
    if isinstance(x, fx.Proxy):
        return apart
    ndim = len(k)
    if not is_image(x, weight.shape[1] * groups, ndim):
        return False
    if apart:
        return compiler.is_compiling() or holds_a_window(x.shape[-ndim:], windows)
    size = tuple(n + sum(pair) for n, pair in zip(x.shape[-ndim:], pads, strict=True))
    return all(d_ == 1 or k_ == 1 for k_, d_ in zip(k, d, strict=True)) and are_equal(size, k)


class TransposedAsLinear(Reclassed):
    """A transposed convolution whose outputs do not overlap: each pixel becomes a patch."""

    target = "linear"

    def forward(self, input: Any, output_size: Any = None) -> Any:  # noqa: A002 (PyTorch's name)
        """Take and return what the convolution does."""
        layer: Any = self
        found = parameters_of(layer, input)
        patches = None if output_size is not None or found is None else _patches_of(layer, found[0])
        if found is None or patches is None or not _takes(input, found[0], patches):
            return super().forward(input, output_size)  # type: ignore[misc]
        return scattering.as_patches(input, layer.weight, layer.bias, patches, layer.groups)


class ConvTranspose1dAsLinear(TransposedAsLinear, nn.ConvTranspose1d):
    """An nn.ConvTranspose1d that computes as a fully connected layer."""

    base_class = nn.ConvTranspose1d


class ConvTranspose2dAsLinear(TransposedAsLinear, nn.ConvTranspose2d):
    """An nn.ConvTranspose2d that computes as a fully connected layer."""

    base_class = nn.ConvTranspose2d


class ConvTranspose3dAsLinear(TransposedAsLinear, nn.ConvTranspose3d):
    """An nn.ConvTranspose3d that computes as a fully connected layer."""

    base_class = nn.ConvTranspose3d


def _patches_of(layer: Any, weight: Tensor) -> scattering.Patches | None:
    """Return how the outputs of pixels lie; None where those of two pixels overlap."""
    kernel = tuple(weight.shape[2:])
    stride, dilation, padding, more = (
        each(value, len(kernel))
        for value in (layer.stride, layer.dilation, layer.padding, layer.output_padding)
    )
    if stride is None or dilation is None or padding is None or more is None:
        return None
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if min(padding) < 0 or any(map(operator.gt, extents, stride)):
        return None
    dims = zip(padding, extents, more, stride, strict=True)
    sides = tuple((-side, extent + extra - side - step) for side, extent, extra, step in dims)
    return scattering.Patches(kernel, stride, dilation, sides)


def _takes(x: Any, weight: Tensor, patches: scattering.Patches) -> bool:
    """Whether this is an image, batched or not, of the weight's channels, that gives outputs."""
    if isinstance(x, fx.Proxy):
        return True
    ndim = weight.ndim - 2
    if not is_image(x, weight.shape[0], ndim):
        return False
    if compiler.is_compiling():
        return True
    dims = zip(x.shape[-ndim:], patches.stride, patches.sides, strict=True)
    return x.numel() > 0 and all(n * step + sum(side) > 0 for n, step, side in dims)
