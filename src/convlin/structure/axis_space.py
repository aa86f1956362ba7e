"""What the taps of one dimension span, and the projection onto it.

The matrices of all convolutions of one geometry form a linear space: the span of the tap matrices
P_t, a product over dimensions. In one dimension P_t is a 0/1 matrix (outputs × pixels), and the
Gram matrix G_st = ⟨P_s, P_t⟩ counts the positions that taps s and t share::

    nearest weights   w* = G⁺ b      b_t = ⟨P_t, W⟩

Zero padding leaves G diagonal, and w* an average. Where padding repeats pixels, G is not diagonal
and an average is wrong; where taps coincide everywhere, G is singular, and only some combinations
of them mean anything: the null space of G is what no matrix tells.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from convlin.geometry import ConvGeometry
from convlin.matrix import sources

__all__ = ["AxisSpace"]


class AxisSpace:
    """The span of one dimension's tap matrices, at one input size.

    >>> space = AxisSpace(ConvGeometry(1, 1, (3,), padding=1, padding_mode="reflect"), 0, 4)
    >>> space.gram.tolist()
    [[4, 0, 2], [0, 4, 0], [2, 0, 4]]
    >>> space.rank
    3
    """

    def __init__(self, geometry: ConvGeometry, dim: int, n: int) -> None:
        self._set(sources(geometry, dim, n), n)

    def _set(self, table: Int[np.ndarray, "outputs taps"], pixels: int) -> None:
        self.table = table
        self.pixels = pixels

    def restricted(self, taps: Bool[np.ndarray, " taps"]) -> AxisSpace:
        """Return the span of some of the taps."""
        part = AxisSpace.__new__(AxisSpace)
        part._set(self.table[:, taps], self.pixels)
        return part

    @cached_property
    def gram(self) -> Int[np.ndarray, "taps taps"]:
        """How many positions each two taps share."""
        same = self.table[:, :, None] == self.table[:, None, :]
        shared: np.ndarray = (same & (self.table >= 0)[:, :, None]).sum(axis=0)
        return shared

    @cached_property
    def _meeting(self) -> Int[np.ndarray, "outputs pixels"]:
        """How many taps of each output read each pixel."""
        meeting = np.zeros((len(self.table), self.pixels), dtype=int)
        outputs, taps = np.nonzero(self.table >= 0)
        np.add.at(meeting, (outputs, self.table[outputs, taps]), 1)
        return meeting

    @cached_property
    def _eigen(self) -> tuple[Float[np.ndarray, " taps"], Float[np.ndarray, "taps taps"]]:
        values, vectors = np.linalg.eigh(self.gram.astype(np.float64))
        # G holds small whole numbers, so its eigenvalues are 0 or far from it.
        small = len(values) * np.finfo(np.float64).eps * values.max(initial=1)
        values[values < small] = 0
        return values, vectors

    @property
    def rank(self) -> int:
        """How many combinations of the taps a matrix can tell."""
        if not self.overlap:
            return int(np.count_nonzero((self.table >= 0).any(axis=0)))
        return int(np.count_nonzero(self._eigen[0]))

    @property
    def overlap(self) -> bool:
        """Whether some output reads one pixel through several taps."""
        return bool((self._meeting > 1).any())

    @cached_property
    def inverse(self) -> Float[np.ndarray, "taps taps"]:
        """The pseudo-inverse G⁺; with G diagonal, exactly the reciprocals of the counts."""
        diagonal = np.diagonal(self.gram)
        if not (self.gram - np.diag(diagonal)).any():
            return np.diag(
                np.divide(1.0, diagonal, where=diagonal > 0, out=np.zeros(len(diagonal)))
            )
        values, vectors = self._eigen
        reciprocal = np.divide(1.0, values, where=values > 0, out=np.zeros_like(values))
        inverse: np.ndarray = (vectors * reciprocal) @ vectors.T
        return inverse

    @cached_property
    def free(self) -> Float[np.ndarray, "directions taps"]:
        """Orthonormal combinations of the taps that leave every matrix as it is."""
        values, vectors = self._eigen
        return vectors[:, values == 0].T

    def reached(self) -> Bool[np.ndarray, "outputs pixels"]:
        """Return which output reads which pixel."""
        return self._meeting > 0

    def alone(self) -> Bool[np.ndarray, "outputs taps"]:
        """Return whether each (output, tap) reads a pixel that no other tap of it reads."""
        outputs = np.arange(len(self.table))[:, None]
        alone: np.ndarray = (self.table >= 0) & (self._meeting[outputs, self.table] == 1)
        return alone

    def explains(self, fibres: Num[np.ndarray, "fibres outputs pixels"], tolerance: float) -> bool:
        """Return whether these arrays lie in the span, up to `tolerance` of their largest value.

        What an output reads through one tap alone must be equal exactly.
        """
        # Most spans that are asked fail on the first array, at a fraction of the cost.
        return all(self._explain(part, tolerance) for part in (fibres[:1], fibres[1:]) if len(part))

    def _explain(self, fibres: Num[np.ndarray, "fibres outputs pixels"], tolerance: float) -> bool:
        table, read, alone = self.table, self.table >= 0, self.alone()
        held = fibres[:, np.arange(len(table))[:, None], table]
        first = held[:, alone.argmax(axis=0), np.arange(table.shape[1])]
        if ((held != first[:, None, :]) & alone).any() or fibres[:, ~self.reached()].any():
            return False
        if not self.overlap:
            return True
        weights = np.where(read, held, 0).sum(axis=1) @ self.inverse
        left = fibres.astype(weights.dtype)
        for tap in range(table.shape[1]):
            outputs = np.flatnonzero(read[:, tap])
            left[:, outputs, table[outputs, tap]] -= weights[:, tap, None]
        largest = np.abs(fibres).max(axis=(1, 2))
        return bool((np.abs(left).max(axis=(1, 2)) <= tolerance * largest).all())
