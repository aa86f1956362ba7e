"""A layer of whole numbers beside its conversion: where two outcomes differ, and what shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from convlin.proof.algebra import Value
from convlin.proof.counterexample import shrink
from convlin.proof.outcome import Outcome, run
from convlin.proof.rounding import beyond_rounding
from convlin.proof.sensitivity import Side, itself, unexplained
from convlin.proof.verdict import Counterexample
from convlin.proof.watch import Watch
from convlin.proof.ways import Way

__all__ = ["Sides", "Watches", "undecided"]

Watches = tuple[Watch | None, Watch | None]


@dataclass(frozen=True)
class Sides:
    """A layer of whole numbers and its conversion, watched, and what the outputs of both are."""

    pair: tuple[Any, Any]
    watches: Watches
    values: tuple[Value, ...]
    convert: Callable[[Any], Any]
    subject: Any

    def seen(self, mine: Outcome, theirs: Outcome) -> Sides:
        """Return the same with the values of two watched outcomes."""
        return replace(self, values=(mine.value, theirs.value))

    @property
    def exact(self) -> bool:
        """Whether neither side rounds."""
        return all(value.exact for value in self.values)

    def differ(self, mine: Outcome, theirs: Outcome) -> Tensor:
        """Return which output elements differ: bit for bit if both sides are exact."""
        far = beyond_rounding(mine.numbers, theirs.numbers, torch.float64)
        if self.exact:
            return (mine.numbers != theirs.numbers) & ~undecided(mine, theirs)
        return far if any(v.exact for v in self.values) else torch.zeros_like(far)

    def part(
        self, mine: Outcome, theirs: Outcome, x: Tensor, way: Way, note: str
    ) -> Counterexample | None:
        """Return where two outcomes for `x`, handed over in some way, differ, shrunk."""
        parting = mine.parts_from(theirs, note)
        if parting is not None or theirs.error or not self.differ(mine, theirs).any():
            return parting
        x = way.taken(x)
        if not (self.exact or self._unexplained(mine, theirs, x, way)):
            return None

        def pair(batch: Tensor) -> tuple[Outcome, Outcome]:
            left, right = (run(side, batch, None, way) for side in self.pair)
            return left, right

        linear = not any(value.off for value in self.values)
        shrunk = shrink(
            pair, self.differ, x, (mine, theirs), linear, note, way.batch is not None
        )  # fmt: skip
        expected, got = shrunk.numbers
        if shrunk.kind == "weight":  # of affine functions it is f(e) - f(0), e a unit vector
            base = [side.numbers[shrunk.position] for side in pair(torch.zeros_like(shrunk.x))]
            expected, got = expected - float(base[0]), got - float(base[1])
        return shrunk.show(_whole(expected), _whole(got))

    def _unexplained(self, mine: Outcome, theirs: Outcome, x: Tensor, way: Way) -> bool:
        """Whether an element differs by more than rounding moves either side."""
        sides: list[Side] = [(self.pair[0], itself), (self.subject, self.convert)]
        far = self.differ(mine, theirs)
        return bool(unexplained(far, mine, theirs, sides, x, torch.float64, way).any())


def undecided(mine: Outcome, theirs: Outcome) -> Tensor:
    """Return which elements are NaN on both sides."""
    return mine.numbers.isnan() & theirs.numbers.isnan()


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number
