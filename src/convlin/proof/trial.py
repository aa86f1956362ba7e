"""A conversion tried on layers filled with whole numbers, where every sum is exact.

The largest numbers are drawn for which `convlin.proof.whole` promises exact sums, in float64 and
then in the layer's own dtype, on its own device: equal functions give bit-equal outputs. Every
draw is a new layer, converted anew, and goes through all ways to hand an input over; of a heavy
layer only the first does, and each later one is handed over in a single way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Refused, one_line
from convlin.proof.algebra import Value
from convlin.proof.draws import Draws
from convlin.proof.outcome import Outcome, run
from convlin.proof.real import reason
from convlin.proof.remembered import state
from convlin.proof.rounding import beyond_rounding
from convlin.proof.sides import Sides, Watches, undecided
from convlin.proof.twins import Twins, mark_weights, named_tensors
from convlin.proof.verdict import Counterexample
from convlin.proof.watch import Watch
from convlin.proof.ways import EMPTY, UNBATCHED, Way, batches_for, one_round
from convlin.proof.whole import FLOAT64, Exact, draws_for, exact_in

__all__ = ["Convert", "Trial"]

NAMES = "the layer", "the conversion"
OFF_LIST = 2**10
"""The largest number drawn for programs off the list, whose results may grow as they like.

