"""The proof that so merged layers are equal, whatever their numbers.

Merged weights round, and a normalisation's scale is a root. As identities in weights, biases,
scales, shifts and inputs merges are polynomials all the same: these are drawn, and the very
functions that merged the layer's numbers merge the drawn ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from convlin.errors import Refused
from convlin.geometry import ConvGeometry
from convlin.layers.forms.branch_sum import BranchSum
from convlin.layers.merge_parts import NORMS, Part, children_of, merged_part, part_of
from convlin.layers.merged_layer import merged_layer
from convlin.layers.scale_and_shift import ScaleAndShift
from convlin.proof import Verdict, audit

__all__ = ["proved_identity"]

Scaled: TypeAlias = Callable[[Tensor, Tensor | None], nn.Module]


def proved_identity(
    original: nn.Module, layer: nn.Module, geometry: ConvGeometry, rows: bool, shape: Any
) -> Verdict:
    """Return the verdict on layers of these geometries, for all numbers and inputs of `shape`.

    layer: what they were merged to, of this geometry; on rows or on maps.
    """
    ones = torch.ones(geometry.out_channels)
    scaled = partial(ScaleAndShift, rows=rows, ndim=geometry.ndim)
    home = next(layer.parameters())  # a normalisation may have been wider
    pieces = _in_pieces(original, scaled, ones, zeros=True).to(home.device, home.dtype)
    for parameter in pieces.parameters():
        nn.init.ones_(parameter)
    try:
        _part(pieces)
    except Refused:  # a bias is in the way unless it is zero, and here it was
        pieces = _in_pieces(original, scaled, ones, zeros=False).to(home.device, home.dtype)
    return audit(_merged, pieces.requires_grad_(True).train(original.training), shape)


def _part(pieces: nn.Module) -> Part:
    part = merged_part(pieces, "", Tensor.detach)
    assert part is not None  # it was merged before
    return part


def _merged(pieces: nn.Module) -> nn.Module:
    part = _part(pieces)
    bias = None if part.bias is None else part.bias.clone()
    layer = merged_layer(part.geometry, part.weight.clone(), bias, part.on == "rows")
    return layer.train(pieces.training)


def _in_pieces(module: Any, scaled: Scaled, ones: Tensor, zeros: bool) -> nn.Module:
    """Return a copy in which every number is a variable; `zeros`: biases of zeros too."""
    children = [_in_pieces(child, scaled, ones, zeros) for _, child in children_of(module)]
    if isinstance(module, BranchSum):
        pairs = zip(children, module.scales, strict=True)
        return BranchSum([
            branch if scale == 1 else nn.Sequential(branch, scaled(ones * scale, None))
            for branch, scale in pairs
        ])  # fmt: skip
    if isinstance(module, nn.Sequential):
        return nn.Sequential(*children)
    if isinstance(module, tuple(NORMS)):
        part = part_of(module, "", Tensor.detach)
        return scaled(part.weight.flatten(), _unless_zero(part.bias, zeros))
    layer: nn.Module = copy.deepcopy(module)
    if not isinstance(layer, nn.Identity):
        layer.register_parameter("bias", _unless_zero(layer._parameters["bias"], zeros))
    return layer


def _unless_zero(bias: Tensor | None, zeros: bool) -> Any:
    return bias if zeros or bias is None or bias.any() else None
