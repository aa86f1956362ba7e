"""Audit anybody's conversion of a layer: all weights, all inputs, and the contract.

Layer and conversion are polynomials in weights and inputs if they are made of the operations on
the list of `convlin.proof.algebra`. Fill weights and inputs with whole numbers drawn uniformly
from {-M, …, M}, convert that layer, and run both in float64: with M small enough, every partial
sum is an exact integer in any order. Equal functions then give bit-equal outputs, and different
ones agree with probability at most degree/(2M + 1) per draw (Schwartz and Zippel). The range is
symmetric on purpose: on non-negative numbers a hidden ReLU, abs or PReLU does nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from convlin.arguments import shown
from convlin.errors import Refusal, Refused
from convlin.proof.contract import aliasing, broken, modified
from convlin.proof.draws import Draws
from convlin.proof.entrance import (
    checked_copies,
    checked_draws,
    checked_seed,
    checked_shape,
    require_programs,
)
from convlin.proof.gradient import cut
from convlin.proof.outcome import Outcome, run
from convlin.proof.real import Look, look, own_dtype, refused_by, rounding
from convlin.proof.trial import Convert, Trial
from convlin.proof.twins import Holdings, mark_weights, named_tensors
from convlin.proof.verdict import Measured, Proved, Refuted, Verdict
from convlin.proof.watch import Watch

__all__ = ["audit"]

BATCH = 3


def audit(
    convert: Convert,
    layer: nn.Module,
    input_shape: Sequence[int],
    *,
    draws: int = 3,
    seed: int | None = None,
    copies: bool | None = None,
) -> Verdict:
    """Audit a conversion of `layer`: is it equal for all weights and inputs, and drop-in?

    convert: takes the layer, returns a module. input_shape: (C, *spatial) or (features,). copies:
    whether the converted parameters must have storage of their own (True), must share the
    layer's (False), or may do either (None: the verdict says which).

    *Proved* over all weights and inputs of that shape, if both sides are made of listed
    operations only. *Refuted* with the element and the two weights that differ, or the field of
    the contract that is broken: output shape and dtype; the parameters' dtype, device,
    requires_grad and aliasing; what gradients reach; the training mode; the layer left alone; no
    exception on batches of 1, 2 and 3, empty ones, unbatched, channels_last and non-contiguous
    inputs and channels_last weights, where the layer itself takes them. *Measured* if a step
    leaves the list.

    Raises `Refused` for an input that the layer itself does not take, and passes on a `Refused`
    that the conversion answers with. The layer is not changed: `convert` only sees copies.

    >>> def without_bias(conv):
    ...     new = nn.Conv2d(3, 2, (1, 4), bias=False)
    ...     new.weight = conv.weight
    ...     return new
    >>> audit(without_bias, nn.Conv2d(3, 2, (1, 4)), (3, 5, 6)).counterexample.kind
    'bias'
    >>> bool(audit(without_bias, nn.Conv2d(3, 2, (1, 4), bias=False), (3, 5, 6)))
    True
    """
    require_programs("audit", layer=layer)
    if not callable(convert):
        raise Refused(Refusal("audit", "convert", shown(convert), "a function of the layer"))
    shape, copies = checked_shape(input_shape), checked_copies(copies)
    draws = checked_draws(draws)
    stream = Draws(checked_seed("audit", seed))
    x = stream.normal((BATCH, *shape))
    given = copy.deepcopy(layer)
    left = look(given, x, grad=True)
    if left.outcome.error:
        raise refused_by("the layer", shape, left.outcome.error)
    converted, right = _converted(convert, given, x, left)
    breach = (
        modified(layer, given)
        or (None if right.outcome.error else broken(given, converted, copies))
        or left.outcome.parts_from(right.outcome)
    )
    if breach is not None:
        return Refuted(breach)
    owners, unlearning = aliasing(given, converted), cut(given, converted, x)
    del converted
    holdings = Holdings([layer])
    found = rounding(left, right, x, layer, holdings)
    values = left.outcome.value, right.outcome.value
    trial = Trial(convert, layer, holdings, stream, values)
    counterexample = trial.refuted((BATCH, *shape), draws) or unlearning
    if counterexample is not None:
        return Refuted(counterexample)
    verdict = own_dtype(left, right, found)
    if verdict is not None:
        return verdict
    if trial.why:
        return Measured(trial.why, found)
    mode = "train" if layer.training else "eval"
    modes = "train and eval mode" if trial.both_modes else f"{mode} mode"
    scope = f"all weights, all inputs of shape {shape}, in {modes}; {owners}"
    return Proved(scope, draws, trial.failure**draws, found)


def _converted(convert: Convert, given: nn.Module, x: Tensor, own: Look) -> tuple[Any, Look]:
    """Convert the layer and run the result, both watched; an exception is an outcome."""
    watch = Watch()
    mark_weights(watch, given)
    try:
        with watch:
            converted = convert(given)
    except Refused:
        raise
    except Exception as error:
        return None, Look(own.dtype, Outcome(error=error))
    if not callable(converted):
        return converted, Look(own.dtype, Outcome())
    floats = [t for t in named_tensors(given).values() if t.is_floating_point()]
    device = floats[0].device if floats else x.device
    return converted, Look(own.dtype, run(converted, x.to(device, own.dtype), watch, grad=True))
