"""The element that shows why two layers are not one: they are merged all the same, and judged."""

from __future__ import annotations

import math

import torch
from torch import nn

from convlin.errors import GeometryError
from convlin.exchange.merges import Composition
from convlin.geometry import ConvGeometry
from convlin.internals.modules import ConvBase
from convlin.layers.merged_layer import border_size, merged_layer
from convlin.proof import Refuted, audit

__all__ = ["parting_element"]


def parting_element(both: Composition, bias: bool) -> str:
    """Return where two layers and their merge part, in words; `bias`: whether the first has one.

    Of stand-ins with one or two groups of one channel, whose numbers are drawn: those elements are
    elements of the layers too.

    >>> conv = ConvGeometry(8, 8, (3,), padding=1)
    >>> print(parting_element(Composition(conv, conv), bias=False))  # doctest: +ELLIPSIS
    with whole numbers as weights, output (0, 0) meets input (0, 0) with weight ... against ...
    """
    given = both.first, both.second
    groups = [min(2, layer.groups) for layer in given]
    sizes = groups[0], math.lcm(*groups), groups[1]
    few = Composition(
        _thinned(both.first, *sizes[:2], groups[0]), _thinned(both.second, *sizes[1:], groups[1])
    )
    try:
        size = border_size(few.geometry)
    except GeometryError:
        return "and no layer has the merged output_padding"
    pair = nn.Sequential(_ones(few.first, bias), _ones(few.second, False))

    def merge(pair: nn.Module) -> nn.Module:
        first, second = (part for part in pair.modules() if isinstance(part, ConvBase))
        weight = few.weight(first.weight, second.weight)
        return merged_layer(few.geometry, weight, few.bias(first.bias, second.weight, None))

    verdict = audit(merge, pair, (sizes[0], *size), draws=1, seed=0)
    if not isinstance(verdict, Refuted):
        return "no layer of few channels shows it"
    return f"with whole numbers as weights, {verdict.counterexample}"


def _thinned(layer: ConvGeometry, inputs: int, outputs: int, groups: int) -> ConvGeometry:
    g = layer
    return ConvGeometry(
        inputs, outputs, g.kernel, g.stride, g.padding, g.dilation, groups, g.padding_mode,
        g.transposed, g.output_padding,
    )  # fmt: skip


def _ones(geometry: ConvGeometry, bias: bool) -> nn.Module:
    ones = torch.ones(geometry.out_channels) if bias else None
    return merged_layer(geometry, torch.ones(geometry.weight_shape), ones)
