"""How far two layers of one kind lie apart on the same data, and how far rounding may take them.

With design matrix U, weights w and w' of n unknowns an output, and unit roundoff u, outputs that
are equal in exact arithmetic but for `moved` are computed within ::

    γₙ·(|U|·|w| + |U|·|w'|) + u·|U|·|w'| + moved   [+ u·(|y| + |y'|) in 16 bits]

for two sums of n products each, in any order; other weights, rounded to the layer's dtype; and, in
16 bits, results that are summed in float32 and rounded.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from convlin.numerics.roundoff import gamma, unit
from convlin.proof.verdict import Rounding

__all__ = ["agreement"]


def agreement(
    layer: nn.Module,
    other: nn.Module,
    data: Tensor,
    unknowns: int,
    moved: Float[np.ndarray, "n outputs positions"],
) -> Rounding:
    """Return the largest deviation of `other` from the layer on the data, next to its bound.

    Judged for every output; the two numbers are those of the largest deviation.
    """
    with torch.no_grad(), torch.autocast(data.device.type, enabled=False):
        mine, theirs = (_outputs(each(data), moved) for each in (layer, other))
        sizes = [_outputs(_magnitudes(each, data), moved) for each in (layer, other)]
    name, u = str(data.dtype).removeprefix("torch."), unit(data.dtype)
    deviation = abs(mine - theirs)
    worst = np.unravel_index(deviation.argmax(), deviation.shape)
    largest, scale = float(deviation[worst]), float(abs(mine).max())
    summing = gamma(unknowns, min(u, unit(torch.float32)))
    if summing is None:
        return Rounding(largest, None, scale, name, f"n·u ≥ 1 for {unknowns} summands in {name}")
    bound = summing * (sizes[0] + sizes[1]) + u * sizes[1] + moved
    if u > unit(torch.float32):
        bound += u * (abs(mine) + abs(theirs))
    if not np.isfinite(deviation + bound).all():
        note = f"numbers beyond the range of {name}"
        return Rounding(largest, None, scale, name, note, within=False)
    within = bool((deviation <= bound).all())
    note = "" if within else "beyond the bound: no order of summation explains it"
    return Rounding(largest, float(bound[worst]), scale, name, note, within)


def _magnitudes(layer: nn.Module, data: Tensor) -> Tensor:
    """Return |U|·|w|: the layer's outputs, were everything positive, in float64."""
    sizes = {name: value.double().abs() for name, value in layer.named_parameters()}
    outputs: Tensor = torch.func.functional_call(layer, sizes, (data.double().abs(),))
    return outputs


def _outputs(
    y: Tensor, moved: Float[np.ndarray, "n outputs positions"]
) -> Float[np.ndarray, "n outputs positions"]:
    """Return a layer's outputs in the order of `moved`."""
    return y.double().cpu().numpy().reshape(moved.shape)
