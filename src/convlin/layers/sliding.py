"""One way to run every form that slides: pad, cut windows, lay them out, and shape the outputs.

Pointwise, patchify, full-size and overlapping windows differ only in how windows lie; nothing is
copied until they are laid out, and not even then where a view will do. There are two layouts:

- as rows, (…, *out, columns), which an nn.Linear wants: a view for channels_last images under a
  pointwise form, and for one window as large as the image;
- as columns, (…, groups, columns, positions), which a matrix times them wants: a view for
  contiguous images under a pointwise form.

The steps are functions, so that torch.fx records each as one node.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, compiler, fx
from torch.nn import functional

from convlin.errors import GeometryError, Refusal
from convlin.internals.plain_tensors import is_channels_last

__all__ = [
    "Windows", "as_columns", "as_image", "as_linear", "as_rows", "contiguous",
    "cut_windows", "in_format_of", "laid_out", "pad", "require_map",
]  # fmt: skip


class Windows(NamedTuple):
    """How windows lie in an image: sizes per dimension, padding (before, after) and its mode."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    mode: str


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
    if mode == "zeros" and not any(sides):  # else the memory may change all the same
        return x
    return functional.pad(x, sides, mode="constant" if mode == "zeros" else mode)


@fx.wrap
def cut_windows(
    x: Shaped[Tensor, "*n c *size"],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    order: tuple[int, ...],
) -> Shaped[Tensor, "*n groups *columns_out"]:
    """Return a view (…, groups, *columns, *out): the axes (c/groups, *kernel) in `order`."""
    ndim = len(kernel)
    # unfold() puts the positions p where the pixels were and the pixels p·stride + 0 … extent - 1
    # last; every spacing-th of these is a tap. So each step leaves its dimension one further from
    # the end, and the next one stands where the first stood, at -ndim.
    for taps, step, spacing in zip(kernel, stride, dilation, strict=True):
        x = x.unfold(-ndim, spacing * (taps - 1) + 1, step)[..., ::spacing]
    x = torch.unflatten(x, -2 * ndim - 1, (groups, -1))
    # Axes are now (…, groups, c/groups, *out, *kernel), counted from the end.
    channel = -2 * ndim - 1
    columns = [channel if axis == 0 else axis - 1 - ndim for axis in order]
    front = list(range(x.ndim - 2 * ndim - 1))
    return x.permute(*front, *columns, *range(-2 * ndim, -ndim))


# In both layouts, contiguous() comes before flatten(), which would copy all the same: a tracer
# would have to know in advance which axes merge.


def contiguous(x: Tensor) -> Tensor:
    """Return `x` in contiguous memory, copied if it must be; a tracer, which cannot know, copies.

    Asking a traced tensor whether it is contiguous would exclude the sizes for which it is.
    """
    if compiler.is_compiling():
        return x.clone(memory_format=torch.contiguous_format)
    return x.contiguous()


@fx.wrap
def as_rows(
    windows: Shaped[Tensor, "*n groups *columns_out"], ndim: int
) -> Shaped[Tensor, "*n_out columns"]:
    """Return each output's window as one row, group after group."""
    # (…, groups, c/groups, *kernel, *out) to (…, *out, groups, c/groups, *kernel): the last
    # ndim + 2 axes are then one row.
    outputs = range(-ndim, 0)
    front = range(windows.ndim - 2 * ndim - 2)
    columns = range(-2 * ndim - 2, -ndim)
    return contiguous(windows.permute(*front, *outputs, *columns)).flatten(-ndim - 2)


@fx.wrap
def as_columns(
    windows: Shaped[Tensor, "*n groups *columns_out"], ndim: int
) -> Shaped[Tensor, "*n groups columns positions"]:
    """Return each output's window as one column, for each group."""
    return contiguous(windows).flatten(-ndim).flatten(-ndim - 2, -2)


@fx.wrap
def as_image(
    y: Shaped[Tensor, "*n o positions"],
    x: Shaped[Tensor, "*n c *size"],
    windows: Shaped[Tensor, "*n groups *columns_out"],
    ndim: int,
) -> Shaped[Tensor, "*n o *out"]:
    """Return the outputs as an image."""
    if compiler.is_compiling():
        return contiguous(torch.unflatten(contiguous(y), -1, windows.shape[-ndim:]))
    return in_format_of(x, y.reshape(*y.shape[:-1], *windows.shape[-ndim:]), ndim)


@fx.wrap
def in_format_of(
    x: Shaped[Tensor, "*n c *size"], y: Shaped[Tensor, "*n o *out"], ndim: int
) -> Shaped[Tensor, "*n o *out"]:
    """Return outputs as PyTorch's layers lay them out: channels_last if `x` is, else contiguous."""
    if compiler.is_compiling():
        return contiguous(y)
    if ndim > 1 and x.ndim == ndim + 2 and not x.is_contiguous():
        last = torch.channels_last if ndim == 2 else torch.channels_last_3d
        if x.is_contiguous(memory_format=last):
            return y.contiguous(memory_format=last)
    # Through one line and back: an axis of size 1 may keep a step that says channels_last.
    return y.contiguous().view(-1).view(y.shape)


@fx.wrap
def as_linear(
    x: Shaped[Tensor, "*n c *size"],
    weight: Shaped[Tensor, "o columns *kernel"],
    bias: Shaped[Tensor, " o"] | None,
    windows: Windows,
    groups: int,
    order: tuple[int, ...],
) -> Shaped[Tensor, "*n o *out"]:
    """Return a convolution's outputs, each window through the kernel as a matrix.

    In the memory that PyTorch's convolution gives them: channels_last if image or kernel is.
    """
    kernel, stride, dilation, padding, mode = windows
    ndim = len(kernel)
    image = pad(x, padding, mode)
    cut = cut_windows(image, kernel, stride, dilation, groups, order)
    out = cut.shape[-ndim:]
    last = _gives_channels_last(x if mode == "zeros" else image, weight)
    # As in exchange/kernel_matrix.py, whose namespaces torch.compile warns of.
    matrix = weight.permute(0, *(axis + 1 for axis in order)).reshape(
        groups, weight.shape[0] // groups, -1
    )
    if last and groups == 1:
        return functional.linear(as_rows(cut, ndim), matrix[0], bias).movedim(-1, -1 - ndim)
    y = torch.matmul(matrix, as_columns(cut, ndim)).flatten(-3, -2)
    if bias is not None:
        # Autocast narrows the product and not the bias, and would widen the sum again.
        y = y + bias[:, None].to(y.dtype)
    return laid_out(torch.unflatten(y, -1, out), x if mode == "zeros" else image, weight)


def laid_out(
    y: Shaped[Tensor, "*n o *out"], x: Shaped[Tensor, "*n c *size"], weight: Tensor
) -> Shaped[Tensor, "*n o *out"]:
    """Return a convolution's outputs in the memory that PyTorch's own gives them."""
    if not _gives_channels_last(x, weight):
        return y.contiguous()
    channels = 1 - weight.ndim  # the axis, batched or not
    return y.movedim(channels, -1).contiguous().movedim(-1, channels)


def _gives_channels_last(x: Tensor, weight: Tensor) -> bool:
    """Whether PyTorch's convolution gives its outputs channels_last; seen on the CPU."""
    if compiler.is_compiling():
        return False
    if x.ndim < weight.ndim:  # unbatched
        if x.ndim == 4:
            return False
        x = x[None]
    if x.ndim == 5 and x.dtype == torch.float64 and x.device.type == "cpu":
        return False  # its kernel knows contiguous memory alone
    return is_channels_last(x) or is_channels_last(weight)