Half of it does not reach a clamp at 600. With twice of it fewer than one number in a hundred is
below 10, where a SiLU is no ReLU.
"""
ENOUGH = 1e-9
"""The probability to miss a difference that shows in the own dtype only: as in `prove`, so that the
two say the same. Half or twice of it is a draw more or fewer in one small layer of eight."""

Convert = Callable[[Any], Any]


class Trial:
    """A layer, its conversion, and the numbers M and degree that their values allow.

    `why` says what keeps a trial without counterexample from being a proof, "" if nothing.
    `both_modes`: the two sides also agreed in the training mode that the layer is not in.
    `ways`: those in which both sides returned something to compare. `unbatched`: whether an input
    without a batch is one of them.
    """

    def __init__(
        self, convert: Convert, layer: nn.Module, twins: Twins, draws: Draws,
        values: Sequence[Value], exact: Exact = FLOAT64, unbatched: bool = True,
    ) -> None:  # fmt: skip
        self._convert, self._layer, self._draws = convert, layer, draws
        self._twins, self._exact, self._values = twins, exact, tuple(values)
        self.why = reason(self._values[0], self._values[1], NAMES)
        self.both_modes = False
        self.unbatched = unbatched
        self.ways: list[Way] = []
        self.heavy = twins.heavy
        self.degree = max(value.degree for value in values)
        self.largest = exact.largest(*values)
        if self.why:
            self.largest = min(self.largest, OFF_LIST)
        if not self.largest:
            why = f"the sums are too long for exact arithmetic in {exact.name}"
            self.why = self.why or why
        self._constants: frozenset[bytes] | None = None
        self._note = f"in {exact.name}" * (exact is not FLOAT64)

    @property
    def name(self) -> str:
        """The dtype the layers are filled in."""
        return self._exact.name

    @property
    def count(self) -> int:
        """How many draws miss a difference with at most the probability `ENOUGH`; 0: too many."""
        return draws_for(self.failure, ENOUGH) or 0 if self.largest else 0

    def in_own_dtype(self, device: torch.device, dtype: torch.dtype) -> Trial | None:
        """Return the same trial in a layer's own dtype, None if sums are not exact there."""
        exact = exact_in(device, dtype)
        if exact in (None, FLOAT64) or {t.dtype for t in self._twins.tensors} != {dtype}:
            return None
        # This trial is over, and what it drew in float64 is twice what is to come.
        self._twins = Twins([self._layer], dtype, device)
        own = Trial(
            self._convert, self._layer, self._twins, self._draws, self._values, exact,
            self.unbatched,
        )  # fmt: skip
        return own if own.count else None

    @property
    def failure(self) -> float:
        """The probability that one draw misses a difference, at most (Schwartz and Zippel)."""
        return self._twins.atom * self.degree / (2 * self.largest + 1)

    def refuted(self, shape: tuple[int, ...], draws: int) -> Counterexample | None:
        """Return a counterexample; None if all draws, ways and modes agree."""
        if not self.largest:
            return None
        for draw in range(draws):
            x = self._fill(shape)
            ways = one_round(self._draws, shape)
            if draw and self.heavy:
                ways = self._draws.shuffled(ways)[:1]
            watches = (Watch(), Watch()) if not draw or self._exact is FLOAT64 else (None, None)
            counterexample = self._draw(x, ways, watches, thorough=draw == 0)
            if counterexample is not None:
                return counterexample
        if not self.ways:
            self.why = self.why or "there is no input on which both sides return"
        tensors = named_tensors(self._layer).values()
        if any(t.ndim in (4, 5) and t[0, 0].numel() > 1 for t in tensors):
            usual = [Way(batches_for(shape)[0])]
            return self._draw(self._fill(shape), usual, (Watch(), Watch()), channels_last=True)
        return None

    def _fill(self, shape: tuple[int, ...]) -> Tensor:
        """Draw new weights, and return new inputs."""
        self._twins.fill(self._draws, self.largest)
        x = self._draws.numbers((max(batches_for(shape)), *shape), self.largest)
        return x.to(self._exact.device, self._exact.dtype)

    def _draw(
        self, x: Tensor, ways: list[Way], watches: Watches, thorough: bool = False,
        channels_last: bool = False,
    ) -> Counterexample | None:  # fmt: skip
        """Convert a layer anew and compare, watched or not, on one batch."""
        note = "; ".join(filter(None, (self._note, "channels_last weights" * channels_last)))
        layer, subject = (self._twins.twin(self._layer, channels_last) for _ in range(2))
        for watch, program in zip(watches, (layer, subject), strict=True):
            mark_weights(watch, program)
        plain, *ways = ways
        first = run(layer, x, watches[0], plain)  # before the conversion can touch its weights
        try:
            with watches[1] or nullcontext():
                converted = self._convert(subject)
        except Refused:
            if channels_last:  # a conversion may refuse storage that no view can hold
                return None
            raise
        except Exception as error:
            where = note or f"converting {self._exact.name} weights"
            return Outcome().parts_from(Outcome(error=error), where)
        sides = Sides((layer, converted), watches, self._values, self._convert, subject)
        counterexample = self._compare(sides, x, plain, note, first)
        if thorough:
            counterexample = counterexample or self._unsteady(sides, x, note)
            ways += [EMPTY, *[UNBATCHED] * self.unbatched]
        for way in ways:
            counterexample = counterexample or self._compare(sides, x, way, note)
        if thorough:
            counterexample = counterexample or self._other_mode(sides, x)
        if watches[1] is not None:
            constants = frozenset(watches[1].constants)
            if self._constants not in (None, constants):
                self.why = self.why or "a constant changes from one conversion to the next"
            self._constants = constants
        return counterexample

    def _compare(
        self, sides: Sides, x: Tensor, way: Way, note: str, mine: Outcome | None = None
    ) -> Counterexample | None:
        """Return where the sides part in one way, if the layer serves it."""
        mine = mine or run(sides.pair[0], x, sides.watches[0], way)
        if mine.error:
            if way.usual:
                where = f"in {self._exact.name} on the {self._exact.device.type.upper()}"
                why = f"the layer does not run {where} ({one_line(mine.error)})"
                self.why = self.why or why
            return None
        theirs = run(sides.pair[1], x, sides.watches[1], way)
        if sides.watches[0] is not None:
            sides = sides.seen(mine, theirs)
            self._check(sides.values)
        note = "; ".join(filter(None, (note, way.note)))
        if self._rounds(sides, mine, theirs):
            return None
        counterexample = sides.part(mine, theirs, x, way, note)
        if counterexample is None and way.batch:
            self.ways.append(way)
            if undecided(mine, theirs).any():
                self.why = self.why or "both sides give NaN"
            if mine.changes_itself:
                self.why = self.why or "the layer's state changes with every call"
        return counterexample

    def _rounds(self, sides: Sides, mine: Outcome, theirs: Outcome) -> bool:
        """Whether the sides part in the own dtype, by no more than kernels that do not sum may."""
        if self._exact is FLOAT64 or theirs.error or mine.parts_from(theirs):
            return False
        far = beyond_rounding(mine.numbers, theirs.numbers, self._exact.dtype)
        if far.any() or not sides.differ(mine, theirs).any():
            return False
        why = f"equal in float64, but within its rounding {self._exact.name} differs"
        self.why = self.why or why
        return True

    def _check(self, values: Sequence[Value]) -> None:
        """Note whatever keeps a run from being as exact as planned."""
        planned = all(
            v.degree <= self.degree and self._exact.holds(v, self.largest) for v in values
        )
        other = "" if planned else f"it takes other steps in {self._exact.name}"
        self.why = self.why or reason(values[0], values[1], NAMES) or other

    def _unsteady(self, sides: Sides, x: Tensor, note: str) -> Counterexample | None:
        """Return whether further runs, with nobody watching, give something else.

        Only a conversion of a layer that is the same in every run must be so too.
        """
        steady = []
        for program, watch in zip(sides.pair, sides.watches, strict=True):
            before = state(program)
            first = run(program, x, watch)
            steady.append(first.gives(run(program, x)))
            if state(program) != before:
                self.why = self.why or "a module's state changes with every call"
        if not steady[0]:
            self.why = self.why or "the layer gives another output in a second run"
        elif not steady[1]:
            same, other = "the same for the same input", "another in a second run"
            return Counterexample("contract", same, other, field="the output", note=note)
        return None

    def _other_mode(self, sides: Sides, x: Tensor) -> Counterexample | None:
        """Return where the sides part in the training mode that the layer is not in.

        A layer that rounds, or draws random numbers, in that mode is not compared there.
        """
        training, usual = not self._layer.training, Way(batches_for(x.shape[1:])[0])
        layer, _ = (side.train(training) for side in sides.pair)
        mine = run(layer, x, sides.watches[0], usual)
        if mine.error or mine.value.off:
            return None
        self.both_modes = True
        mode = "in train mode" if training else "in eval mode"
        note = "; ".join(filter(None, (self._note, mode)))
        return self._compare(sides, x, usual, note, mine)
