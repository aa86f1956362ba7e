"""A matrix's squared norm in parts, at any scale.

Floats hold 1e200 and 1e-200, but not their squares. So a squared norm is kept as a number near one
and a power of four; only what is asked for as a float may be too large, or too small, for one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from convlin.structure.energy_html import split

__all__ = ["Energy", "Square", "exponent_of", "times_power"]


@dataclass(frozen=True)
class Square:
    """A squared norm: `part`·4^`exponent`.

    >>> huge = Square.of(np.array([3e200, 4e200]))
    >>> float(huge), huge.norm
    (inf, 5e+200)
    """

    part: float
    exponent: int

    @classmethod
    def of(cls, values: Num[np.ndarray, " entries"], exponent: int = 0) -> Square:
        """Return the squared norm of float64 or complex128 values times 2^`exponent`."""
        own = exponent_of(values)
        near_one = times_power(values, -own).view(np.float64)
        return cls(float(np.sum(near_one**2)), own + exponent)

    def __add__(self, other: Square) -> Square:
        exponent = max((square.exponent for square in (self, other) if square.part), default=0)
        return Square(self._at(exponent) + other._at(exponent), exponent)

    def __float__(self) -> float:
        """Return the number, inf where it is too large for a float."""
        return self._at(0)

    @property
    def norm(self) -> float:
        """The square root, inf where that too is too large for a float."""
        return _times(math.sqrt(self.part), self.exponent)

    def over(self, total: Square) -> float:
        """Return the fraction of a total that this is; 0 where that is 0."""
        return self._at(total.exponent) / (total.part or 1.0)

    def _at(self, exponent: int) -> float:
        return _times(self.part, 2 * (self.exponent - exponent))


@dataclass(frozen=True, repr=False)
class Energy:
    """A matrix's squared Frobenius norm in three parts that add up to it.

    `shared`, `local`, `off` and `total` are inf, or 0, where a square is too large or too small
    for a float; `fractions` and `distance` are right at any scale.
    """

    parts: tuple[Square, ...]

    @property
    def shared(self) -> float:
        """The squared norm of the nearest convolution."""
        return float(self.parts[0])

    @property
    def local(self) -> float:
        """The squared norm of what stands where taps reach, but is not shared."""
        return float(self.parts[1])

    @property
    def off(self) -> float:
        """The squared norm of what stands where no tap reaches."""
        return float(self.parts[2])

    @property
    def total(self) -> float:
        """The squared norm of the matrix."""
        return float(self._total)

    @property
    def fractions(self) -> tuple[float, float, float]:
        """The three parts as fractions that sum to one; zeros for the zero matrix."""
        shared, local, off = (part.over(self._total) for part in self.parts)
        return shared, local, off

    @property
    def distance(self) -> float:
        """The norm of what is not shared."""
        return (self.parts[1] + self.parts[2]).norm

    @property
    def _total(self) -> Square:
        shared, local, off = self.parts
        return shared + local + off

    def __repr__(self) -> str:
        return f"<Energy: {self}>"

    def __str__(self) -> str:
        names = ("shared", "local but not shared", "off the support")
        return ", ".join(
            f"{part:.1%} {name}" for part, name in zip(self.fractions, names, strict=True)
        )

    def _repr_html_(self) -> str:
        return split(self.fractions, str(self))


def exponent_of(values: Num[np.ndarray, " entries"]) -> int:
    """Return the least e with every part of float64 or complex128 values below 2^e; 0 for zeros.

    >>> exponent_of(np.array([3.0, -9.0])), exponent_of(np.array([5e-324]))
    (4, -1073)
    """
    real = values.view(np.float64)
    return math.frexp(max(real.max(initial=0), -real.min(initial=0)))[1]


def times_power(values: Num[np.ndarray, "*shape"], exponent: int) -> Num[np.ndarray, "*shape"]:
    """Return float64 or complex128 values times 2^exponent.

    >>> times_power(np.array([5e-324, 1e-323]), 1074).tolist()
    [1.0, 2.0]
    """
    scaled: np.ndarray = np.ldexp(values.view(np.float64), exponent).view(values.dtype)
    return scaled


def _times(number: float, exponent: int) -> float:
    try:
        return math.ldexp(number, exponent)
    except OverflowError:
        return math.inf
