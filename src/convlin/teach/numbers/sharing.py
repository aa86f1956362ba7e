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

__all__ = ["Sharing", "energies", "gradients", "parameters", "sharing"]


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
    weights, uses = parameters(example), _uses(example)
    return Sharing(
        example,
        example.geometry.taps,
        weights,
        max(uses.values(), default=0),
        weights["local"] - sum(uses.values()),
        energies(example, gradients(example)),
    )


def _uses(example: Example) -> Counter[int]:
    """Return how many wires each tap of the kernel is used on."""
    return Counter(
        tap for output in np.ndindex(*example.matrix.output_size)
        for tap, _ in example.wires(output).values()
    )  # fmt: skip


def parameters(example: Example) -> dict[Form, int]:
    """Return how many weights each form has, without bias."""
    costs = convolution_forms(example.geometry, example.image.shape, bias=False)
    return {cost.form: cost.parameters for cost in costs}


def gradients(example: Example) -> dict[Form, Any]:
    """Return the gradient of half the sum of squared outputs, in each form: its matrix.

    (outputs, pixels), sparse but for the FC layer's. All zero where no weight would move.
    """
    size = example.image.shape
    image = torch.from_numpy(example.image)[None, None]
    conv, local = copy.deepcopy(example.conv), to_local(example.conv, size)
    form = to_linear(example.conv, size, exchange="dense_at_size", groups="block_diagonal")
    linear = linear_of(form)
    layers: tuple[tuple[nn.Module, torch.Tensor], ...] = (
        (conv, conv.weight),
        (local, local.weight),
        (form, linear.weight),
    )
    for layer, weight in layers:
        (step,) = torch.autograd.grad(layer(image).square().sum() / 2, weight)
        with torch.no_grad():
            weight.copy_(step)
    return {
        "conv": unroll(conv, size).tocsr(),
        "local": local.matrix(),
        "linear": linear.weight.detach().numpy(),
    }


def energies(example: Example, steps: dict[Form, Any]) -> dict[Form, Energy]:
    """Return the energy of each form's step; none where no weight would move."""
    if not steps["linear"].any():
        return {}
    size = example.image.shape
    return {
        form: nearest_conv(matrix, example.geometry, size).energy for form, matrix in steps.items()
    }
