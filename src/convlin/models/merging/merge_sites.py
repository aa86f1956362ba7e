"""Neighbours as one layer: PyTorch's own layers, and subclasses of them behind a proof.

A normalisation can be merged into a layer of a subclass, which stays what it is, with the merged
weight and bias for its own. That is right if its code is a convolution with these, whatever else it
does to its input (padding of its own), and wrong if it does something to its weight (standardises
it). So it is proved for all weights, on a copy of few channels with the layer's other attributes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.layers.merge import merge
from convlin.layers.merge_parts import merged_part, part_of
from convlin.layers.merged_layer import border_size
from convlin.layers.scale_and_shift import ScaleAndShift
from convlin.models.merging.nothing_between import KERNELS, is_norm
from convlin.models.rewrite.sites import strangeness
from convlin.models.rewrite.swap import standing_in
from convlin.proof import Measured, Proved, Verdict, audit

__all__ = ["MergedChain", "SubclassProofs", "has_kernel", "is_strange", "kernel_of", "merged_chain"]

# Of few channels one draw is wrong with 1e-5, and each takes as long as all else of a small model.
DRAWS = 2


@dataclass(frozen=True)
class MergedChain:
    """Layers as one, of a geometry; on rows if it is a Linear."""

    layer: nn.Module
    geometry: ConvGeometry
    rows: bool

    def multiply_adds(self, shape: tuple[int, ...]) -> int:
        """Return the multiply-adds for one input of a batch of this shape."""
        return self.geometry.connections(_pixels(self.geometry, self.rows, shape))


def kernel_of(layers: Sequence[nn.Module]) -> int:
    """Return which of several layers the merged one takes the place of: the first with a kernel."""
    return next((i for i, layer in enumerate(layers) if has_kernel(layer)), 0)


def has_kernel(layer: nn.Module) -> bool:
    """Whether a layer is a convolution or a Linear, or of a class derived from one."""
    return isinstance(layer, KERNELS)


def is_strange(layer: nn.Module) -> bool:
    """Whether a layer with a kernel runs other code than its class of PyTorch's own."""
    base = _base(layer)
    return base is not None and any(strangeness("", layer, base))


def merged_chain(layers: Sequence[Any]) -> MergedChain:
    """Return layers, one behind the other, as one; raise `Refused`, with numbers for sites.

    A layer of a subclass, with normalisations behind it, stays one: ask `SubclassProofs`.
    """
    first, *others = layers
    if not others:
        part = part_of(first, "", Tensor.detach)
        return MergedChain(first, part.geometry, part.on == "rows")
    if not (is_strange(first) and all(map(is_norm, others))):
        merged = merge(*layers)
        return MergedChain(merged.layer, merged.geometry, merged.rows)
    merged = merge(standing_in(first, _base(first)), *others)
    twin = copy.deepcopy(first)
    twin.weight = merged.layer.weight
    twin.register_parameter("bias", merged.layer.bias)
    return MergedChain(twin, merged.geometry, merged.rows)


class SubclassProofs:
    """Whether scales and shifts merge into layers of subclasses, asked once of each kind."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Verdict] = {}

    def __call__(self, site: str, layer: nn.Module) -> Proved:
        """Return the proof, of few channels, for all weights; raise `Refused` if there is none."""
        few = _of_few_channels(layer)
        kind = type(layer), repr(few), repr({k: v for k, v in vars(few).items() if k[0] != "_"})
        if kind not in self._known:
            self._known[kind] = _judged(few)
        verdict = self._known[kind]
        if not isinstance(verdict, Proved):
            value = Description(f"{type(layer).__module__}.{type(layer).__qualname__}.forward")
            allowed = "one that scales as its weight and bias do"
            raise Refused(Refusal(site, "forward", value, allowed, verdict.details))
        return verdict


def _judged(few: Any) -> Verdict:
    """Audit the merge of a layer with a scale and a shift a channel, all of them variables."""
    rows = isinstance(few, nn.Linear)
    ndim, outputs = (1, few.out_features) if rows else (few.weight.ndim - 2, few.out_channels)
    ones = torch.ones(outputs)
    scaled = ScaleAndShift(ones, ones, rows=rows, ndim=ndim).train(few.training)
    shape = (few.in_features,) if rows else _shape(ConvGeometry.of(few))

    def merged(pair: nn.Module) -> nn.Module:
        part = merged_part(pair, "", Tensor.detach)
        assert part is not None
        twin: Any = copy.deepcopy(pair.get_submodule("0"))
        twin.weight = nn.Parameter(part.weight.reshape(twin.weight.shape))
        twin.bias = None if part.bias is None else nn.Parameter(part.bias)
        return twin  # type: ignore[no-any-return]

    pair = nn.Sequential(few, scaled).train(few.training)
    try:
        return audit(merged, pair.requires_grad_(True), shape, draws=DRAWS)
    except Refused as refused:
        return Measured(f"not judged: {refused}", None)


def _shape(geometry: ConvGeometry) -> tuple[int, ...]:
    return (geometry.in_channels, *border_size(geometry))


def _of_few_channels(layer: nn.Module) -> Any:
    """Return a copy with at most two groups, of two channels in and two out."""
    few: Any = copy.deepcopy(layer).cpu().float()
    if isinstance(few, nn.Linear):
        few.in_features, few.out_features = min(3, few.in_features), min(2, few.out_features)
        shape, outputs = (few.out_features, few.in_features), few.out_features
    else:
        groups = min(2, few.groups)
        inputs, outputs = (
            groups * min(2, channels // few.groups)
            for channels in (few.in_channels, few.out_channels)
        )
        first, second = (inputs, outputs) if few.transposed else (outputs, inputs)
        few.groups, few.in_channels, few.out_channels = groups, inputs, outputs
        shape = (first, second // groups, *few.weight.shape[2:])
    few.weight = nn.Parameter(torch.ones(shape))
    if few.bias is not None:
        few.bias = nn.Parameter(torch.ones(outputs))
    return few


def _base(layer: nn.Module) -> Any:
    return next((base for base in KERNELS if isinstance(layer, base)), None)


def _pixels(geometry: ConvGeometry, rows: bool, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the size that a layer takes of a batch; of rows, how many there are for one input."""
    return (math.prod(shape[1:-1]),) if rows else shape[-geometry.ndim :]
