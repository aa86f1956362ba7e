"""`sliding_window`: exactly the classifier on every window of an image, without paying for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from torch import nn

from convlin.arguments import Progress, byte_count, flag, index, listener, shown, wholes
from convlin.errors import Refusal, Refused
from convlin.layers.stock_layer import require_module
from convlin.models.cells.analysis import analysed
from convlin.models.cells.own_stride import own_stride
from convlin.models.cells.slid import SlidingWindow

__all__ = ["sliding_window"]

MEMORY = 4 * 2**30  # bytes; a quarter of a laptop's. Half cuts 1024² into tiles for VGG-16.


def sliding_window(
    model: nn.Module,
    window: Sequence[SupportsIndex] = (3, 224, 224),
    *,
    stride: SupportsIndex | Sequence[SupportsIndex] | None = None,
    memory: int | str | None = None,
    check: bool = True,
    progress: Progress | None = None,
) -> SlidingWindow:
    """Return the classifier `model` slid over images: its outputs on every window, exactly.

    `window` is the input shape (C, *spatial), in pixels, the model classifies; `stride` the pixels
    from one window to the next, one number or one per dimension, whatever the model's own strides;
    None: the model's own, from cell to cell of the last map that windows share.
    Padding, ceil_mode and whatever else a window ends with are those of each window: the result is
    the model's on each crop, up to rounding.

    Cells that several windows share are computed once; from the first layer on that mixes all of
    a window's cells, or whose cells hardly any two windows share, windows are run one by one, in
    batches. `plan` says for an image size what that takes. `memory` is what a run may take beyond
    weights, images and scores, in bytes or as text such as "2GB"; None: 4 GiB. Larger images are
    cut into tiles.

    Unless `check` is False, a few windows are run in float64 against the model on each crop alone;
    `progress` is called with (what, done, total). Gradients flow to images and weights; what they
    need is kept, beyond `memory`: run under `torch.inference_mode()` where nothing is trained.

    Identity: a window's cell is what it reads; cells of two windows that read the same are one
    (for nets without padding: Giusti et al., "Fast image scanning with deep max-pooling
    convolutional neural networks", 2013).

    Raises `Refused` for models that no window alone decides: in training mode, with BatchNorm by
    batch statistics, that draw, count or ask the images for numbers.

    >>> import torch
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(),
    ...     torch.nn.Linear(4 * 8 * 6, 5),
    ... ).eval()
    >>> windows = sliding_window(model, window=(3, 8, 6), stride=2)
    >>> images = torch.rand(1, 3, 20, 21)
    >>> scores = windows(images)
    >>> scores.shape
    torch.Size([1, 5, 7, 8])
    >>> torch.allclose(scores[..., 2, 3], model(images[:, :, 4:12, 6:12]), atol=1e-6)
    True
    >>> round(windows.plan((20, 21)).ratio, 2)
    2.01
    """
    require_module("sliding_window", "model", model)
    shape = _window(window)
    limit = MEMORY if memory is None else byte_count("sliding_window", "memory", memory)
    check = flag("sliding_window", "check", check)
    progress = listener("sliding_window", progress)
    analysis = analysed(model, shape)
    strides = own_stride(analysis) if stride is None else _strides(stride, len(shape) - 1)
    windows = SlidingWindow(model, analysis, shape, strides, limit)
    if check:
        windows.check(progress)
    return windows


def _strides(stride: Any, ndim: int) -> tuple[int, ...]:
    allowed = f"a whole number ≥ 1, or {ndim} of them"
    one = index(stride)
    listed = (one,) * ndim if one is not None else stride
    numbers = wholes("sliding_window", "stride", listed, 1, allowed=allowed)
    if len(numbers) != ndim:
        raise Refused(Refusal("sliding_window", "stride", shown(stride), allowed))
    return numbers


def _window(window: Sequence[SupportsIndex]) -> tuple[int, ...]:
    allowed = "(C, L), (C, H, W) or (C, D, H, W)"
    shape = wholes("sliding_window", "window", window, 1, allowed=allowed)
    if len(shape) not in (2, 3, 4):
        raise Refused(Refusal("sliding_window", "window", shape, allowed))
    return shape
