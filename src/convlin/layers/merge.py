"""`merge`: layers with nothing between them as one layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from convlin.arguments import elements, flag, shown
from convlin.errors import Refusal, Refused
from convlin.layers.forms.branch_sum import BranchSum
from convlin.layers.merge_parts import merged_part, require_mergeable
from convlin.layers.merged import Merged
from convlin.layers.merged_layer import merged_layer
from convlin.layers.merged_numbers import common_home, layout_of, rounded, wide

__all__ = ["merge"]


def merge(
    first: nn.Module,
    second: nn.Module | None = None,
    *more: nn.Module,
    parallel: bool = False,
    scales: Sequence[float] | None = None,
) -> Merged:
    """Return layers with nothing between them as one: child `.layer`, of PyTorch's own class.

    Each is an nn.Conv, nn.ConvTranspose, nn.Linear, an nn.BatchNorm in eval mode, nn.Identity, or
    an nn.Sequential of these, which may come alone. Any stride, dilation and groups; else:

    - Behind each other: where the second pads, the border has to agree. Padding 0 always does, and
      so does a first kernel of 1, without bias if the second pads with zeros. Else it is refused,
      with the element that would be wrong.
    - `parallel=True`, outputs are added: one stride, one output size, one padding mode. `scales`
      multiply them, as in LoRA: `merge(conv, Sequential(down, up), parallel=True, scales=(1, 2))`.
    - Transposed convolutions merge with what is of kernel 1, and with each other where the first
      crops nothing.

    A BatchNorm1d beside a Linear is read as on (N, features), else as on (N, C, L). Circular layers
    merge to one that takes maps no smaller than its padding.

    Weights are computed in float64 and rounded once, to the dtype of the first layer that has a
    kernel, on its device. `.verdict` says how far that took them, and that the merge is an identity
    in all weights, scales and shifts. The given layers are not changed.

    Raises `Refused` with everything that does not fit: hooks, subclasses, other dtypes or devices,
    numbers that are not finite or too large for the dtype.

    Identity: W[o, c, T] = Σ_m Σ w₂[o, m, u]·w₁[m, c, t] over t·d₁ + u·d₂·s₁ = T.

    >>> merged = merge(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8).eval())
    >>> merged.layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    >>> merge(nn.Conv1d(3, 8, 3), nn.Conv1d(8, 5, 3, bias=False, stride=2)).layer
    Conv1d(3, 5, kernel_size=(5,), stride=(2,))
    """
    alone = second is None and isinstance(first, nn.Sequential) and not (more or parallel)
    if second is None and not alone:
        allowed = "a layer, or none behind an nn.Sequential"
        raise Refused(Refusal("merge", "second", None, allowed))
    layers = (first, *(layer for layer in (second, *more) if layer is not None))
    parallel = flag("merge", "parallel", parallel)
    factors = _factors(scales, len(layers), parallel)
    for index, layer in enumerate(layers):
        require_mergeable(layer, str(index))
    original = BranchSum(layers, factors) if parallel else nn.Sequential(*layers)
    home = common_home(original)
    original.training = first.training
    part = merged_part(original, "", wide)
    assert part is not None  # there is a layer that is no identity
    weight = rounded(part.weight, part.at, "weight", home)
    bias = None if part.bias is None else rounded(part.bias, part.at, "bias", home)
    rows = part.on == "rows"
    layer = merged_layer(part.geometry, weight, bias, rows).to(memory_format=layout_of(original))
    layer.requires_grad_(any(parameter.requires_grad for parameter in original.parameters()))
    return Merged(layer.train(first.training), original, part.geometry, rows)


def _factors(scales: Any, branches: int, parallel: bool) -> tuple[float, ...]:
    """Return a number for each branch, none if none were given."""
    if scales is None:
        return ()
    allowed = f"{branches} finite numbers, one for each branch" if parallel else "None"
    numbers = elements(scales)
    try:
        factors = tuple(map(float, numbers or ()))
    except Exception:  # whatever the numbers' own methods raise
        factors = ()
    if not parallel or len(factors) != branches or not all(map(math.isfinite, factors)):
        reason = "" if parallel else "parallel is False"
        raise Refused(Refusal("merge", "scales", shown(scales), allowed, reason))
    return factors
