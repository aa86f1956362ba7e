"""Prove two given modules equal: these weights, every input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from convlin.arguments import fraction
from convlin.errors import Refusal, Refused, one_line
from convlin.numerics.roundoff import unit
from convlin.proof.alike import alike
from convlin.proof.counterexample import shrink
from convlin.proof.draws import Draws
from convlin.proof.entrance import checked_seed, checked_shape, require_programs
from convlin.proof.merges import as_merge
from convlin.proof.modular import Modular, Plan
from convlin.proof.outcome import Outcome, run
from convlin.proof.real import NAMES, measured_rounding, own_dtype, own_run, reason, refused_by
from convlin.proof.remembered import hidden, state
from convlin.proof.rounding import beyond_rounding, measure
from convlin.proof.same import repeats, same
from convlin.proof.sensitivity import itself, unexplained
from convlin.proof.twins import Twins, home, mark_weights, named_tensors, shadow
from convlin.proof.verdict import (
    Counterexample,
    Measured,
    Proved,
    Refuted,
    Rounding,
    Verdict,
)
from convlin.proof.watch import Watch
from convlin.proof.ways import Way, batches_for, in_words, one_round
from convlin.proof.whole import dtypes_in_words

__all__ = ["prove"]


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
    are in. *Proved* if both are made of listed operations only (one affine layer, or a few) and
    agree modulo random primes (`convlin.proof.modular`: Schwartz and Zippel, and how many primes
    divide a number), or if they are one program with the same weights, bit for bit ("by
    identity", whatever it is made of: `convlin.proof.same`). *Refuted* with the two exact weights
    (or biases) that differ, or with outputs further apart than rounding moves either side.
    *Measured* for whatever else leaves the list, whole networks included.

    The verdict's scope says what was varied from draw to draw (`convlin.proof.ways`), and in which
    dtypes the two are equal. Their own float32 is one if they hold the same numbers, so that these
    can be drawn anew (`convlin.proof.alike`); else it is only measured, as 16 bits are. An input
    that both fail on in the same way decides nothing.

    Nothing is claimed of settings that were not varied, such as autocast, threads or the default
    dtype, nor of programs that ask for a clock or a file: `help("convlin.proof")` names them all.

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
    probability = fraction("prove", "failure_probability", failure_probability)
    _refuse_unfit(a, b)
    with torch.inference_mode(False):
        return _judged((a, b), shape, probability, Draws(checked_seed("prove", seed)))


def _judged(
    modules: tuple[nn.Module, nn.Module], shape: tuple[int, ...], probability: float, draws: Draws
) -> Verdict:
    size = batches_for(shape)[0]
    x = draws.normal((size, *shape))
    if same(*modules) and _returns(repeats(shadow(modules[0]), x.to(*home(modules[0])))):
        scope = f"every input of shape {shape}: the same program with the same weights, bit for bit"
        return Proved(scope, 0, 0.0, None, by="identity")
    left, right = (own_run(shadow(side), x, way=Way(size)) for side in modules)
    if left.outcome.error and right.outcome.error:
        raise refused_by("the modules", shape, left.outcome.error)
    parting = left.outcome.parts_from(right.outcome)
    if parting is not None and (parting.kind != "dtype" or left.dtype == right.dtype):
        return Refuted(parting)
    twins = Twins(modules)
    sides = [(side, itself) for side in modules]
    rounding = measured_rounding(left, right, x, sides, twins)
    values = left.outcome.value, right.outcome.value
    unseen = next(filter(None, map(hidden, modules)), "")  # a copy may hold no trace of it
    why = f"{unseen} cannot be watched" if unseen else reason(*values, NAMES)
    plan = None if why else Plan.of(*values, twins)
    if plan is None:
        why = why or "the sums are too long for exact arithmetic in float64"
        verdict = None if unseen else as_merge(modules, values, x, draws, rounding)
        return _measured(modules, x, twins, rounding, why) if verdict is None else verdict
    count = plan.draws_for(probability)
    modular = Modular(*modules, twins, draws)
    verdict, ways = _disproved(modular, plan, shape, count, rounding)
    if isinstance(verdict, Refuted):  # not `or`: a verdict is false unless it is Proved
        merge = as_merge(modules, values, x, draws, rounding, verdict)
        return verdict if merge is None else merge
    if verdict is None:
        verdict = own_dtype(left, right, rounding, sides, x)
    if verdict is not None:
        return verdict
    own = alike(modules, shape, values, draws, probability)
    if own.why:
        return Measured(own.why, rounding)
    once = ", each once" * twins.heavy
    dtypes = dtypes_in_words(max(left.dtype, right.dtype, key=unit), own.draws is not None)
    varied = in_words(ways, *([own.ways] if own.draws else []))
    scope = f"these weights, every input of shape {shape}, in {dtypes}; {varied}{once}"
    return Proved(scope, count, plan.failure**count, rounding, own.draws)


def _returns(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.error is None


def _disproved(
    sides: Modular, plan: Plan, shape: tuple[int, ...], count: int, rounding: Rounding
) -> tuple[Verdict | None, list[Way]]:
    """Return what keeps two polynomials from being proved equal, and the ways they agreed in."""
    constants, agreed = None, list[Way]()
    for draw in range(count):
        sides.load(sides.draws.prime(plan.largest))
        x = sides.input((max(batches_for(shape)), *shape))
        plain, *others = one_round(sides.draws, shape)
        if draw and sides.heavy:
            plain, others = sides.draws.shuffled([plain, *others])[0], []
        for way in (plain, *others):
            left, right = sides.watched(x, way)
            verdict = _parted(sides, plan, x, (left, right), way, rounding)
            if verdict is None and way is plain and not draw:
                verdict = _unsteady(sides, x, (left, right), way, rounding)
            if verdict is not None:
                return verdict, agreed
            if left.decides(right):
                agreed.append(way)
        seen = [frozenset(watch.constants) for watch in sides.watches]
        if constants not in (None, seen):
            return Measured("a constant changes from run to run", rounding), agreed
        constants = seen
    if not agreed:
        return Measured("there is no input on which both return", rounding), agreed
    return None, agreed


def _parted(
    sides: Modular, plan: Plan, x: Tensor, outcomes: tuple[Outcome, Outcome], way: Way,
    rounding: Rounding,
) -> Verdict | None:  # fmt: skip
    """Return what one watched run of both sides shows against their being equal."""
    left, right = outcomes
    error = left.error or right.error
    if error and way.usual:
        why = f"it does not run with other weights, in float64 on the CPU ({one_line(error)})"
        return Measured(why, rounding)
    parting = left.parts_from(right, way.note)
    if parting is not None:
        return Refuted(parting)
    if error:
        return None
    why = reason(left.value, right.value, NAMES)
    if not why and not all(plan.covers(side.value) for side in outcomes):
        return _longer(sides, x, outcomes, way, rounding)
    if not why and bool((left.numbers.isnan() & right.numbers.isnan()).any()):
        why = "both sides give NaN"
    if not why and (left.changes_itself or right.changes_itself):
        why = "a module's state changes with every call"
    if why:
        return Measured(why, rounding)
    if sides.differ(left, right).any():
        return Refuted(sides.counterexample(x, outcomes, plan, way))
    return None


def _longer(
    sides: Modular, x: Tensor, outcomes: tuple[Outcome, Outcome], way: Way, rounding: Rounding
) -> Verdict:
    """Return what sums that are longer than planned show modulo a prime that is small enough."""
    plan = sides.plan(*(side.value for side in outcomes))
    if plan is not None:
        sides.load(sides.draws.prime(plan.largest))
        x = sides.input(tuple(x.shape))
        left, right = again = sides.watched(x, way)
        if left.decides(right) and sides.differ(left, right).any():
            return Refuted(sides.counterexample(x, again, plan, way))
    return Measured("it takes other steps in float64", rounding)


def _unsteady(
    sides: Modular, x: Tensor, outcomes: tuple[Outcome, Outcome], way: Way, rounding: Rounding
) -> Verdict | None:
    """Return what differs in a second run, unwatched."""
    before = [state(program) for program in sides.programs]
    again = sides.pair(x, way)
    steady = [first.gives(second) for first, second in zip(outcomes, again, strict=True)]
    if steady in ([True, False], [False, True]):
        name = NAMES[steady.index(False)]
        same, other = "the same for the same input", "another in a second run"
        return Refuted(Counterexample("contract", same, other, field=f"the output of {name}"))
    if not all(steady) or [state(program) for program in sides.programs] != before:
        return Measured("a module's state changes with every call", rounding)
    return None


def _measured(
    sides: tuple[nn.Module, nn.Module], x: Tensor, twins: Twins, rounding: Rounding, why: str
) -> Verdict:
    """Return how far the modules lie apart in float64 too; refute what no rounding explains.

    Where at least one side does nothing but listed operations and exact steps, two outputs that
    share less than half of their digits are a difference, unless rounding moves a side as far: the
    weights of one may have been computed from the other's, in their own dtype.
    Where both round in their own ways, any deviation is only measured.
    """
    twins.take()
    programs = [twins.twin(side) for side in sides]
    watches = [Watch(), Watch()]
    for watch, program in zip(watches, programs, strict=True):
        mark_weights(watch, program)
    left, right = (run(p, x, w) for p, w in zip(programs, watches, strict=True))
    if left.error or right.error:
        return Measured(f"{why}; it does not run in float64 on the CPU", rounding)
    firm = any(side.value.exact for side in (left, right)) and left.parts_from(right) is None
    far = beyond_rounding(left.numbers, right.numbers, torch.float64) if firm else torch.zeros(0)
    if far.any():
        dtype = max((home(side)[1] for side in sides), key=unit)
        unconverted = [(program, itself) for program in programs]
        far = unexplained(far, left, right, unconverted, x, dtype)
        if far.any():
            return Refuted(_shown(programs, x, (left, right), far, dtype))
    wide = measure(left, right, torch.float64)
    note = "; ".join(filter(None, (rounding.note, f"in float64 it is {wide.deviation:.2g}")))
    return Measured(why, replace(rounding, note=note))


def _shown(
    programs: Sequence[Any], x: Tensor, seen: tuple[Outcome, Outcome], far: Tensor,
    dtype: torch.dtype,
) -> Counterexample:  # fmt: skip
    """Show a difference: shrunk if it stays larger than what the own dtype may round."""

    def pair(batch: Tensor) -> tuple[Outcome, Outcome]:
        mine, theirs = (run(program, batch) for program in programs)
        return mine, theirs

    def differ(mine: Outcome, theirs: Outcome) -> Tensor:
        return beyond_rounding(mine.numbers, theirs.numbers, dtype)

    if differ(*seen).any():
        shrunk = shrink(pair, differ, x, seen, linear=False, note="in float64")
        return shrunk.show(*shrunk.numbers)
    position = int(far.nonzero()[0])
    expected, got = (float(side.numbers[position]) for side in seen)
    note = f"in float64; in a batch of {len(x)}, counted first"
    return Counterexample("value", expected, got, seen[0].index_of(position), note=note)


def _refuse_unfit(a: nn.Module, b: nn.Module) -> None:
    """Refuse weights that are no numbers."""
    refusals = []
    for name, module in zip(NAMES, (a, b), strict=True):
        for path, tensor in named_tensors(module).items():
            index = _not_finite(tensor)
            if index is not None:
                value = tensor.detach()[index].item()
                refusals.append(Refusal(name, f"{path}{list(index)}", value, "a finite number"))
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
