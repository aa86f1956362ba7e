"""Audit anybody's conversion of a layer: all weights, all inputs, and the contract.

Layer and conversion are polynomials in weights and inputs if they are made of the operations on
the list of `convlin.proof.listed`. Fill weights and inputs with whole numbers drawn uniformly
from {-M, …, M}, convert that layer, and run both, in float64 and then in the layer's own dtype:
with M small enough, every partial sum is an exact integer in any order (`convlin.proof.whole`).
Equal functions then give bit-equal outputs, and different ones agree with probability at most
degree/(2M + 1) per draw (Schwartz and Zippel). The range is symmetric on purpose: on non-negative
numbers a hidden ReLU, abs or PReLU does nothing. Only buffers that hold no negative number, as
variances and counts, get none.
"""

from __future__ import annotations

import copy
import gc
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from convlin.arguments import flag, shown
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
from convlin.proof.real import OwnRun, measured_rounding, own_dtype, own_run, refused_by
from convlin.proof.sensitivity import Side
from convlin.proof.trial import Convert, Trial
from convlin.proof.twins import Twins, home, mark_weights, shadow
from convlin.proof.verdict import Measured, OwnDraws, Proved, Refuted, Verdict
from convlin.proof.watch import Watch
from convlin.proof.ways import Way, batches_for, in_words
from convlin.proof.whole import dtypes_in_words

__all__ = ["audit"]


def audit(
    convert: Convert,
    layer: nn.Module,
    input_shape: Sequence[int],
    *,
    draws: int = 3,
    seed: int | None = None,
    copies: bool | None = None,
    unbatched: bool = True,
) -> Verdict:
    """Audit a conversion of `layer`: is it equal for all weights and inputs, and drop-in?

    convert: takes the layer, returns a module. input_shape: (C, *spatial) or (features,). copies:
    whether the converted parameters must have storage of their own (True), must share the
    layer's (False), or may do either (None: the verdict says which). unbatched: whether the result
    must take one input without a batch; False judges a conversion that serves batches only.

    *Proved* over all weights and inputs of that shape, if both sides are made of listed
    operations only. *Refuted* with the element and the two weights that differ, or the field of
    the contract that is broken: output shape and dtype; the parameters' dtype, device,
    requires_grad and aliasing; what gradients reach; the training mode; the layer left alone; what
    it does to its input and to its own state; no exception on an empty batch, on one unbatched
    input and with channels_last weights, where the layer itself takes them. *Measured* if a step
    leaves the list.

    The verdict's scope says what was varied from draw to draw (`convlin.proof.ways`): the batch,
    the memory layout, what autograd does; and in which dtypes the two are equal: sums of whole
    numbers are exact in float64, and of small ones in float32; what 16 bits do is only measured.

    Nothing is claimed of settings that were not varied, such as autocast, threads or the default
    dtype, nor of programs that ask for a clock or a file: `help("convlin.proof")` names them all.

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
    unbatched = flag("audit", "unbatched", unbatched)
    count, stream = checked_draws(draws), Draws(checked_seed("audit", seed))
    with torch.inference_mode(False):
        return _judged(convert, layer, shape, count, stream, copies, unbatched)


def _judged(
    convert: Convert, layer: nn.Module, shape: tuple[int, ...], count: int, draws: Draws,
    copies: bool | None, unbatched: bool,
) -> Verdict:  # fmt: skip
    x = draws.normal((max(batches_for(shape)), *shape))
    way = Way(batches_for(shape)[0], mode="gradients")
    subject = copy.deepcopy(layer)
    left = own_run(shadow(layer), x, way=way)
    if left.outcome.error:
        raise refused_by("the layer", shape, left.outcome.error)
    converted, watch, error = _converted(convert, subject)
    breach = modified(layer, subject) or (None if error else broken(subject, converted, copies))
    right = OwnRun(left.home, Outcome(error=error))
    if callable(converted):
        right = OwnRun(left.home, run(converted, x.to(*left.home), watch, way))
    breach = breach or left.outcome.parts_from(right.outcome)
    if breach is not None:
        return Refuted(breach)
    owners, unlearning = aliasing(subject, converted), cut(subject, converted, x[: way.batch])
    left, right = (OwnRun(side.home, side.outcome.cut) for side in (left, right))
    del converted, subject, watch
    twins = Twins([layer])
    sides: list[Side] = [(layer, copy.deepcopy), (layer, convert)]
    rounding = measured_rounding(left, right, way.taken(x), sides, twins)
    values = left.outcome.value, right.outcome.value
    trial = Trial(convert, layer, twins, draws, values, unbatched=unbatched)
    del twins
    _let_go(trial)
    counterexample = trial.refuted(shape, count) or unlearning
    if counterexample is not None:
        return Refuted(counterexample)
    verdict = own_dtype(left, right, rounding, sides, x)
    if verdict is not None:
        return verdict
    own = None if trial.why else trial.in_own_dtype(*left.home)
    _let_go(trial)
    counterexample = own.refuted(shape, own.count) if own else None
    if counterexample is not None:
        return Refuted(counterexample)
    why = trial.why or (own.why if own else "")
    if why:
        return Measured(why, rounding)
    scope = _scope(shape, layer, owners, trial, own)
    draws_there = OwnDraws(own.name, own.count, own.failure**own.count) if own else None
    return Proved(scope, count, trial.failure**count, rounding, draws_there)


def _let_go(trial: Trial) -> None:
    """Free what was done with, of large layers: it is in cycles, which Python frees at leisure."""
    if trial.heavy:
        gc.collect()


def _converted(convert: Convert, subject: nn.Module) -> tuple[Any, Watch, Exception | None]:
    """Convert the layer, watched; an exception is an outcome."""
    watch = Watch()
    mark_weights(watch, subject)
    try:
        with watch:
            return convert(subject), watch, None
    except Refused:
        raise
    except Exception as error:
        return None, watch, error


def _scope(
    shape: tuple[int, ...], layer: nn.Module, owners: str, trial: Trial, own: Trial | None
) -> str:
    """Return what was proved, and over what: nothing that was not varied."""
    mode = "train" if layer.training else "eval"
    modes = "train and eval mode" if trial.both_modes else f"{mode} mode"
    dtypes = dtypes_in_words(home(layer)[1], own is not None)
    ways = in_words(trial.ways, *([own.ways] if own else []))
    ways += ", each once" * trial.heavy + ", no unbatched input" * (not trial.unbatched)
    return f"all weights, all inputs of shape {shape}, in {modes}, in {dtypes}; {owners}; {ways}"
