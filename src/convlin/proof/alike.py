"""Two given modules in their own dtype: the numbers that both hold are drawn anew, alike.

A proof modulo primes runs in float64. Whether two modules are equal in float32 too, where other
kernels and other branches run, is seen on small whole numbers, on which float32 is exact
(`convlin.proof.whole`). That needs other numbers in place of the weights: possible where both
sides hold the same ones, in shared memory or bit for bit in memory of the same layout. The two
are then as equal as before, if they are polynomials in their weights, or they part in float64 as
well, and the weights they have are special.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from convlin.proof.algebra import Value
from convlin.proof.draws import Draws
from convlin.proof.outcome import Outcome, run
from convlin.proof.real import NAMES, reason
from convlin.proof.twins import Region, Twins, home, mark_weights
from convlin.proof.verdict import OwnDraws
from convlin.proof.watch import Watch
from convlin.proof.ways import PLAIN, Way, batches_for, one_round
from convlin.proof.whole import FLOAT64, Exact, draws_for, exact_in

__all__ = ["Alike", "alike"]


@dataclass(frozen=True)
class Alike:
    """What came of it: the draws and their ways, or why the two part in their own dtype."""

    draws: OwnDraws | None = None
    ways: list[Way] = field(default_factory=list)
    why: str = ""


def alike(
    sides: tuple[Any, Any], shape: tuple[int, ...], values: tuple[Value, Value], draws: Draws,
    probability: float,
) -> Alike:  # fmt: skip
    """Compare two modules, equal modulo primes, in their own dtype on whole numbers.

    No draws and no reason: their dtype cannot be judged so.
    """
    homes = {home(side) for side in sides}
    exact = exact_in(*homes.pop()) if len(homes) == 1 else None
    if exact is None or exact == FLOAT64:
        return Alike()
    trial = _Trial(sides, Twins(sides, exact.dtype, exact.device), exact, exact.largest(*values))
    degree = max(value.degree for value in values)
    count = trial.count(degree, probability)
    if count is None:
        return Alike()
    for draw in range(count):
        ways = one_round(draws, shape)
        if draw and trial.twins.heavy:
            ways = draws.shuffled(ways)[:1]
        trial.fill(draws)
        x = draws.numbers((max(batches_for(shape)), *shape), trial.largest)
        why = trial.parting(x.to(exact.device, exact.dtype), ways, watched=draw == 0)
        if why is not None:
            return Alike(why=why)
    return Alike(OwnDraws(exact.name, count, trial.failure(degree) ** count), trial.ways)


@dataclass
class _Trial:
    """Two modules to be filled with whole numbers, the same where they hold the same."""

    sides: tuple[Any, Any]
    twins: Twins
    exact: Exact
    largest: int
    ways: list[Way] = field(default_factory=list)

    def failure(self, degree: int) -> float:
        """Return the probability that one draw misses a difference, at most."""
        # Schwartz and Zippel: no number is drawn with a probability above atom/(2M + 1)
        return self.twins.atom * degree / (2 * self.largest + 1)

    def count(self, degree: int, probability: float) -> int | None:
        """Return how many draws are enough, None if the modules cannot be drawn anew alike."""
        same = {tensor.dtype for tensor in self.twins.tensors} == {self.exact.dtype}
        if not same or not self.largest or self.groups is None:
            return None
        return draws_for(self.failure(degree), probability)

    @cached_property
    def groups(self) -> list[list[Region]] | None:
        """Return the memory of both sides, what holds the same numbers together; or None.

        None if one side holds numbers that the other does not.
        """
        mine, theirs = ({id(r) for r in self.twins.regions_of(side)} for side in self.sides)
        groups: list[list[Region]] = []
        for region in self.twins.regions:
            # equality is transitive: to be like the first of a group is to be like all of it
            group = next((g for g in groups if _same_numbers(g[0], region)), None)
            if group is None:
                groups.append(group := [])
            group.append(region)
        for group in groups:
            members = {id(region) for region in group}
            if not (members & mine and members & theirs):
                return None
        return groups

    def fill(self, draws: Draws) -> None:
        """Draw new numbers, the same for the regions of a group."""
        for first, *others in self.groups or []:
            first.draw(draws, self.largest)
            for region in others:
                region.target.copy_(first.target)

    def parting(self, x: Tensor, ways: Iterable[Way], watched: bool) -> str | None:
        """Return how the sides part on `x`; "" if they do so in float64 too, None if nowhere."""
        programs = [self.twins.twin(side) for side in self.sides]
        watches = [Watch(), Watch()] if watched else [None, None]
        for watch, program in zip(watches, programs, strict=True):
            mark_weights(watch, program)
        for way in ways:
            left, right = (run(p, x, w, way) for p, w in zip(programs, watches, strict=True))
            note = f"in {self.exact.name}" + f", {way}" * (way != PLAIN)
            why = reason(left.value, right.value, NAMES)
            planned = all(self.exact.holds(side.value, self.largest) for side in (left, right))
            if why or not planned:
                return f"{why or 'it takes other steps'} {note}"
            parts = left.parts_from(right, note)
            if parts is not None:
                return str(parts)
            if not left.decides(right):
                continue
            differ = left.numbers != right.numbers
            if differ.any():
                return "" if self._part_in_float64(x, way) else self._words(left, right, note)
            self.ways.append(way)
        return None

    def _words(self, left: Outcome, right: Outcome, note: str) -> str:
        position = int((left.numbers != right.numbers).nonzero()[0])
        mine, theirs = (float(side.numbers[position]) for side in (left, right))
        return (
            f"equal in float64, but {note} and with other weights output {left.index_of(position)} "
            f"is {mine:g} against {theirs:g}"
        )

    def _part_in_float64(self, x: Tensor, way: Way) -> bool:
        """Whether the numbers drawn part the sides in float64 as well: their own are special."""
        wide = Twins(self.sides)
        for region, drawn in zip(wide.regions, self.twins.regions, strict=True):
            region.target.copy_(drawn.target)
        left, right = (run(wide.twin(side), x.cpu().double(), None, way) for side in self.sides)
        return left.parts_from(right) is not None or not left.numbers.equal(right.numbers)


def _same_numbers(one: Region, other: Region) -> bool:
    return one.learned == other.learned and bool(torch.equal(one.source, other.source))
