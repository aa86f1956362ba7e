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

import math
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from convlin.geometry import ConvGeometry
from convlin.matrix import sources
from convlin.numerics.roundoff import DOUBLE
from convlin.structure.axis_support import AxisSupport

__all__ = ["AxisSpace"]

DENSE = 16  # bytes of a table for every pair, up to which it is faster than sorting them
HELD = 1 << 22  # numbers of the fibres that are looked at at once


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
    def counts(self) -> Int[np.ndarray, " taps"]:
        """How many positions each tap has: the diagonal of G."""
        counts: np.ndarray = (self.table >= 0).sum(axis=0)
        return counts

    @cached_property
    def gram(self) -> Int[np.ndarray, "taps taps"]:
        """How many positions each two taps share."""
        gram = np.diag(self.counts)
        for step in range(1, self.table.shape[1] if self.overlap else 1):
            left, right = self.table[:, :-step], self.table[:, step:]
            shared = ((left == right) & (left >= 0)).sum(axis=0)
            at = np.flatnonzero(shared)
            gram[at, at + step] = gram[at + step, at] = shared[at]
        return gram

    @cached_property
    def _alone(self) -> Bool[np.ndarray, "outputs taps"]:
        """Whether each (output, tap) reads a pixel that no other tap of it reads."""
        order = np.argsort(self.table, axis=1, kind="stable")
        ranked = np.take_along_axis(self.table, order, axis=1)
        same = ranked[:, 1:] == ranked[:, :-1]
        alone = ranked >= 0
        alone[:, 1:] &= ~same
        alone[:, :-1] &= ~same
        placed = np.empty_like(alone)
        np.put_along_axis(placed, order, alone, axis=1)
        return placed

    @cached_property
    def _eigen(self) -> tuple[Float[np.ndarray, " taps"], Float[np.ndarray, "taps taps"]]:
        values, vectors = np.linalg.eigh(self.gram.astype(np.float64))
        # G holds small whole numbers, so its eigenvalues are 0 or far from it.
        small = 2 * DOUBLE * len(values) * values.max(initial=1)
        values[values < small] = 0
        return values, vectors

    @property
    def rank(self) -> int:
        """How many combinations of the taps a matrix can tell."""
        return int(np.count_nonzero(self._eigen[0] if self.overlap else self.counts))

    @cached_property
    def overlap(self) -> bool:
        """Whether some output reads one pixel through several taps."""
        return bool((self._alone != (self.table >= 0)).any())

    @cached_property
    def inverse(self) -> Float[np.ndarray, "taps taps"]:
        """The pseudo-inverse G⁺; with G diagonal, exactly the reciprocals of the counts."""
        if not self.overlap:
            counts = self.counts
            return np.diag(np.divide(1.0, counts, where=counts > 0, out=np.zeros(len(counts))))
        values, vectors = self._eigen
        reciprocal = np.divide(1.0, values, where=values > 0, out=np.zeros_like(values))
        inverse: np.ndarray = (vectors * reciprocal) @ vectors.T
        return inverse

    @cached_property
    def free(self) -> Float[np.ndarray, "directions taps"]:
        """Orthonormal combinations of the taps that leave every matrix as it is."""
        if not self.overlap:
            unread = np.flatnonzero(self.counts == 0)
            free = np.zeros((len(unread), len(self.counts)))
            free[np.arange(len(unread)), unread] = 1
            return free
        values, vectors = self._eigen
        return vectors[:, values == 0].T

    def alone(self) -> Bool[np.ndarray, "outputs taps"]:
        """Return whether each (output, tap) reads a pixel that no other tap of it reads."""
        return self._alone

    @cached_property
    def reached(self) -> AxisSupport:
        """Which output reads which pixel."""
        outputs, taps = np.nonzero(self.table >= 0)
        pixels = self.table[outputs, taps]
        shape = len(self.table), self.pixels
        if math.prod(shape) <= DENSE * len(pixels):
            read = np.zeros(shape, dtype=bool)
            read[outputs, pixels] = True
            return AxisSupport.of(read)
        return AxisSupport.of_keys(*shape, np.unique(outputs * self.pixels + pixels))

    def used(self, support: AxisSupport) -> Bool[np.ndarray, " taps"]:
        """Return which taps can have a weight: none that reads what is not read, all by itself.

        Where several taps meet, their weights may cancel, and nothing is seen of them.
        """
        place = support.place(np.arange(len(self.table))[:, None], self.table)
        unread = (place < 0) & (self.table >= 0)
        used = np.ones(self.table.shape[1], dtype=bool)
        while (wrong := (unread[:, used] & self.restricted(used).alone()).any(axis=0)).any():
            used[np.flatnonzero(used)[wrong]] = False
        return used

    def explains(
        self, support: AxisSupport, fibres: Num[np.ndarray, "fibres pairs"], tolerance: float
    ) -> bool:
        """Return whether arrays with this support lie in the span.

        What an output reads through one tap alone must be equal exactly; sums of taps, up to
        `tolerance` of an array's largest value.
        """
        reached = self.reached
        if (reached.place(support.output, support.pixel) < 0).any():
            return False
        # On the pixels that are reached; those that are not read hold 0.
        place = support.place(reached.output, reached.pixel)
        position = reached.place(np.arange(len(self.table))[:, None], self.table)
        # Most spans that are asked fail on the first array, at a fraction of the cost.
        step = max(1, HELD // max(1, self.table.size))
        parts = [fibres[:1], *(fibres[i : i + step] for i in range(1, len(fibres), step))]
        held = (np.where(place >= 0, part[:, place], 0) for part in parts if len(support))
        return all(self._explain(part, position, tolerance) for part in held)

    def _explain(
        self,
        fibres: Num[np.ndarray, "fibres reached"],
        position: Int[np.ndarray, "outputs taps"],
        tolerance: float,
    ) -> bool:
        alone, read = self._alone, position >= 0
        held = fibres[:, position]
        first = held[:, alone.argmax(axis=0), np.arange(position.shape[1])]
        if ((held != first[:, None, :]) & alone).any():
            return False
        if not self.overlap:
            return True
        # What stands alone is known exactly; only the other taps are averaged.
        lone = alone.any(axis=0)
        left = fibres.astype(np.result_type(fibres.dtype, np.float64))
        self._subtract(left, np.where(lone, first, 0), position)
        if not lone.all():
            among = np.ix_(~lone, ~lone)
            sums = np.where(read, left[:, position], 0).sum(axis=1)[:, ~lone]
            others = np.zeros_like(first, dtype=left.dtype)
            others[:, ~lone] = sums @ np.linalg.pinv(self.gram[among], hermitian=True)
            self._subtract(left, others, position)
        largest = np.abs(fibres).max(axis=1, initial=0)
        return bool((np.abs(left).max(axis=1, initial=0) <= tolerance * largest).all())

    @staticmethod
    def _subtract(
        left: Num[np.ndarray, "fibres reached"],
        weights: Num[np.ndarray, "fibres taps"],
        position: Int[np.ndarray, "outputs taps"],
    ) -> None:
        """Take what each tap gives off the arrays, in place."""
        for tap in range(position.shape[1]):
            at = position[position[:, tap] >= 0, tap]
            left[:, at] -= weights[:, tap, None]
