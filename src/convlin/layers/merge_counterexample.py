"""The element that shows why layers are not one: they are merged all the same, and judged.

Stand-ins of one or two groups of one channel are merged, whose numbers are drawn: an element of
these is one of the layers too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from convlin.errors import GeometryError
from convlin.exchange.merges import Composition, ParallelSum
from convlin.geometry import ConvGeometry
from convlin.internals.modules import ConvBase
from convlin.layers.forms.branch_sum import BranchSum
from convlin.layers.merged_layer import border_size, merged_layer
from convlin.proof import Refuted, audit

__all__ = ["parting_branches", "parting_pair"]

MergedNumbers: TypeAlias = Callable[[Sequence[Any]], tuple[Tensor, Tensor | None]]


def parting_pair(both: Composition, bias: bool) -> str:
    """Return where two layers and their merge part, in words; `bias`: whether the first has one.

    >>> conv = ConvGeometry(8, 8, (3,), padding=1)
    >>> print(parting_pair(Composition(conv, conv), bias=False))  # doctest: +ELLIPSIS
    with whole numbers as weights, output (0, 0) meets input (0, 0) with weight ... against ...
    """
    first, second = (min(2, layer.groups) for layer in (both.first, both.second))
    middle = math.lcm(first, second)
    few = Composition(
        _thinned(both.first, first, middle, first), _thinned(both.second, middle, second, second)
    )

    def numbers(layers: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
        before, behind = layers
        return few.weight(before.weight, behind.weight), few.bias(before.bias, behind.weight, None)

    return _parting(few, nn.Sequential(_ones(few.first, bias), _ones(few.second)), numbers)


def parting_branches(total: ParallelSum) -> str:
    """Return where the sum of branches and their merge part, in words.

    >>> modes = "zeros", "reflect"
    >>> branches = (ConvGeometry(8, 8, (3,), padding=1, padding_mode=mode) for mode in modes)
    >>> print(parting_branches(ParallelSum(tuple(branches))))  # doctest: +ELLIPSIS
    with whole numbers as weights, output (0, 0) meets input (0, 1) with weight ... against ...
    """
    groups = [min(2, branch.groups) for branch in total.branches]
    few = ParallelSum(tuple(
        _thinned(branch, max(groups), max(groups), own)
        for branch, own in zip(total.branches, groups, strict=True)
    ))  # fmt: skip

    def numbers(layers: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
        return few.weight([layer.weight for layer in layers]), None

    return _parting(few, BranchSum([_ones(branch) for branch in few.branches]), numbers)


def _parting(exchange: Composition | ParallelSum, layers: nn.Module, numbers: MergedNumbers) -> str:
    """Return what the judge finds of layers and the numbers that they are merged to."""
    try:
        geometry = exchange.geometry
    except GeometryError:
        return "and no layer has the merged output_padding"

    def merge(given: nn.Module) -> nn.Module:
        convs = [layer for layer in given.modules() if isinstance(layer, ConvBase)]
        return merged_layer(geometry, *numbers(convs))

    shape = (geometry.in_channels, *border_size(geometry))
    verdict = audit(merge, layers, shape, draws=1, seed=0)
    if not isinstance(verdict, Refuted):
        return "no layer of few channels shows it"
    return f"with whole numbers as weights, {verdict.counterexample}"


def _thinned(layer: ConvGeometry, inputs: int, outputs: int, groups: int) -> ConvGeometry:
    g = layer
    return ConvGeometry(
        inputs, outputs, g.kernel, g.stride, g.padding, g.dilation, groups, g.padding_mode,
        g.transposed, g.output_padding,
    )  # fmt: skip


def _ones(geometry: ConvGeometry, bias: bool = False) -> nn.Module:
    ones = torch.ones(geometry.out_channels) if bias else None
    return merged_layer(geometry, torch.ones(geometry.weight_shape), ones)
