"""Seen, not only derived: the model and what it was merged to, both run.

In float64, of merges that are not rounded, where a difference of 1e-10 of the largest output is an
error that raises. And in their own dtype, beside what rounding can do: each side may be off by the
bound that goes through its layers, and the merged one's weights are themselves rounded. That bound
is a worst case, which in deep networks is larger than any output; what rounding does is seen by
moving the model's own weights by as much, at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused, one_line
from convlin.models.differences import Dtypes, relative
from convlin.models.rewrite.against_original import undisturbed
from convlin.models.trace import tensors_in
from convlin.numerics.roundoff import unit
from convlin.proof import Measured, Rounding
from convlin.proof.through_layers import NoBound, through_layers

__all__ = ["apart", "moved_by_rounding", "require_equal"]

TOLERANCE = 1e-10
"""Of the largest output: rounding is about 1e-13 in deep networks; a wrong weight shows above."""
DRAWS = 3
"""Of random moves. Half as many find a tenth less, twice as many a tenth more."""


def require_equal(model: nn.Module, merge: Callable[[nn.Module], nn.Module], x: Tensor) -> None:
    """Raise `Refused` unless a model and its merges are equal on `x`, both in float64.

    model: a copy, which is made float64. merge: makes the other of a copy. A model that computes in
    a narrower dtype inside is held to half of the digits of that.
    """
    dtypes = Dtypes()
    with dtypes:
        own = _outputs(model.double(), x.double())
    merged = _outputs(merge(model), x.double(), "once merged, ")
    narrowest = max((torch.float64, *dtypes.seen), key=unit)
    tolerance = TOLERANCE if narrowest == torch.float64 else sqrt(unit(narrowest))
    off = max(map(relative, own, merged), default=0.0) if len(own) == len(merged) else torch.inf
    if off > tolerance:
        value = Description(f"off by {off:.2g} of the largest output, in float64")
        reason = "seen in a run, though every merge was derived to be equal"
        allowed = f"the model's, within {tolerance:.0e}"
        raise Refused(Refusal(type(model).__name__, "output", value, allowed, reason))


def apart(
    model: nn.Module, merged: nn.Module, x: Tensor, rounded: Sequence[str], reason: str
) -> Measured:
    """Return how far apart both are on `x`, and how far rounding may take them.

    rounded: the merged side's parameters that are merged weights.
    """
    own, theirs = (
        torch.cat([tensor.detach().double().cpu().flatten() for tensor in _outputs(side, x)])
        for side in (model, merged)
    )
    deviation, scale = (own - theirs).abs(), float(own.abs().max())
    worst, name = int(deviation.argmax()), str(x.dtype).removeprefix("torch.")
    try:
        bounds = [
            through_layers(side, x, x.dtype, names)[1].cpu().flatten()
            for side, names in ((model, ()), (merged, rounded))
        ]
    except NoBound as error:
        note = f"no bound is derived through {error}"
        return Measured(reason, Rounding(float(deviation[worst]), None, scale, name, note))
    bound = bounds[0] + bounds[1]
    within = bool((deviation <= bound).all())
    numbers = float(deviation[worst]), float(bound[worst])
    note = "a worst case, which says nothing here" * (numbers[1] > scale)
    return Measured(reason, Rounding(*numbers, scale, name, note, within))


def moved_by_rounding(model: nn.Module, x: Tensor) -> float:
    """Return how far the outputs move, at most, when every parameter does by its u-th part or less.

    model: a copy, which is changed. In float64, so that nothing else moves them.
    """
    u, wide = unit(x.dtype), x.double()
    before = _outputs(model.double(), wide)
    parameters = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
    generator, furthest = torch.Generator().manual_seed(0), 0.0
    for _ in range(DRAWS):
        for parameter, own in parameters:
            parts = torch.rand(own.shape, generator=generator, dtype=torch.float64) * 2 - 1
            with torch.no_grad():
                parameter.copy_(own * (1 + u * parts.to(own.device)))
        gaps = (a - b for a, b in zip(_outputs(model, wide), before, strict=True))
        furthest = max([furthest, *(float(gap.abs().max()) for gap in gaps if gap.numel())])
    return furthest


def _outputs(model: nn.Module, x: Tensor, when: str = "") -> list[Tensor]:
    with undisturbed(model), torch.no_grad():
        try:
            return tensors_in(model(x.clone()))
        except Exception as error:
            value, allowed = Description(when + one_line(error)), "one that runs on such inputs"
            raise Refused(Refusal(type(model).__name__, "forward", value, allowed)) from error
