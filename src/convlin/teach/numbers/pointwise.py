"""Lesson 3: a 1×1 convolution beside the fully connected layers that it is, and is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Num

from convlin.costs import Form, convolution_forms
from convlin.geometry import ConvGeometry
from convlin.layers import to_linear, unroll
from convlin.matrix import ConvMatrix
from convlin.proof import Verdict, audit
from convlin.teach.article_examples import MAP, MIXING
from convlin.teach.numbers.given_layers import conv_holding, linear_of

__all__ = ["Pointwise", "pointwise"]


@dataclass(frozen=True, eq=False)
class Pointwise:
    """A 1×1 convolution from three channels to two.

    pixel: row and column, from 0, of the one written out. weights: of each form of it on this
    map. over_channels: of the FC layer from channels to channels. flat: inputs and outputs of an
    FC layer on the flattened map. proof: an audit over all weights and inputs.
    """

    map: Num[np.ndarray, "3 h w"]
    mixing: Num[np.ndarray, "2 3"]
    outputs: Num[np.ndarray, "2 h w"]
    pixel: tuple[int, int]
    matrix: ConvMatrix
    weights: dict[Form, int]
    over_channels: int
    flat: tuple[int, int]
    proof: Verdict


def pointwise() -> Pointwise:
    """Compute lesson 3.

    >>> lesson = pointwise()
    >>> lesson.weights["conv"], lesson.weights["linear"], lesson.over_channels
    (6, 486, 6)
    """
    outputs, inputs = MIXING.shape
    size = MAP.shape[1:]
    conv = conv_holding(MIXING[:, :, None, None])
    matrix = unroll(conv, size)
    costs = convolution_forms(ConvGeometry.of(conv), size, bias=False)
    with torch.no_grad():
        y = conv(torch.tensor(MAP, dtype=torch.float64)).numpy()
    return Pointwise(
        MAP,
        MIXING,
        y,
        (1, 2),
        matrix,
        {cost.form: cost.parameters for cost in costs},
        linear_of(to_linear(conv)).weight.numel(),
        (matrix.shape[1], matrix.shape[0]),
        audit(to_linear, torch.nn.Conv2d(inputs, outputs, 1, bias=False), (inputs, *size)),
    )
