"""Convolutions that compute as a Conv2d: in one dimension on images (B, C, 1, L), in three folded.

A Conv3d whose windows share no frame folds: a window's frames into channels, and each step in time
into the batch. ::

    y[b, o, t, p] = Σ_c Σ_τ Σ_q  w[o, c, τ, q] · x[b, c, t·sT + τ, p·s + q·d - before]
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, compiler, fx, nn
from torch.nn import functional

from convlin.layers import frames, sliding
from convlin.layers.reclassed.fields import each, holds_a_window, is_image, windows_of
from convlin.layers.reclassed.reclassed import Reclassed, parameters_of

__all__ = ["Conv1dAsConv2d", "Conv3dAsConv2d", "ConvTranspose1dAsConv2d"]


class ConvAsConv2d(Reclassed):
    """A convolution in one or three dimensions that computes as one in two."""

    target = "conv2d"

    def forward(self, input: Any) -> Any:  # noqa: A002 (PyTorch's name)
        """Take and return what the convolution does."""
        layer: Any = self
        found = parameters_of(layer, input)
        windows = None if found is None else windows_of(layer, found[0])
        if found is None or windows is None or not _fits(input, found[0], windows, layer.groups):
            return super().forward(input)  # type: ignore[misc]
        run = on_a_line if found[0].ndim == 3 else on_frames
        return run(input, layer.weight, layer.bias, windows, layer.groups)


class Conv1dAsConv2d(ConvAsConv2d, nn.Conv1d):
    """An nn.Conv1d that computes as a Conv2d on images (B, C, 1, L)."""

    base_class = nn.Conv1d


class Conv3dAsConv2d(ConvAsConv2d, nn.Conv3d):
    """An nn.Conv3d that computes as a Conv2d, time folded into channels and batch."""

    base_class = nn.Conv3d


class ConvTranspose1dAsConv2d(Reclassed, nn.ConvTranspose1d):
    """An nn.ConvTranspose1d that computes as a ConvTranspose2d on images (B, C, 1, L)."""

    base_class, target = nn.ConvTranspose1d, "conv2d"

    def forward(self, input: Any, output_size: Any = None) -> Any:  # noqa: A002 (PyTorch's name)
        """Take and return what the convolution does."""
        layer: Any = self
        found = parameters_of(layer, input)
        fields = (layer.stride, layer.padding, layer.output_padding, layer.dilation)
        sizes = [each(value, 1) for value in fields]
        if (
            output_size is not None or found is None or None in sizes
            or not (isinstance(input, fx.Proxy) or input.ndim in (2, 3))
        ):  # fmt: skip
            return super().forward(input, output_size)
        return scattered_on_a_line(input, layer.weight, layer.bias, tuple(sizes), layer.groups)


@fx.wrap
def scattered_on_a_line(
    x: Tensor, weight: Tensor, bias: Tensor | None, sizes: Any, groups: int
) -> Tensor:
    """Return a ConvTranspose1d's outputs, computed on images (B, C, 1, L)."""
    (stride,), (padding,), (more,), (dilation,) = sizes
    y = functional.conv_transpose2d(
        x.unsqueeze(-2), weight.unsqueeze(-2), bias, (1, stride), (0, padding), (0, more), groups,
        (1, dilation),
    )  # fmt: skip
    return y.squeeze(-2).contiguous()


def _fits(x: Any, weight: Tensor, windows: sliding.Windows, groups: int) -> bool:
    kernel, stride, dilation, padding, _ = windows
    ndim = len(kernel)
    if ndim == 3 and not (
        stride[0] >= kernel[0] and 1 in (kernel[0], dilation[0]) and padding[0] == (0, 0)
    ):
        return False
    if isinstance(x, fx.Proxy):
        return True
    if not is_image(x, weight.shape[1] * groups, ndim):
        return False
    if compiler.is_compiling():
        return True
    return x.numel() > 0 and holds_a_window(x.shape[-ndim:], windows)


@fx.wrap
def on_a_line(
    x: Tensor, weight: Tensor, bias: Tensor | None, windows: sliding.Windows, groups: int
) -> Tensor:
    """Return a Conv1d's outputs, computed on images (B, C, 1, L)."""
    _, stride, dilation, padding, mode = windows
    if mode != "zeros":  # as the layer does, whose errors say what it was given
        x, padding = sliding.pad(x, padding, mode), ((0, 0),)
    y = _conv2d(
        x.unsqueeze(-2), weight.unsqueeze(-2), bias, (1, *stride), ((0, 0), *padding),
        (1, *dilation), groups,
    )  # fmt: skip
    return y.squeeze(-2).contiguous()


@fx.wrap
def on_frames(
    x: Tensor, weight: Tensor, bias: Tensor | None, windows: sliding.Windows, groups: int
) -> Tensor:
    """Return a Conv3d's outputs, each step in time an image of its own, its frames channels."""
    kernel, stride, dilation, padding, mode = windows
    if mode != "zeros":  # as the layer does, whose outputs lie as what it padded
        x, padding = sliding.pad(x, padding, mode), ((0, 0),) * 3
    images = frames.as_images(x, kernel[0], stride[0])
    y = _conv2d(images, weight.flatten(1, 2), bias, stride[1:], padding[1:], dilation[1:], groups)
    return sliding.laid_out(frames.as_video(y, x, kernel[0], stride[0]), x, weight)


def _conv2d(
    images: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...], dilation: tuple[int, ...], groups: int,
) -> Tensor:  # fmt: skip
    before = tuple(side for side, _ in padding)
    if any(a != b for a, b in padding):  # which no argument says
        images, before = sliding.pad(images, padding, "zeros"), (0, 0)
    return functional.conv2d(images, weight, bias, stride, before, dilation, groups)
