"""Two affine functions of which one may be the other's layers, merged.

Three answers where an exact proof has only one, that they differ: merged weights are rounded, or
off by what computing them in their own dtype explains, or wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from convlin.numerics.roundoff import DOUBLE, unit
from convlin.proof.algebra import Value
from convlin.proof.draws import Draws
from convlin.proof.last_places import last_places
from convlin.proof.magnitudes import on_magnitudes
from convlin.proof.outcome import run
from convlin.proof.sensitivity import itself
from convlin.proof.twins import Twins, home, mark_weights
from convlin.proof.verdict import Counterexample, Measured, Refuted, Rounded, Rounding, Verdict
from convlin.proof.watch import Watch
from convlin.proof.ways import Way, batches_for, in_words, one_round

__all__ = ["as_merge"]


def as_merge(
    modules: Sequence[Any], values: Sequence[Value], x: Tensor, draws: Draws, rounding: Rounding,
    refuted: Refuted | None = None,
) -> Verdict | None:  # fmt: skip
    """Return what two modules are that differ as a merge does; None if nothing says that they do.

    values: what is known of their results in their own dtype, for a batch `x`. refuted: the two
    exact weights that differ, where an exact proof found two.
    """
    dtype = max((home(module)[1] for module in modules), key=unit)
    if refuted is not None:
        shown = refuted.counterexample
        numbers = shown.expected, shown.got
        if shown.kind not in ("weight", "bias") or numbers_of(dtype, *numbers):
            return None  # two weights that somebody chose, and no merge
    wide = _in_float64(modules, x)
    if not wide or not all(value.affine and not value.rough for value in (*values, *wide)):
        return None
    shape = tuple(x.shape[1:])
    places = last_places(modules, wide, shape, draws)
    if places is None:
        return None
    if not places.within:
        return Refuted(replace(places.furthest, note=str(places)))
    if not places.whole:
        some = f"the weights of {places.inputs:,} of {places.of_inputs:,} inputs"
        return Measured(f"{some} were compared: a smaller input_shape has fewer", rounding)
    if not places.rounded:
        return Measured(f"merged weights are off by up to {places}", rounding)
    # rounding merged weights adds u to γ of both sides, which is of one rounding each at least
    within = rounding.bound is not None and rounding.deviation <= 1.5 * rounding.bound
    if not (rounding.within or within):
        return Measured(
            f"merged weights are rounded, but in {places.dtype} {rounding.note}", rounding
        )
    parting, ways = _parting(modules, shape, wide, unit(dtype), draws)
    if parting is not None:
        return Refuted(parting)
    scope = f"every input of shape {shape}; {in_words(ways)}"
    return Rounded(
        scope, places.weights, places.dtype, places.units, rounding, untold=places.untold
    )


def _parting(
    modules: Sequence[Any], shape: tuple[int, ...], values: Sequence[Value], u: float, draws: Draws
) -> tuple[Counterexample | None, list[Way]]:
    """Return how two sides part in some way to hand an input over, and the ways they agree in."""
    exact, large = Twins(modules), Twins(modules)
    exact.take()
    large.take(Tensor.abs)
    left, right = (exact.twin(module) for module in modules)
    sums = [large.twin(module) for module in modules]
    x = draws.normal((max(batches_for(shape)), *shape)).double()
    share = u + sum(value.terms for value in values) * 2 * DOUBLE
    agreed = list[Way]()
    for way in one_round(draws, shape)[: 1 if exact.heavy else None]:
        mine, theirs = run(left, x, None, way), run(right, x, None, way)
        parting = mine.parts_from(theirs, way.note)
        if parting is not None:
            return parting, agreed
        if not mine.decides(theirs):
            continue
        bound = sum(on_magnitudes(partial(itself, side), x, way).numbers for side in sums) * share
        far = ~((mine.numbers - theirs.numbers).abs() <= bound)
        if far.any():
            position = int(far.nonzero()[0])
            expected, got = (float(side.numbers[position]) for side in (mine, theirs))
            output = mine.index_of(position)
            return Counterexample("value", expected, got, output, note=way.note), agreed
        agreed.append(way)
    return None, agreed


def numbers_of(dtype: torch.dtype, *numbers: Any) -> bool:
    """Whether these exact numbers are all numbers of a dtype.

    >>> from fractions import Fraction
    >>> numbers_of(torch.float32, Fraction(3, 8), 5), numbers_of(torch.float32, Fraction(1, 3))
    (True, False)
    """
    try:
        return all(float(torch.tensor(float(n), dtype=dtype)) == n for n in numbers)
    except OverflowError:
        return False


def _in_float64(modules: Sequence[Any], x: Tensor) -> list[Value]:
    """Return what is known of both results in float64; nothing if the two runs are not alike."""
    twins = Twins(modules)
    twins.take()
    outcomes = []
    for module in modules:
        watch, program = Watch(), twins.twin(module)
        mark_weights(watch, program)
        outcomes.append(run(program, x, watch))
    left, right = outcomes
    if left.error or left.effects or right.effects or left.parts_from(right):
        return []
    return [left.value, right.value]
