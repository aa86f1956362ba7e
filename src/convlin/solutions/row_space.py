"""Rank and row space of many design matrices, and how sure the rank is.

By singular values in float64: σ counts as 0 if σ ≤ max(shape)·ε·σ_max, which is where rounding
puts a true 0. Tall matrices are first reduced to a triangle by QR, a part of the rows at a time:
that keeps σ and the row space, and never squares the condition as a Gram matrix would.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from convlin.numerics.roundoff import DOUBLE

__all__ = ["RowSpaces", "row_spaces"]


@dataclass(frozen=True, eq=False, repr=False)
class RowSpaces:
    """Of each block: its rank, and orthonormal rows, of which the first `rank` span its row space.

    `smallest` and `uncounted`: the smallest singular value that counts and the largest that does
    not, as fractions of `largest`; inf and 0 where there is none. `tolerance`: up to where they
    are 0, also as a fraction.
    """

    ranks: Int[np.ndarray, " blocks"]
    rows: Float[np.ndarray, "blocks most unknowns"]
    smallest: Float[np.ndarray, " blocks"]
    uncounted: Float[np.ndarray, " blocks"]
    largest: Float[np.ndarray, " blocks"]
    tolerance: float

    def __repr__(self) -> str:
        blocks, _, unknowns = self.rows.shape
        ranks = f"ranks {self.ranks.min()} to {self.ranks.max()}"
        return f"<RowSpaces: {blocks} blocks of {unknowns} unknowns, {ranks}>"

    @property
    def leak(self) -> Float[np.ndarray, " blocks"]:
        """How long U·z may be for a free z of norm 1, as a fraction of `largest`: by rounding."""
        return self.tolerance + self.uncounted

    @property
    def complete(self) -> bool:
        """Whether every singular value counts."""
        return bool((self.ranks == self.rows.shape[1]).all())


def row_spaces(designs: Iterable[Float[np.ndarray, "blocks some unknowns"]]) -> RowSpaces:
    """Return rank and row space of each block, whose rows come a part at a time.

    >>> spaces = row_spaces([np.array([[[3.0, 4.0]]]), np.array([[[6.0, 8.0]]])])
    >>> spaces.ranks, abs(spaces.rows[0, 0]).round(3)
    (array([1]), array([0.6, 0.8]))
    """
    count = 0
    reduced: np.ndarray | None = None
    for part in designs:
        count += part.shape[1]
        reduced = part if reduced is None else np.concatenate([reduced, part], axis=1)
        if reduced.shape[1] > reduced.shape[2]:
            reduced = np.asarray(np.linalg.qr(reduced, mode="r"))
    if reduced is None:
        raise ValueError("row_spaces needs at least one part")
    _, sigma, rows = np.linalg.svd(reduced, full_matrices=False)
    largest = sigma[:, :1]
    tolerance = 2 * DOUBLE * max(count, reduced.shape[2])
    counts = sigma > tolerance * largest
    with np.errstate(invalid="ignore"):
        fraction = np.where(largest > 0, sigma / largest, 0.0)
    return RowSpaces(
        counts.sum(axis=1),
        rows,
        np.where(counts, fraction, np.inf).min(axis=1),
        np.where(counts, 0.0, fraction).max(axis=1),
        largest[:, 0],
        tolerance,
    )
