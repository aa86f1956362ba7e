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
from convlin.numerics.roundoff import DOUBLE
from convlin.structure.axis_support import AxisSupport
from convlin.structure.occurring import occurring

__all__ = ["AxisSpace"]


class AxisSpace:
    """The span of one dimension's tap matrices, at one input size.

    >>> space = AxisSpace(ConvGeometry(1, 1, (3,), padding=1, padding_mode="reflect"), 0, 4)
    >>> space.gram.tolist()
    [[4, 0, 2], [0, 4, 0], [2, 0, 4]]
    """

    def __init__(self, geometry: ConvGeometry, dim: int, n: int) -> None:
        self.table: Int[np.ndarray, "outputs taps"] = sources(geometry, dim, n)
        self.pixels = n

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
            earlier, later = self.table[:, :-step], self.table[:, step:]
            shared = ((earlier == later) & (earlier >= 0)).sum(axis=0)
            at = np.flatnonzero(shared)
            gram[at, at + step] = gram[at + step, at] = shared[at]
        return gram

    @cached_property
    def alone(self) -> Bool[np.ndarray, "outputs taps"]:
        """Whether each (output, tap) reads a pixel that no other tap of it reads."""
        if not self.overlap:
            return self.table >= 0
        order = np.argsort(self.table, axis=1, kind="stable")
        ranked = np.take_along_axis(self.table, order, axis=1)
        same = ranked[:, 1:] == ranked[:, :-1]
        alone = ranked >= 0
        alone[:, 1:] &= ~same
        alone[:, :-1] &= ~same
        by_tap = np.empty_like(alone)
        np.put_along_axis(by_tap, order, alone, axis=1)
        return by_tap

    @cached_property
    def lone(self) -> tuple[Int[np.ndarray, " alone"], Int[np.ndarray, " taps"]]:
        """The outputs that read by one tap alone, tap after tap, and how many each tap has."""
        return np.nonzero(self.alone.T)[1], self.alone.sum(axis=0)

    @cached_property
    def _eigen(self) -> tuple[Float[np.ndarray, " taps"], Float[np.ndarray, "taps taps"]]:
        values, vectors = np.linalg.eigh(self.gram.astype(np.float64))
        # G holds small whole numbers, so its eigenvalues are 0 or far from it.
        small = 2 * DOUBLE * len(values) * values.max(initial=1)
        values[values < small] = 0
        return values, vectors

    @cached_property
    def overlap(self) -> bool:
        """Whether some output reads one pixel through several taps."""
        return len(self.reached) < int(self.counts.sum())

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

    @cached_property
    def reached(self) -> AxisSupport:
        """Which output reads which pixel."""
        keys = np.arange(len(self.table))[:, None] * self.pixels + self.table
        return AxisSupport.of_keys(
            len(self.table), self.pixels, occurring(keys[self.table >= 0])[0]
        )

    def shares(self, support: AxisSupport) -> bool:
        """Return whether fewer weights are used than pairs are read: else any would do.

        By a stride so large that windows never meet, every matrix with the same zeros would be a
        convolution. A tap that reads, all by itself, what is not read, has no weight. Where just
        one output or one pixel is in use there is nothing to share.
        """
        lone = self.alone.any(axis=0)
        first = self.alone.argmax(axis=0)[lone], np.flatnonzero(lone)
        used = np.count_nonzero(support.number(first[0], self.table[first]) >= 0)
        return not support.shareable or bool(used < len(support))

    def explains(
        self, support: AxisSupport, fibres: Num[np.ndarray, "fibres pairs"], tolerance: float
    ) -> bool:
        """Return whether arrays with this support are sums of taps, each read where it is alone.

        What an output reads through one tap must be equal exactly, sums of taps up to `tolerance`.
        """
        reached, alone = self.reached, self.alone
        if (reached.number(support.output, support.pixel) < 0).any():
            return False
        # On the pixels that are reached; those that are not read hold 0.
        rest = np.zeros((len(fibres), len(reached)), dtype=fibres.dtype)
        rest[:, reached.number(support.output, support.pixel)] = fibres
        number = reached.number(np.arange(len(self.table))[:, None], self.table)
        first = number[alone.argmax(axis=0), np.arange(number.shape[1])]
        weights = rest[:, first]
        if ((rest[:, number] != weights[:, None, :]) & alone).any():
            return False
        if not self.overlap:
            return True
        for tap in np.flatnonzero(alone.any(axis=0)):
            at = number[number[:, tap] >= 0, tap]
            rest[:, at] -= weights[:, tap, None]
        return bool((np.abs(rest) <= tolerance).all())
