"""Layers without padding, on an input of one window: there every weight shows, and once.

Padding by reflection, replication or in a circle lets several taps read one pixel: what that weighs
in an output is a sum of rounded weights, and no rounded weight. And on maps with a border each
weight of a large layer shows so often that a judge would not compare them all.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from convlin.geometry import ConvGeometry
from convlin.internals.modules import ConvBase
from convlin.layers.merge_parts import children_of
from convlin.layers.parameters import conv_with

__all__ = ["without_padding"]


def without_padding(module: nn.Module) -> nn.Module:
    """Return layers behind each other that share the given ones' parameters and pad nothing.

    >>> without_padding(nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"))
    Conv1d(2, 3, kernel_size=(3,), stride=(1,))
    """
    if isinstance(module, nn.Sequential):
        return nn.Sequential(*(without_padding(child) for _, child in children_of(module)))
    if not isinstance(module, ConvBase) or module.transposed:
        return module
    g = ConvGeometry.of(module)
    bare = ConvGeometry(
        g.in_channels, g.out_channels, g.kernel, g.stride, 0, g.dilation, g.groups
    )  # fmt: skip
    parameters: Any = module
    return conv_with(bare, 0, parameters.weight, parameters.bias).train(module.training)
