"""A conversion tried on layers filled with whole numbers, where every sum is exact.

With |weight|, |bias|, |input| ≤ M and coefficient·M^degree < 2⁵³, every partial sum in float64 is
an exact integer, in any order: equal functions give bit-equal outputs. The largest M is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Refused
from convlin.proof.algebra import MANTISSA, Value, largest_integer
from convlin.proof.contract import state
from convlin.proof.counterexample import boil
from convlin.proof.draws import Draws
from convlin.proof.outcome import UNBATCHED, Outcome, layouts, run, words
from convlin.proof.real import reason
from convlin.proof.rounding import beyond_rounding
from convlin.proof.twins import Holdings, mark_weights, named_tensors
from convlin.proof.verdict import Counterexample
from convlin.proof.watch import Watch

__all__ = ["Convert", "Trial"]

NAMES = "the layer", "the conversion"
OFF_LIST = 2**10
"""The largest number drawn for programs off the list, whose results may grow as they like."""

Convert = Callable[[Any], Any]
Layout = Callable[[Tensor], Tensor]


def _as_it_is(batch: Tensor) -> Tensor:
    return batch


class Trial:
    """A layer, its conversion, and the numbers M and degree that their values allow.

    `why` says what keeps a trial without counterexample from being a proof, "" if nothing.
    `both_modes`: the two sides also agreed in the training mode that the layer is not in.
    """

    def __init__(
        self, convert: Convert, layer: nn.Module, holdings: Holdings, draws: Draws,
        values: tuple[Value, Value],
    ) -> None:  # fmt: skip
        self._convert, self._layer = convert, layer
        self._holdings, self._draws = holdings, draws
        self.why = reason(*values, NAMES)
        self.both_modes = False
        self.degree = max(value.degree for value in values)
        self.largest = min(largest_integer(value) for value in values)
        if self.why:
            self.largest = min(self.largest, OFF_LIST)
        if not self.largest:
            self.why = self.why or "the sums are too long for exact arithmetic in float64"
        self._constants: frozenset[bytes] | None = None

    @property
    def failure(self) -> float:
        """The probability that one draw misses a difference, at most (Schwartz and Zippel)."""
        return self.degree / (2 * self.largest + 1)

    def refuted(self, shape: tuple[int, ...], draws: int) -> Counterexample | None:
        """Return a counterexample; None if all draws, layouts and modes agree."""
        for draw in range(draws if self.largest else 0):
            for region in self._holdings.regions:
                self._draws.fill(region.target, self.largest)
            found = self._draw(self._draws.numbers(shape, self.largest), thorough=draw == 0)
            if found is not None:
                return found
        tensors = named_tensors(self._layer).values()
        if self.largest and any(t.ndim in (4, 5) and t[0, 0].numel() > 1 for t in tensors):
            x = self._draws.numbers(shape, self.largest)
            return self._draw(x, channels_last=True)
        return None

    def _draw(
        self, x: Tensor, thorough: bool = False, channels_last: bool = False
    ) -> Counterexample | None:
        """Convert a layer anew and compare, watched, on one batch."""
        note = "channels_last weights" if channels_last else ""
        layer = self._holdings.twin(self._layer, channels_last)
        watches = Watch(), Watch()
        for watch in watches:
            mark_weights(watch, layer)
        mine = run(layer, x, watches[0])
        if mine.error:
            why = f"the layer does not run in float64 on the CPU ({words(mine.error)})"
            self.why = self.why or why
            return None
        try:
            with watches[1]:
                converted = self._convert(layer)
        except Refused:
            if channels_last:  # a conversion may refuse storage that no view can hold
                return None
            raise
        except Exception as error:
            return mine.parts_from(Outcome(error=error), note or "converting float64 weights")
        theirs = run(converted, x, watches[1])
        sides = _Sides(layer, converted, (mine.value, theirs.value))
        found = sides.part(mine, theirs, x, note)
        if found is not None:
            return found
        self._check(sides.values)
        constants = frozenset(watches[1].constants)
        if self._constants not in (None, constants):
            self.why = self.why or "a constant changes from one conversion to the next"
        self._constants = constants
        found = self._unsteady(converted, x, theirs, note)
        if found is None and thorough:
            found = self._layouts(sides, x, watches) or self._other_mode(sides, x, watches)
        return found

    def _check(self, values: tuple[Value, Value]) -> None:
        """Note whatever keeps a run from being as exact as planned."""
        planned = all(
            v.degree <= self.degree and v.coefficient * self.largest**v.degree < 2**MANTISSA
            for v in values
        )
        why = reason(*values, NAMES) or ("" if planned else "it takes other steps in float64")
        self.why = self.why or why

    def _unsteady(
        self, converted: Any, x: Tensor, first: Outcome, note: str
    ) -> Counterexample | None:
        """Return whether a second run, with nobody watching, gives something else."""
        before = state(converted)
        second = run(converted, x)
        if first.parts_from(second) or not torch.equal(first.numbers, second.numbers):
            same, other = "the same for the same input", "another in a second run"
            return Counterexample("contract", same, other, field="the output", note=note)
        if state(converted) != before:
            self.why = self.why or "the conversion's state changes with every call"
        return None

    def _layouts(
        self, sides: _Sides, x: Tensor, watches: tuple[Watch, Watch]
    ) -> Counterexample | None:
        """Return where the sides part on other batches and layouts, if the layer takes them."""
        for name, layout in layouts(x):
            mine = run(sides.layer, layout(x), watches[0])
            if mine.error is None:
                theirs = run(sides.converted, layout(x), watches[1])
                self._check((mine.value, theirs.value))
                found = sides.part(mine, theirs, x, name, layout)
                if found is not None:
                    return found
        return None

    def _other_mode(
        self, sides: _Sides, x: Tensor, watches: tuple[Watch, Watch]
    ) -> Counterexample | None:
        """Return where the sides part in the training mode that the layer is not in.

        A layer that rounds, or draws random numbers, in that mode is not compared there.
        """
        training = not self._layer.training
        mine = run(sides.layer.train(training), x, watches[0])
        if mine.error or mine.value.off:
            return None
        theirs = run(sides.converted.train(training), x, watches[1])
        sides = _Sides(sides.layer, sides.converted, (mine.value, theirs.value))
        self._check(sides.values)
        self.both_modes = True
        return sides.part(mine, theirs, x, "in train mode" if training else "in eval mode")


@dataclass(frozen=True)
class _Sides:
    """A layer of whole numbers, its conversion, and what the outputs of both are."""

    layer: Any
    converted: Any
    values: tuple[Value, Value]

    def differ(self, mine: Outcome, theirs: Outcome) -> Tensor:
        """Return which output elements differ: bit for bit if both sides are exact."""
        far = beyond_rounding(mine.numbers, theirs.numbers, torch.float64)
        exact = [value.exact for value in self.values]
        if all(exact):
            return mine.numbers != theirs.numbers
        return far if any(exact) else torch.zeros_like(far)

    def part(
        self, mine: Outcome, theirs: Outcome, x: Tensor, note: str, layout: Layout = _as_it_is
    ) -> Counterexample | None:
        """Return where two outcomes for `layout(x)` differ, boiled down."""
        parting = mine.parts_from(theirs, note)
        if parting is not None or not self.differ(mine, theirs).any():
            return parting

        def pair(batch: Tensor) -> tuple[Outcome, Outcome]:
            return run(self.layer, layout(batch)), run(self.converted, layout(batch))

        linear = not any(value.off for value in self.values)
        boiled = boil(pair, self.differ, x, (mine, theirs), linear, note, note != UNBATCHED)
        expected, got = boiled.numbers
        if boiled.kind == "weight":
            base = [side.numbers[boiled.position] for side in pair(torch.zeros_like(boiled.x))]
            expected, got = expected - float(base[0]), got - float(base[1])
        return boiled.show(_whole(expected), _whole(got))


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number
