"""Two affine functions of which one may be the other's layers, merged.

Three answers where an exact proof has only one, that they differ: merged weights are rounded, or
off by what computing them in their own dtype explains, or wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from convlin.numerics.roundoff import unit
from convlin.proof.algebra import Value
from convlin.proof.draws import Draws
from convlin.proof.last_places import last_places
from convlin.proof.outcome import run
from convlin.proof.twins import Twins, home, mark_weights
from convlin.proof.verdict import Measured, Refuted, Rounded, Rounding, Verdict
from convlin.proof.watch import Watch

__all__ = ["as_merge"]


def as_merge(
    modules: Sequence[Any], values: Sequence[Value], x: Tensor, draws: Draws, rounding: Rounding,
    refuted: Refuted | None = None,
) -> Verdict | None:  # fmt: skip
    """Return what two modules are that differ as a merge does; None if nothing says that they do.

    values: what is known of their results in their own dtype, for a batch `x`. refuted: the two
    exact weights that differ, of polynomials; else they may differ in what is off the list alone.
    """
    dtype = max((home(module)[1] for module in modules), key=unit)
    if refuted is not None:
        shown = refuted.counterexample
        numbers = shown.expected, shown.got
        if shown.kind not in ("weight", "bias") or numbers_of(dtype, *numbers):
            return None  # two weights that somebody chose, and no merge
    wide = _in_float64(modules, x)
    if not all(value.affine and not value.rough for value in (*values, *wide)):
        return None
    if not wide or (refuted is None and not any(value.off for value in wide)):
        return None
    shape = tuple(x.shape[1:])
    places = last_places(modules, wide, shape, draws)
    if places is None or places.other:
        return None
    if not places.within:
        return Refuted(replace(places.furthest, note=str(places)))
    if not places.whole:
        some = f"the weights of {places.inputs:,} of {places.of_inputs:,} inputs"
        return Measured(f"{some} were compared: a smaller input_shape has fewer", rounding)
    if not places.rounded:
        return Measured(f"merged weights are off by up to {places}", rounding)
    scope = f"every input of shape {shape}"
    return Rounded(scope, places.weights, places.dtype, places.units, rounding)


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
    for region in twins.regions:
        region.target.copy_(region.source)
    outcomes = []
    for module in modules:
        watch, program = Watch(), twins.twin(module)
        mark_weights(watch, program)
        outcomes.append(run(program, x, watch))
    left, right = outcomes
    if left.error or left.effects or right.effects or left.parts_from(right):
        return []
    return [left.value, right.value]
