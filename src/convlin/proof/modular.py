"""Two programs with given weights, compared modulo random primes.

Finite floats are fractions m·2^e. Every weight of both programs becomes its residue modulo a
random prime p, the input is drawn from the residues as well, both run their own code in float64,
where these small whole numbers make every sum exact, and the outputs are compared modulo p.
Operations on the list of `convlin.proof.listed` commute with taking residues.

If the two functions differ, some coefficient of their difference, a polynomial in the input, is
a fraction with a numerator N ≠ 0 of at most B bits. Of the primes ≥ p_min at most ⌊B/log₂ p_min⌋
divide N, out of π that are drawn from; for any other prime the polynomial is not zero modulo p,
and vanishes at a random input with probability ≤ degree/p (Schwartz and Zippel). So one draw
misses the difference with probability at most degree/p_min + ⌊B/log₂ p_min⌋/π; draws multiply.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import ceil, floor, log, log2
from typing import Any

import torch
from torch import Tensor

from convlin.proof.algebra import Value, largest_integer
from convlin.proof.counterexample import Shrunk, shrink
from convlin.proof.draws import SMALLEST, Draws, primes_between
from convlin.proof.outcome import Outcome, run
from convlin.proof.residues import LARGEST_PRIME, Spread
from convlin.proof.twins import Twins, mark_weights
from convlin.proof.verdict import Counterexample
from convlin.proof.watch import Watch
from convlin.proof.ways import PLAIN, Way

__all__ = ["Modular", "Plan", "failure"]

LIKELY = 0.5
"""What one draw may miss, at most: then thirty draws reach 10⁻⁹. With half, sums of degree 11 have
no plan; with all, a plan may take thousands of draws."""


@dataclass(frozen=True)
class Plan:
    """Which primes to draw from, and what one draw may miss.

    largest: primes lie in [largest/2, largest]. value: what holds of both sides. scale: 2^scale
    times any coefficient of their difference is whole. bits: of its numerator.
    """

    largest: int
    value: Value
    scale: int
    bits: int

    @classmethod
    def of(cls, left: Value, right: Value, twins: Twins) -> Plan | None:
        """Return the plan for two values made of these weights; None if their sums are too long."""
        bound = min(largest_integer(left), largest_integer(right))
        # balanced residues modulo p ≤ 2M + 1 are at most M in size
        largest = min(2 * bound + 1, LARGEST_PRIME)
        if largest < SMALLEST:
            return None
        span = reduce(Spread.join, (region.powers for region in twins.regions), Spread())
        value = left.join(right)
        # A coefficient sums up to c products of `weights` weights: below c·2^(highest·weights), and
        # a multiple of 2^(lowest·weights). The difference of both sides has c = c_left + c_right.
        coefficients = max(1, left.coefficient + right.coefficient)
        bits = ceil(log2(coefficients)) + value.weights * (span.highest - span.lowest)
        plan = cls(largest, value, -span.lowest * value.weights, bits)
        return plan if span.narrow and plan.failure < LIKELY else None

    @property
    def failure(self) -> float:
        """The probability that one draw misses a difference, at most."""
        return failure(self.largest, self.value.inputs, self.bits)

    def covers(self, value: Value) -> bool:
        """Whether a run whose results are `value` is what was planned for."""
        return (
            value.weights <= self.value.weights
            and value.inputs <= self.value.inputs
            and value.coefficient <= self.value.coefficient
        )

    def draws_for(self, probability: float) -> int:
        """Return how many draws miss a difference with at most this probability.

        At least two: what a program takes for constants is compared from draw to draw.
        """
        return max(2, ceil(log(probability) / log(self.failure)))


def failure(largest: int, degree: int, bits: int) -> float:
    """Return degree/p_min + ⌊bits/log₂ p_min⌋/π for primes from [largest/2, largest].

    >>> failure(1198349, degree=1, bits=293) < 7e-4  # any float32 weights, VGG-16's fc6
    True
    """
    smallest = largest / 2
    return degree / smallest + floor(bits / log2(smallest)) / primes_between(largest)


class Modular:
    """Two programs whose weights can be replaced by their residues.

    >>> from torch import nn
    >>> one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    >>> sides = Modular(one, other, Twins([one, other]), Draws(1))
    >>> sides.load(7919)
    >>> mine, theirs = sides.pair(torch.ones(1, 3, dtype=torch.float64))
    >>> bool(sides.differ(mine, theirs).any())
    True
    """

    def __init__(self, left: Any, right: Any, twins: Twins, draws: Draws) -> None:
        self._modules, self._twins, self.heavy = (left, right), twins, twins.heavy
        self.draws = draws
        self.prime = 0
        self.programs: list[Any] = []
        self.watches = [Watch(), Watch()]

    def plan(self, left: Value, right: Value) -> Plan | None:
        """Return the plan for results that these values describe."""
        return Plan.of(left, right, self._twins)

    def load(self, prime: int) -> None:
        """Replace the weights by their residues modulo an odd prime."""
        self.prime = prime
        for region in self._twins.regions:
            region.reduce(prime)
        self.programs = [self._twins.twin(side) for side in self._modules]
        self.watches = [Watch(), Watch()]
        for watch, program in zip(self.watches, self.programs, strict=True):
            mark_weights(watch, program)

    def input(self, shape: tuple[int, ...]) -> Tensor:
        """Return a random input modulo the prime."""
        # {-(p-1)/2, …, (p-1)/2} has one number of every class of residues
        return self.draws.numbers(shape, (self.prime - 1) // 2)

    def watched(self, x: Tensor, way: Way = PLAIN) -> tuple[Outcome, Outcome]:
        """Run both sides, watching every operation."""
        left, right = (run(p, x, w, way) for p, w in zip(self.programs, self.watches, strict=True))
        return left, right

    def pair(self, x: Tensor, way: Way = PLAIN) -> tuple[Outcome, Outcome]:
        """Run both sides as they run by themselves."""
        left, right = (run(program, x, None, way) for program in self.programs)
        return left, right

    def differ(self, mine: Outcome, theirs: Outcome) -> Tensor:
        """Return which output elements differ modulo the prime; NaN differs from everything."""
        left, right = mine.numbers, theirs.numbers
        # Both are whole and below 2⁵³, so their difference is exact in 64 bits, where in a float it
        # need not be; and 0 modulo p whatever its sign.
        finite = left.isfinite() & right.isfinite()
        difference = (left.nan_to_num().long() - right.nan_to_num().long()) % self.prime
        return (difference != 0) | ~finite

    def counterexample(
        self, x: Tensor, seen: tuple[Outcome, Outcome], plan: Plan, way: Way = PLAIN
    ) -> Counterexample:
        """Shrink a difference at `x`, and find the two exact numbers that differ."""

        def pair(batch: Tensor) -> tuple[Outcome, Outcome]:
            return self.pair(batch, way)

        shrunk = shrink(pair, self.differ, way.taken(x), seen, linear=True, note=way.note)
        if shrunk.kind == "value":
            return shrunk.show(*shrunk.numbers)
        return shrunk.show(*self._exact(shrunk, plan, way))

    def _exact(self, shrunk: Shrunk, plan: Plan, way: Way) -> list[Fraction]:
        """Return both sides' weight (or bias) as fractions, by the Chinese remainder theorem."""
        # |numerator| < 2^bits: modulo more than 2·2^bits no two such numbers are the same.
        modulus, numbers = 1, [0, 0]
        used: set[int] = set()
        while modulus <= 2 * 2**plan.bits:
            prime = self.draws.prime(plan.largest)
            if prime in used:
                continue
            used.add(prime)
            self.load(prime)
            for side, rest in enumerate(self._at(shrunk, way)):
                # the number ≡ its old self (mod modulus) and ≡ 2^scale·rest (mod prime)
                rest = rest * pow(2, plan.scale, prime)
                step = (rest - numbers[side]) * pow(modulus, -1, prime) % prime
                numbers[side] += modulus * step
            modulus *= prime
        whole = [n - modulus if n > modulus // 2 else n for n in numbers]
        return [Fraction(number, 2**plan.scale) for number in whole]

    def _at(self, shrunk: Shrunk, way: Way) -> list[int]:
        """Return both sides' weight (or bias) modulo the current prime."""
        here = [int(side.numbers[shrunk.position]) for side in self.pair(shrunk.x, way)]
        if shrunk.kind == "bias":
            return here
        # shrunk.x is a unit vector: for affine functions f(e) - f(0) is the weight of its element
        base = self.pair(torch.zeros_like(shrunk.x), way)
        return [
            value - int(side.numbers[shrunk.position])
            for value, side in zip(here, base, strict=True)
        ]
