"""Prove two given modules equal: these weights, every input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

import torch
from torch import Tensor, nn

from convlin.arguments import fraction
from convlin.errors import Refusal, Refused
from convlin.proof.contract import state
from convlin.proof.counterexample import Differ, Pair, boil
from convlin.proof.draws import Draws
from convlin.proof.entrance import checked_seed, checked_shape, require_programs
from convlin.proof.modular import Modular, Plan
from convlin.proof.outcome import Layout, Outcome, column_major, run, words
from convlin.proof.real import (
    batch_for,
    look,
    own_dtype,
    reason,
    refused_by,
    rounding,
)  # fmt: skip
from convlin.proof.rounding import beyond_rounding, measure
from convlin.proof.twins import Holdings, mark_weights, named_tensors, shadow
from convlin.proof.verdict import Counterexample, Measured, Proved, Refuted, Rounding, Verdict
from convlin.proof.watch import Watch

__all__ = ["prove"]

NAMES = "the first module", "the second module"


def prove(
    a: nn.Module,
    b: nn.Module,
    input_shape: Sequence[int],
    *,
    failure_probability: float = 1e-9,
    seed: int | None = None,
) -> Verdict:
    """Prove that two modules, with the weights they have, are equal for every input.

    input_shape: (C, *spatial) or (features,), without a batch. Both are taken in the modes they
    are in, on batches of up to three (what a module does to larger ones alone is not seen).
    *Proved* if both are made of listed operations only (one
    affine layer, or a few) and agree modulo random primes (`convlin.proof.modular`: Schwartz and
    Zippel, and how many primes divide a number); *refuted* with the two exact weights
    (or biases) that differ; *measured* for whatever leaves the list, whole networks included.

    Raises `Refused` for weights that are NaN or infinite (naming each), and for an input shape
    that neither module takes. The modules are not changed.

    >>> conv = nn.Conv2d(3, 4, (2, 5))
    >>> linear = nn.Linear(30, 4)
    >>> linear.weight, linear.bias = nn.Parameter(conv.weight.view(4, 30)), conv.bias
    >>> flat = nn.Sequential(nn.Flatten(), linear, nn.Unflatten(1, (4, 1, 1)))
    >>> bool(prove(conv, flat, (3, 2, 5)))
    True
    """
    require_programs("prove", a=a, b=b)
    shape = checked_shape(input_shape)
    failure_probability = fraction("prove", "failure_probability", failure_probability)
    _refuse_unfit(a, b)
    draws = Draws(checked_seed("prove", seed))
    x = draws.normal((batch_for(shape), *shape))
    left, right = (look(shadow(side), x) for side in (a, b))
    if left.outcome.error and right.outcome.error:
        raise refused_by("the modules", shape, left.outcome.error)
    parting = left.outcome.parts_from(right.outcome)
    if parting is not None and (parting.kind != "dtype" or left.dtype == right.dtype):
        return Refuted(parting)
    holdings = Holdings([a, b])
    found = rounding(left, right, x, a, holdings)
    values = left.outcome.value, right.outcome.value
    why = reason(*values, NAMES)
    plan = None if why else Plan.of(*values, holdings)
    if plan is None:
        why = why or "the sums are too long for exact arithmetic in float64"
        return _measured((a, b), x, holdings, found, why)
    count = plan.draws_for(failure_probability)
    sides = Modular(a, b, holdings, draws)
    verdict = _disproved(sides, plan, shape, count, found)
    if verdict is None:  # not `or`: a verdict is false unless it is Proved
        verdict = own_dtype(left, right, found)
    if verdict is not None:
        return verdict
    scope = f"these weights, every input of shape {shape}"
    return Proved(scope, count, plan.failure**count, found)


def _disproved(
    sides: Modular, plan: Plan, shape: tuple[int, ...], count: int, found: Rounding
) -> Verdict | None:
    """Return what keeps two polynomials from being proved equal; None if all draws agree."""
    constants = None
    for draw in range(count):
        sides.load(sides.draws.prime(plan.largest))
        x = sides.input((batch_for(shape), *shape))
        outcomes = sides.watched(x)
        seen = [frozenset(watch.constants) for watch in sides.watches]
        why = _left_the_plan(outcomes, plan)
        if constants not in (None, seen):
            why = why or "a constant changes from run to run"
        constants = seen
        if why:
            return Measured(why, found)
        if sides.differ(*outcomes).any():
            return Refuted(sides.counterexample(x, outcomes, plan))
        verdict = _unsteady(sides, x, outcomes, plan, found) if draw == 0 else None
        if verdict is not None:
            return verdict
    return None


def _left_the_plan(outcomes: tuple[Outcome, Outcome], plan: Plan) -> str:
    """Return why these runs are not what was planned, "" if they are."""
    error = outcomes[0].error or outcomes[1].error
    if error:
        return f"it does not run with other weights, in float64 on the CPU ({words(error)})"
    values = outcomes[0].value, outcomes[1].value
    planned = all(map(plan.covers, values))
    return reason(*values, NAMES) or ("" if planned else "it takes other steps in float64")


def _unsteady(
    sides: Modular, x: Tensor, outcomes: tuple[Outcome, Outcome], plan: Plan, found: Rounding
) -> Verdict | None:
    """Return what differs in a second run (unwatched, gradients on), or in another layout."""
    before = [state(program) for program in sides.programs]
    for name, first, second in zip(NAMES, outcomes, sides.pair(x, grad=True), strict=True):
        if first.parts_from(second) or not first.numbers.equal(second.numbers):
            same, other = "the same for the same input", "another in a second run, gradients on"
            return Refuted(Counterexample("contract", same, other, field=f"the output of {name}"))
    if [state(program) for program in sides.programs] != before:
        return Measured("a module's state changes with every call", found)
    ways: dict[str, Layout] = {
        f"in a batch of {size}": itemgetter(slice(size)) for size in range(1, len(x))
    }
    ways["on a non-contiguous input"] = column_major
    for note, way in ways.items():

        def cut(batch: Tensor, way: Layout = way) -> tuple[Outcome, Outcome]:
            return sides.pair(way(batch))

        left, right = sides.watched(way(x))
        parting = left.parts_from(right, note)
        if parting is not None:
            return Refuted(parting)
        if sides.differ(left, right).any():
            return Refuted(_plainly(cut, sides.differ, x, note))
        why = _left_the_plan((left, right), plan)
        if why:
            return Measured(why, found)
    return None


def _plainly(pair: Pair, differ: Differ, x: Tensor, note: str = "") -> Counterexample:
    """Boil a difference down, and show the outputs themselves."""
    boiled = boil(pair, differ, x, pair(x), linear=False, note=note)
    return boiled.show(*boiled.numbers)


def _measured(
    sides: tuple[nn.Module, nn.Module], x: Tensor, holdings: Holdings, found: Rounding, why: str
) -> Verdict:
    """Return how far the modules lie apart in float64 too; refute what no rounding explains.

    Where at least one side does nothing but listed operations and exact steps, two outputs that
    share less than half of their digits are a difference. Where both round in their own ways, a
    step behind it may make any deviation large, so it is only measured.
    """
    for region in holdings.regions:
        region.target.copy_(region.source)
    programs = [holdings.twin(side) for side in sides]

    def pair(batch: Tensor) -> tuple[Outcome, Outcome]:
        left, right = (run(program, batch) for program in programs)
        return left, right

    def differ(mine: Outcome, theirs: Outcome) -> Tensor:
        return beyond_rounding(mine.numbers, theirs.numbers, torch.float64)

    watches = [Watch(), Watch()]
    for watch, program in zip(watches, programs, strict=True):
        mark_weights(watch, program)
    left, right = (run(p, x, w) for p, w in zip(programs, watches, strict=True))
    if left.error or right.error:
        return Measured(f"{why}; it does not run in float64 on the CPU", found)
    firm = any(side.value.exact for side in (left, right))
    if firm and left.parts_from(right) is None and differ(left, right).any():
        return Refuted(_plainly(pair, differ, x, "in float64"))
    wide = measure(left, right, torch.float64, None)
    note = "; ".join(filter(None, (found.note, f"in float64 deviation {wide.deviation:.2g}")))
    return Measured(why, replace(found, note=note))


def _refuse_unfit(a: nn.Module, b: nn.Module) -> None:
    """Refuse weights that are no numbers."""
    refusals = []
    for name, module in zip(NAMES, (a, b), strict=True):
        for path, tensor in named_tensors(module).items():
            place = _not_finite(tensor)
            if place is not None:
                value = tensor.detach()[place].item()
                refusals.append(Refusal(name, f"{path}{list(place)}", value, "a finite number"))
    if refusals:
        raise Refused(refusals)


def _not_finite(tensor: Tensor) -> tuple[int, ...] | None:
    """Return the index of the first NaN or infinity, None if there is none."""
    if not tensor.is_floating_point() or not tensor.numel():
        return None
    low, high = tensor.detach().aminmax()
    if bool(low.isfinite() & high.isfinite()):
        return None
    return tuple((~tensor.detach().isfinite()).nonzero()[0].tolist())
