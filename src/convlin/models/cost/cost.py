"""`cost`: what a layer or a whole model costs at one input size, in every form.

The model runs on one sample without values, and hooks note the shapes that each layer takes and
gives; all numbers then follow from sizes alone, in `convlin.costs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

import torch
from torch import nn

from convlin.costs import CostTable
from convlin.layers.stock_layer import require_module
from convlin.layers.unchanged import unchanged
from convlin.models.cost.observed import observe, uncompiled
from convlin.models.cost.per_layer import rows
from convlin.models.cost.sample import sample_shape

__all__ = ["cost"]


def cost(
    layer_or_model: nn.Module, input_size: SupportsIndex | Sequence[SupportsIndex]
) -> CostTable:
    """Return parameters, bytes, multiply-adds and activation bytes, in every form, per sample.

    input_size: of a convolution, its input's spatial size in pixels (one number repeats); of a
    Linear, the sizes before its features, () for one vector (sizes that end in `in_features` are
    the whole shape); of a model, (C, *spatial), or *spatial if C is its first convolution's.

    The model runs once, in eval mode, on one sample that has a shape but no values (on zeros, if
    it looks at values), and is left as it was. A layer that runs twice counts twice in
    multiply-adds and activations, once in parameters; parameters that layers share count once in
    the sum. Multiply-adds are those of convolutions and Linear layers, convlin's own forms
    included (which multiply the zeros they have padded). Layers that use parameters otherwise,
    such as attention, are named as `uncounted`; products in code between layers (`q @ k`,
    `F.linear`) are not seen at all. Layers that keep weights in anything but parameters, such as
    dynamically quantized ones, are `uncounted` too. A compiled model counts as what it was
    compiled from.

    A convolution's true multiply-adds are the structural non-zeros of its matrix (zero padding);
    `padded_multiply_adds` counts multiplications by padded zeros too.

    Raises `GeometryError` for an input too small, and `Refused` for a model that cannot run on
    such an input, naming the layer, the shape and the reason; also for one of token indices or of
    several inputs.

    >>> from torch import nn
    >>> table = cost(nn.Conv2d(1, 1, 3, bias=False), (6, 6))
    >>> table.parameters
    {'conv': 9, 'local': 144, 'linear': 576, 'matrix': 144}
    >>> cost(nn.Linear(3, 2, bias=False), ()).parameters["linear"]
    6
    >>> padded = cost(nn.Conv2d(3, 8, 3, padding=1), (16, 16))
    >>> padded.multiply_adds["conv"], padded.padded_multiply_adds["conv"]
    (50784, 55296)
    """
    model = uncompiled(layer_or_model)
    require_module("cost", "layer_or_model", model)
    shape = sample_shape(model, input_size)
    tallies = observe(model, shape)
    with unchanged(model), torch.random.fork_rng(devices=()):  # to read a weight may compute it
        return CostTable(type(model).__name__, shape, tuple(rows(model, tallies)))
