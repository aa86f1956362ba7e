"""One way to run every form that slides: pad, cut windows, apply the layer, channels to the front.

Pointwise, patchify, full-size and overlapping windows differ only in how windows lie; in memory
nothing is copied until the windows are flattened, and not even then where a view can do it
(channels_last images under a pointwise form, one window as large as the image).

The steps are functions, so that torch.fx records each as one node.
"""

from __future__ import annotations

import torch
from jaxtyping import Shaped
from torch import Tensor, compiler, fx
from torch.nn import functional

from convlin.errors import GeometryError, Refusal

__all__ = ["channels_first", "cut_windows", "pad", "require_map"]


@fx.wrap
def require_map(x: Tensor, channels: int, least: tuple[int, ...]) -> Tensor:
    """Return `x`; raise unless it is (N, channels, *size) or (channels, *size), size ≥ `least`."""
    rank = len(least) + 1
    fits = x.ndim in (rank, rank + 1) and x.shape[-rank] == channels
    # A traced size is a symbol, and what it may be is for the tracer to find out.
    if fits and not compiler.is_compiling():
        fits = all(n >= k for n, k in zip(x.shape[1 - rank :], least, strict=True))
    if not fits:
        sizes = ", ".join((str(channels), *(f"≥{n}" for n in least)))
        raise GeometryError(Refusal("input", "shape", tuple(x.shape), f"(N, {sizes}) or ({sizes})"))
    return x


@fx.wrap
def pad(x: Tensor, padding: tuple[tuple[int, int], ...], mode: str) -> Tensor:
    """Return the image padded by (before, after) per dimension."""
    sides = [side for pair in reversed(padding) for side in pair]
    if not any(sides):
        return x
    return functional.pad(x, sides, mode="constant" if mode == "zeros" else mode)


@fx.wrap
def cut_windows(
    x: Shaped[Tensor, "*batch c *size"],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    order: tuple[int, ...],
) -> Shaped[Tensor, "*batch *out groups columns"]:
    """Return each output's window, flattened over (c/groups, *kernel) in `order`."""
    ndim = len(kernel)
    for axis, (taps, step, spacing) in enumerate(zip(kernel, stride, dilation, strict=True)):
        x = x.unfold(axis - ndim - axis, spacing * (taps - 1) + 1, step)[..., ::spacing]
    x = torch.unflatten(x, -2 * ndim - 1, (groups, -1))
    # Axes are now (*batch, groups, c/groups, *out, *kernel), counted from the end.
    channel = -2 * ndim - 1
    columns = [channel if axis == 0 else axis - 1 - ndim for axis in order]
    outputs = list(range(-2 * ndim, -ndim))
    front = list(range(x.ndim - 2 * ndim - 2))
    windows = x.permute(*front, *outputs, channel - 1, *columns)
    # Flattening or the Linear would make them contiguous, but a tracer would have to know when.
    return windows.contiguous().flatten(-ndim - 1)


@fx.wrap
def channels_first(
    y: Shaped[Tensor, "*batch *out c"], x: Tensor, ndim: int, channels_last: bool
) -> Shaped[Tensor, "*batch c *out"]:
    """Return the outputs as an image, in the memory format a convolution of `x` has.

    That is channels_last iff the image or the kernel (`channels_last`) is.
    """
    y = y.movedim(-1, -1 - ndim)
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    if last is not None and x.ndim == ndim + 2:
        image_last = x.is_contiguous(memory_format=last) and not x.is_contiguous()
        if channels_last or image_last:
            return y.contiguous(memory_format=last)
    # Through one line and back: an axis of size 1 may keep a step that says channels_last.
    return y.contiguous().view(-1).view(y.shape)
