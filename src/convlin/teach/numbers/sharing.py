"""Lesson 2: how many weights each form has, and where one step of training takes them."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from convlin.costs import Form, convolution_forms
from convlin.layers import nearest_conv, to_linear, to_local, unroll
from convlin.structure import Energy
from convlin.teach.example import Example
from convlin.teach.numbers.given_layers import linear_of

__all__ = ["Sharing", "sharing"]


@dataclass(frozen=True, eq=False)
class Sharing:
    """Two outputs side by side, and the forms that hold their weights.

    weights: of each form, without bias. most: how often the weight that is used most is used.
    idle: weights of the locally connected layer that lie on padding. steps: where gradient descent
    moves each form, started as the same map: the energy of the step, split; empty where no weight
    would move.
    """

    example: Example
    taps: int
    weights: dict[Form, int]
    most: int
    idle: int
    steps: dict[Form, Energy]


def sharing(example: Example) -> Sharing:
    """Compute lesson 2.

    >>> from convlin.teach.example import article_example
    >>> lesson = sharing(article_example())
    >>> [lesson.weights[form] for form in ("conv", "local", "linear")]
    [9, 144, 576]
    """
    geometry, size = example.geometry, example.image.shape
    costs = convolution_forms(geometry, size, bias=False)
    weights = {cost.form: cost.parameters for cost in costs}
    wires = _uses(example)
    return Sharing(
        example,
        geometry.taps,
        weights,
        max(wires.values(), default=0),
        weights["local"] - sum(wires.values()),
        _steps(example),
    )


def _uses(example: Example) -> Counter[int]:
    """Return how many wires each tap of the kernel is used on."""
    return Counter(
        tap for output in np.ndindex(*example.matrix.output_size)
        for tap, _ in example.wires(output).values()
    )  # fmt: skip


def _steps(example: Example) -> dict[Form, Energy]:
    """Return the gradient of half the sum of squared outputs, in the space of each form."""
    size = example.image.shape
    image = torch.from_numpy(example.image)[None, None]
    conv, local = copy.deepcopy(example.conv), to_local(example.conv, size)
    form = to_linear(example.conv, size, exchange="dense_at_size", groups="block_diagonal")
    linear = linear_of(form)
    layers: dict[Form, tuple[nn.Module, torch.Tensor]] = {
        "conv": (conv, conv.weight),
        "local": (local, local.weight),
        "linear": (form, linear.weight),
    }
    for layer, weight in layers.values():
        (step,) = torch.autograd.grad(layer(image).square().sum() / 2, weight)
        with torch.no_grad():
            weight.copy_(step)
    if not linear.weight.any():
        return {}
    matrices: dict[Form, Any] = {
        "conv": unroll(conv, size).tocsr(), "local": local, "linear": linear
    }  # fmt: skip
    return {
        form: nearest_conv(matrix, example.geometry, size).energy
        for form, matrix in matrices.items()
    }
