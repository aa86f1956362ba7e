"""`to_conv1d`: a convolution in two dimensions that has taps along one of them only."""

from __future__ import annotations

from typing import Any

from torch import nn

from convlin.arguments import flag
from convlin.errors import Refused
from convlin.exchange.as_conv2d import Lines
from convlin.geometry import ConvGeometry
from convlin.layers.forms.conv2d_forms import LinesConv1d
from convlin.layers.stock_layer import require_stock_layer

__all__ = ["to_conv1d"]


def to_conv1d(conv: nn.Module, *, copy: bool = False) -> LinesConv1d:
    """Return `conv` as a convolution in one dimension on every line, drop-in.

    It takes what the nn.Conv2d (nn.ConvTranspose2d) took, (N, C, H, W). Child `conv` is an
    nn.Conv1d (nn.ConvTranspose1d), and `.to_original()` gives the layer back. Along one of the axes
    kernel 1 and padding 0 are needed; a stride there leaves lines out (a transposed convolution
    must not have one). Along the other axis everything is free. `to_conv2d` is the way back from
    any Conv1d.

    The weight aliases the layer's, and the bias is the same parameter. `copy=True` copies both.

    Raises `Refused` with everything that does not fit along the axis where least does; also for
    layers that compute more than their class says.

    Identity: Σ_c Σ_t w[o, c, t, 0]·x[c, p·stride + t·dilation - before, q], for every line q.

    >>> import torch
    >>> form = to_conv1d(torch.nn.Conv2d(3, 8, (1, 5), padding=(0, 2)))
    >>> form.conv, form(torch.zeros(2, 3, 1, 9)).shape
    (Conv1d(3, 8, kernel_size=(5,), stride=(1,), padding=(2,)), torch.Size([2, 8, 1, 9]))
    """
    copy = flag("to_conv1d", "copy", copy)
    require_stock_layer(conv, nn.Conv2d, nn.ConvTranspose2d)
    layer: Any = conv
    geometry = ConvGeometry.of(layer)
    if refusals := tuple(Lines.refusals(geometry)):
        raise Refused(refusals)
    exchange, spelling = Lines(geometry), layer.padding
    if not isinstance(spelling, str):
        spelling = (spelling[1 - exchange.across],)
    return LinesConv1d.of(layer, exchange, spelling, copy)
