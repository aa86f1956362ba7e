"""How large, and of what degree, sums and products are.

Every tensor that a watched program makes is a polynomial in the weights and the inputs, with
whole coefficients, as long as only listed operations made it. If each weight and each input is
a whole number of size ≤ M, then its size is at most coefficient·M^degree, and so is every
partial sum on the way, in any order. A program that takes any step that is not on the list of
`convlin.proof.listed` is off it for good: a `Value` remembers the first one. Steps off the list
may still be counted, a division by a weight say: then how many roundings an element has behind it
is known, and whether it is affine in the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

__all__ = ["MANTISSA", "Value", "constant", "largest_integer"]

MANTISSA = 53
"""Bits of a float64: whole numbers up to 2⁵³, and sums that never leave them, are exact.

With twice as many, sums round and equal layers differ; with half, too few numbers are left to draw
from, and no large layer is proved.
"""


@dataclass(frozen=True)
class Value:
    """What is known of a tensor's elements.

    weights, inputs: degree in each. coefficient: |element| ≤ coefficient·M^(weights + inputs).
    terms: roundings on the longest path, as n in Higham's γₙ. results: stored results on it.
    off: the first operation off the list, "" for a polynomial. exact: whole numbers stay exact.
    rough: the first whose roundings are not counted. bent: one saw an input that it is not known
    to be affine in. random: drawn from a generator, so another constant in every run.
    signed: a difference or a sign was taken. below: numbers may be below 0.
    """

    weights: int = 0
    inputs: int = 0
    coefficient: int = 0
    terms: int = 0
    results: int = 0
    off: str = ""
    rough: str = ""
    bent: bool = False
    exact: bool = True
    signed: bool = False
    below: bool = False
    random: bool = False

    @property
    def degree(self) -> int:
        """Total degree."""
        return self.weights + self.inputs

    @property
    def constant(self) -> bool:
        """Whether the elements depend on no weight, no input and no chance."""
        return not self.degree and not self.random

    @property
    def affine(self) -> bool:
        """Whether the elements are affine in the inputs, with whatever numbers for weights."""
        return self.inputs <= 1 and not self.bent and not self.random

    def join(self, *others: Value) -> Value:
        """Return what holds of elements that come from any of these."""
        joined = self
        for other in others:
            joined = Value(
                max(joined.weights, other.weights),
                max(joined.inputs, other.inputs),
                max(joined.coefficient, other.coefficient),
                max(joined.terms, other.terms),
                max(joined.results, other.results),
                joined.off or other.off,
                joined.rough or other.rough,
                joined.bent or other.bent,
                joined.exact and other.exact,
                joined.signed or other.signed,
                joined.below or other.below,
                joined.random or other.random,
            )
        return joined

    def plus(self, other: Value) -> Value:
        """Return what holds of a sum."""
        # cₐM^dₐ + c_bM^d_b ≤ (cₐ + c_b)·M^max(dₐ, d_b), since M ≥ 1
        total = self.join(other)
        return replace(
            total,
            coefficient=self.coefficient + other.coefficient,
            terms=total.terms + 1,
            results=total.results + 1,
        )

    def times(self, other: Value, inner: int = 1) -> Value:
        """Return what holds of a sum of `inner` products."""
        # |Σ aᵢbᵢ| ≤ n·(cₐM^dₐ)(c_bM^d_b). A product takes over the roundings of both factors, since
        # (1+δ)^i·(1+δ')^j has i + j of them (Higham, lemma 3.3), and n more: of the product, and of
        # the n - 1 sums.
        both = self.join(other)
        return replace(
            both,
            weights=self.weights + other.weights,
            inputs=self.inputs + other.inputs,
            coefficient=inner * self.coefficient * other.coefficient,
            terms=self.terms + other.terms + inner,
            results=self.results + other.results + 1,
        )

    def summed(self, inner: int) -> Value:
        """Return what holds of a sum of `inner` such elements."""
        return replace(
            self,
            coefficient=inner * self.coefficient,
            terms=self.terms + max(0, inner - 1),
            results=self.results + (inner > 1),
        )

    def off_the_list(self, operation: str, exact: bool = False) -> Value:
        """Return this value after a step off the list, of which nothing else is known."""
        off = self.counted(operation, exact)
        return replace(off, rough=self.rough or operation, bent=self.bent or self.inputs > 0)

    def counted(self, operation: str, exact: bool = False) -> Value:
        """Return this value after a step off the list whose roundings it counts."""
        return replace(self, off=self.off or operation, exact=self.exact and exact)


def largest_integer(value: Value, bits: int = MANTISSA) -> int:
    """Return the largest M with coefficient·M^degree < 2^bits (0 if there is none).

    >>> largest_integer(Value(weights=1, inputs=1, coefficient=25089))  # VGG-16's fc6
    599174
    """
    # c·M^d < 2^b ⟺ M^d ≤ ⌊(2^b - 1)/c⌋, since M^d is whole. In integers throughout: a float's root
    # can be one too large. M < 2^(⌊b/d⌋ + 1), so halving that interval keeps M inside.
    limit: int = (2**bits - 1) // max(1, value.coefficient)
    if value.degree <= 1:
        return limit
    low, high = 0, 1 << (bits // value.degree + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**value.degree <= limit else (low, middle)
    return low


def constant(number: Any) -> Value:
    """Return the value of a Python number in the program."""
    if isinstance(number, complex) or not isfinite(number):
        return Value().off_the_list(f"the constant {number}")
    if number != int(number):
        below = number < 0
        rounded = Value(terms=1, signed=below, below=below)  # to the dtype that it meets
        return rounded.counted(f"the constant {number}")
    return Value(coefficient=abs(int(number)), signed=number < 0, below=number < 0)
