"""Lesson 4: a kernel as large as the map, and the order in which the map is flattened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from convlin.costs import convolution_forms, linear_forms
from convlin.exchange.flatten_order import element_order
from convlin.geometry import ConvGeometry
from convlin.layers import to_conv
from convlin.proof import Verdict, audit, prove
from convlin.teach.article_examples import MAP
from convlin.teach.numbers.given_layers import conv_holding, linear_holding
from convlin.teach.scenes.decimals import SCALE
from convlin.teach.scenes.shown_numbers import own_weights

__all__ = ["FullSize", "full_size"]

OUTPUTS, SHAPE = 3, (3, 3, 3)
ORDERS = "CHW", "HWC"


@dataclass(frozen=True, eq=False)
class FullSize:
    """Three kernels as large as a map of three channels.

    map, kernels, values: whole numbers, and the outputs they give. each, all: weights of one
    kernel and of all, with three channels; one_channel: of all kernels on a map of one channel.
    linear, linear_one_channel: weights of the FC layer on each map. orders: for each way to
    flatten, the index, from 1, of every map element in the vector. proof: an audit over all
    weights. mistaken: the verdict on a kernel laid out in the other order. larger, fits: the size
    of a larger map, and at how many positions the kernel fits on it.
    """

    outputs: int
    shape: tuple[int, int, int]
    map: Int[np.ndarray, "c h w"]
    kernels: Int[np.ndarray, "out c h w"]
    values: Int[np.ndarray, " out"]
    each: int
    all: int
    one_channel: int
    linear: int
    linear_one_channel: int
    features: int
    orders: dict[str, Int[np.ndarray, "c h w"]]
    proof: Verdict
    mistaken: Verdict
    larger: tuple[int, int]
    fits: tuple[int, int]


def full_size() -> FullSize:
    """Compute lesson 4.

    >>> lesson = full_size()
    >>> lesson.all, lesson.linear, lesson.each, lesson.one_channel
    (81, 81, 27, 27)
    """
    channels, *size = SHAPE
    features = channels * size[0] * size[1]

    def weights(inputs: int, outputs: int) -> int:
        geometry = ConvGeometry(inputs, outputs, size)
        return convolution_forms(geometry, size, bias=False)[0].parameters

    # Whole numbers, each weight another one: a weight in the wrong place cannot hide.
    linear = linear_holding(np.arange(1, OUTPUTS * features + 1).reshape(OUTPUTS, features))
    flattened = nn.Sequential(nn.Flatten(), linear, nn.Unflatten(1, (OUTPUTS, 1, 1)))
    right, wrong = (to_conv(linear, SHAPE, order=order) for order in ORDERS)
    image = MAP
    kernels = own_weights((OUTPUTS, *SHAPE)) // SCALE
    with torch.no_grad():
        y = conv_holding(kernels)(torch.tensor(image, dtype=torch.float64))
    values = y.flatten().numpy().astype(int)
    larger = (size[0] + 2, size[1] + 1)
    with torch.no_grad():
        output = right.conv(torch.zeros(channels, *larger, dtype=torch.float64))
    return FullSize(
        outputs=OUTPUTS,
        shape=SHAPE,
        map=image,
        kernels=kernels,
        values=values,
        each=weights(channels, 1),
        all=weights(channels, OUTPUTS),
        one_channel=weights(1, OUTPUTS),
        linear=linear_forms(features, OUTPUTS, bias=False)[0].parameters,
        linear_one_channel=linear_forms(size[0] * size[1], OUTPUTS, bias=False)[0].parameters,
        features=features,
        orders={order: _indices(order) for order in ORDERS},
        proof=audit(
            lambda layer: to_conv(layer, SHAPE), nn.Linear(features, OUTPUTS, bias=False),
            (features,),
        ),
        mistaken=prove(flattened, wrong.conv, SHAPE),
        larger=larger,
        fits=(output.shape[1], output.shape[2]),
    )  # fmt: skip


def _indices(order: str) -> Int[np.ndarray, "c h w"]:
    """Return where each map element stands in the vector, counted from 1."""
    elements = element_order(order, SHAPE)
    indices = np.empty_like(elements)
    indices[elements] = np.arange(1, len(elements) + 1)
    return indices.reshape(SHAPE)
