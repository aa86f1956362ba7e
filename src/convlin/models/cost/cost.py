"""`cost`: what a layer or a whole model costs at one input size, in every form.

The model's own code runs on one sample without values, and is recorded: the shapes that each layer
takes and gives, and the products between layers; all numbers then follow from sizes alone, in
`convlin.costs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

from torch import nn

from convlin.costs import CostTable
from convlin.layers.stock_layer import require_module
from convlin.layers.unchanged import same_random_numbers, unchanged
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

    The model runs once, in eval mode, on one sample that has a shape but no values, and is left as
    it was. A layer that runs twice counts twice in multiply-adds and activations, once in
    parameters; parameters that layers share count once in the sum. Multiply-adds are those of
    convolutions and Linear layers, convlin's own forms included (which multiply the zeros they have
    padded), and those of matrix products and convolutions in other code (`q @ k`, `F.linear`,
    attention), which count for the module whose code it is, with a note. Operations that multiply
    in a way of their own, such as LSTM's, are named as `uncounted`, as are layers that keep weights
    in anything but parameters, such as dynamically quantized ones. A compiled model counts as what
    it was compiled from.

    Code that cannot be traced, since it looks at values, runs on zeros: a note says where, products
    between layers are not seen, and layers that use parameters otherwise are `uncounted`.

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
    tallies, untraced = observe(model, shape)
    with unchanged(model), same_random_numbers():  # to read a weight may compute it
        return CostTable(type(model).__name__, shape, tuple(rows(model, tallies)), untraced)
