"""`to_conv2d`: a layer as a convolution in two dimensions, on (B, C, 1, S)."""

from __future__ import annotations

from typing import Any

from torch import nn

from convlin.arguments import flag
from convlin.errors import Refused
from convlin.exchange.as_conv2d import Frames, as_conv2d
from convlin.geometry import ConvGeometry
from convlin.layers.forms.conv2d_forms import FramesConv2d, LineConv2d
from convlin.layers.forms.conv_forms import RowsConv2d
from convlin.layers.gpt2_layer import is_gpt2_layer
from convlin.layers.stock_layer import require_stock_layer
from convlin.layers.to_conv import to_conv

__all__ = ["to_conv2d"]


def to_conv2d(layer: nn.Module, *, copy: bool = False) -> LineConv2d | FramesConv2d | RowsConv2d:
    """Return `layer` as a convolution in two dimensions, drop-in: it takes what the layer took.

    Child `conv` is an nn.Conv2d (nn.ConvTranspose2d), the form that some processors want, with the
    long axis last and the axis of size 1, if any, before it; `.to_original()` gives the layer back.

    - nn.Conv1d, nn.ConvTranspose1d: kernel (1, k) on (B, C, 1, L). Any stride, padding, padding
      mode, dilation and groups. The argument `output_size` of a transposed one is not taken.
    - nn.Conv3d whose windows share no frame (kernel ≤ stride, padding 0 and dilation 1 in time):
      one Conv2d on every window, its frames as more channels.
    - nn.Linear, GPT-2's `Conv1D`: kernel 1 on (B, C, 1, S), for rows (B, S, C). Rows (S, C) are one
      batch, and the middle axes of (B, …, C) are one S.

    Weights alias the layer's, and the bias is the same parameter. `copy=True` copies both.

    Raises `Refused` with everything that does not fit; also for layers that compute more than
    their class says, and where no view of a Conv3d's weight has its frames beside its channels
    (channels_last_3d) and `copy` is False.

    Identity: Σ_c Σ_t w[o, c, t]·x[c, p·stride + t·dilation - before], written with one more axis of
    size 1, or with (c, t) as one channel.

    >>> import torch
    >>> form = to_conv2d(torch.nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4)))
    >>> form.conv, form(torch.zeros(1, 3, 6, 12, 8)).shape
    (Conv2d(6, 8, kernel_size=(4, 4), stride=(4, 4)), torch.Size([1, 8, 3, 3, 2]))
    >>> to_conv2d(torch.nn.Linear(3, 8)).conv
    Conv2d(3, 8, kernel_size=(1, 1), stride=(1, 1))
    """
    copy = flag("to_conv2d", "copy", copy)
    if isinstance(layer, nn.Linear) or is_gpt2_layer(layer):
        form = to_conv(layer, copy=copy)
        rows = RowsConv2d(form.conv, form.exchange)
        return rows.stand_for(layer).train(layer.training)
    require_stock_layer(layer, nn.Conv1d, nn.ConvTranspose1d, nn.Conv3d, nn.Linear)
    return _of_conv(layer, copy)


def _of_conv(layer: Any, copy: bool) -> FramesConv2d | LineConv2d:
    exchange = as_conv2d(ConvGeometry.of(layer))
    if isinstance(exchange, tuple):
        raise Refused(exchange)
    if isinstance(exchange, Frames):
        spelling = layer.padding if isinstance(layer.padding, str) else layer.padding[1:]
        return FramesConv2d.of(layer, exchange, spelling, copy)
    spelling = layer.padding if isinstance(layer.padding, str) else (0, *layer.padding)
    return LineConv2d.of(layer, exchange, spelling, copy)
