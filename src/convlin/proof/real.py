"""Both sides as they are: real numbers, their own dtype and device.

The first run of every proof. It finds what no proof is needed for (an exception, a shape), what
each side is made of, and, in the end, how far rounding took the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from convlin.errors import Refusal, Refused, one_line
from convlin.numerics.roundoff import unit
from convlin.proof.algebra import Value
from convlin.proof.magnitudes import on_magnitudes
from convlin.proof.outcome import Outcome, run
from convlin.proof.rounding import beyond_rounding, measure
from convlin.proof.sensitivity import Side, unexplained
from convlin.proof.twins import Twins, home, mark_weights
from convlin.proof.verdict import Counterexample, Measured, Refuted, Rounding, Verdict
from convlin.proof.watch import Watch
from convlin.proof.ways import PLAIN, Way

__all__ = [
    "NAMES", "OwnRun", "measured_rounding", "own_dtype", "own_run", "reason", "refused_by",
]  # fmt: skip

NAMES = "the first module", "the second module"


@dataclass(frozen=True)
class OwnRun:
    """A program's run in its own dtype, on its own device."""

    home: tuple[torch.device, torch.dtype]
    outcome: Outcome

    @property
    def dtype(self) -> torch.dtype:
        """The program's dtype."""
        return self.home[1]


def own_run(program: Any, x: Tensor, watch: Watch | None = None, way: Way = PLAIN) -> OwnRun:
    """Run a program on `x`, brought to its own dtype and device."""
    watch = watch if watch is not None else Watch()
    mark_weights(watch, program)
    where = home(program)
    return OwnRun(where, run(program, x.to(*where), watch, way))


def refused_by(program: str, shape: tuple[int, ...], error: Exception) -> Refused:
    """Return the refusal of an input that a program itself does not take."""
    return Refused(Refusal("proof", "input_shape", shape, f"one for {program}", one_line(error)))


def measured_rounding(
    left: OwnRun, right: OwnRun, x: Tensor, sides: Sequence[Side], twins: Twins
) -> Rounding:
    """Return the deviation of two runs, bounded by what the sides give on magnitudes.

    Overwrites the numbers that the twins share.
    """
    dtype = max(left.dtype, right.dtype, key=unit)
    values = left.outcome.value, right.outcome.value
    rough = next((value.rough for value in values if value.rough), "")
    if rough:
        note = f"no bound is derived through {rough}"
        return measure(left.outcome, right.outcome, dtype, note=note)
    twins.take(Tensor.abs)
    magnitudes: list[Outcome] = []
    for number, (module, make) in enumerate(sides):
        # Two equal polynomials that subtract nothing have equal sums of magnitudes.
        if number and not any(value.off or value.signed for value in values):
            magnitudes *= 2
        else:
            program = partial(make, twins.twin(module))
            magnitudes.append(on_magnitudes(program, x.to(dtype)))
    return measure(left.outcome, right.outcome, dtype, [side.numbers for side in magnitudes])


def own_dtype(
    left: OwnRun, right: OwnRun, rounding: Rounding, sides: Sequence[Side], x: Tensor
) -> Verdict | None:
    """Return what keeps two sides that are equal over the reals from being so in their dtype.

    A difference of more than half of the digits that rounding does not explain refutes them. What
    lies beyond the bound of every order of summation, but within this, is measured.
    """
    if rounding.within and rounding.bound is not None:
        return None
    dtype = max(left.dtype, right.dtype, key=unit)
    numbers = left.outcome.numbers, right.outcome.numbers
    far = beyond_rounding(*numbers, dtype)
    if far.any():
        far = unexplained(far, left.outcome, right.outcome, sides, x, dtype)
    if far.any():
        position = int(far.nonzero()[0])
        expected, got = (float(side[position]) for side in numbers)
        note = f"on real numbers in {rounding.dtype}, though equal in exact arithmetic"
        output = left.outcome.index_of(position)
        return Refuted(Counterexample("value", expected, got, output, note=note))
    if not rounding.within:
        return Measured(
            f"equal in exact arithmetic, but in {rounding.dtype} {rounding.note}", rounding
        )
    return None


def reason(left: Value, right: Value, names: tuple[str, str]) -> str:
    """Return why two programs are not proved: which went off the list, and how; "" if nobody."""
    if left.off and left.off == right.off:
        return f"{left.off} is not on the list of exact operations"
    texts = [
        f"{name} uses {value.off}, not on the list of exact operations"
        for name, value in zip(names, (left, right), strict=True)
        if value.off
    ]
    return "; ".join(texts)
