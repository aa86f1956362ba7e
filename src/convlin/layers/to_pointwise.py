"""`to_pointwise`: a convolution of patches as space-to-depth and a convolution of kernel 1."""

from __future__ import annotations

from typing import Any

from torch import nn

from convlin.arguments import flag
from convlin.errors import Refused
from convlin.exchange.space_to_depth import SpaceToDepth
from convlin.geometry import ConvGeometry
from convlin.layers.forms.space_to_depth_conv import SpaceToDepthConv
from convlin.layers.stock_layer import require_stock_layer

__all__ = ["to_pointwise"]


def to_pointwise(conv: nn.Module, *, copy: bool = False) -> SpaceToDepthConv:
    """Return `conv` as a convolution of kernel 1 on space-to-depth, drop-in.

    It takes what the nn.Conv1d, 2d or 3d took, at any size and with any padding. Its kernel must be
    its stride. Pixels become channels (PyTorch's pixel_unshuffle, where the patches are squares),
    child `conv` is of kernel 1, and `.to_original()` gives the layer back.

    The weight aliases the layer's, and the bias is the same parameter. `copy=True` copies both.

    Raises `Refused` with everything that does not fit; also for layers that compute more than
    their class says, and where no view of the weight has its taps beside its channels
    (channels_last) and `copy` is False.

    Identity: y[o, p] = Σ_j w[o, j]·z[j, p], where z[c·taps + t, p] = x[c, p·stride + t].

    >>> import torch
    >>> form = to_pointwise(torch.nn.Conv2d(3, 8, 4, stride=4))
    >>> form.conv, form(torch.zeros(2, 3, 9, 13)).shape
    (Conv2d(48, 8, kernel_size=(1, 1), stride=(1, 1)), torch.Size([2, 8, 2, 3]))
    """
    copy = flag("to_pointwise", "copy", copy)
    require_stock_layer(conv, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    layer: Any = conv
    geometry = ConvGeometry.of(layer)
    if refusals := tuple(SpaceToDepth.refusals(geometry)):
        raise Refused(refusals)
    return SpaceToDepthConv.of(layer, SpaceToDepth(geometry), (0,) * geometry.ndim, copy)
