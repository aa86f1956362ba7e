"""A matrix's squared norm in three parts, at any scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from convlin.display.blocks import Block
from convlin.display.shown import Shown
from convlin.numerics.scaling import Scale
from convlin.structure.energy_blocks import split, split_in_words

__all__ = ["Energy", "largest_of"]


@dataclass(frozen=True, repr=False)
class Energy(Shown):
    """A matrix's squared Frobenius norm in three parts that add up to it.

    shared: the squared norm of the nearest convolution. local: of what stands where taps reach,
    but is not shared. off: of what stands where no tap reaches. Like `total` they are inf, or 0,
    where a square is too large or too small for a float; `fractions` and `distance` are right at
    any scale: they are those of the `norms`, over a power of two that all three share.

    >>> huge = Energy.of([np.array([3e200]), np.array([4e200]), np.array([0.0])], Scale())
    >>> huge.total, huge.distance, huge.fractions
    (inf, 4e+200, (0.36, 0.64, 0.0))
    """

    shared: float
    local: float
    off: float
    norms: tuple[float, ...]
    scale: Scale

    @classmethod
    def of(cls, parts: Iterable[Num[np.ndarray, " entries"]], scale: Scale) -> Energy:
        """Return the energy of shared, local and off-support entries, float64 or complex128.

        scale: the power of two that was taken out of the entries.
        """
        squares, norms = zip(*(_measured(entries, scale) for entries in parts), strict=True)
        shared, local, off = squares
        return cls(shared, local, off, norms, scale)

    @property
    def total(self) -> float:
        """The squared norm of the matrix."""
        return self.shared + self.local + self.off

    @property
    def fractions(self) -> tuple[float, float, float]:
        """The three parts as fractions that sum to one; zeros for the zero matrix."""
        whole = math.hypot(*self.norms) or 1.0
        shared, local, off = ((norm / whole) ** 2 for norm in self.norms)
        return shared, local, off

    @property
    def distance(self) -> float:
        """The norm of what is not shared."""
        distance: float = self.scale.back(math.hypot(*self.norms[1:]))
        return distance

    def __repr__(self) -> str:
        return f"<Energy: {self}>"

    def __str__(self) -> str:
        return split_in_words(self.fractions)

    def _blocks(self, width: int | None = None) -> list[Block]:
        return split(self.fractions)


def largest_of(values: Num[np.ndarray, " entries"]) -> float:
    """Return the largest magnitude of a real or imaginary part of float64 or complex128 values."""
    real = values.view(np.float64)
    return float(max(real.max(initial=0), -real.min(initial=0)))


def _measured(entries: Num[np.ndarray, " entries"], scale: Scale) -> tuple[float, float]:
    """Return the squared norm of entries times a power of two, and the norm of just the entries.

    They are scaled by one of their own, too: beside 1, a part of size 1e-170 has no square.
    """
    own = Scale.of(largest_of(entries))
    square = float(np.sum(own.down(entries.view(np.float64)) ** 2))
    both = Scale(own.exponent + scale.exponent)
    return both.back(both.back(square)), own.back(math.sqrt(square))
