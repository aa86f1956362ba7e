"""Which classes of a score map are highest, and where; without matplotlib, for tables too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["Standing", "standings"]


@dataclass(frozen=True)
class Standing:
    """A class: how many windows it is the highest in, its own highest score, and the cell of it."""

    number: int
    wins: int
    best: float
    cell: tuple[int, int]


def standings(
    scores: Float[np.ndarray, "k h w"], numbers: Sequence[int] | None = None
) -> list[Standing]:
    """Return the classes, from the one highest in most windows down; or these, in their order.

    NaN is below all numbers.

    >>> [(s.number, s.wins, s.best) for s in standings(np.array([[[0.1, 0.2]], [[0.9, 0.8]]]))]
    [(1, 2, 0.9), (0, 0, 0.2)]
    """
    known = np.where(np.isnan(scores), -np.inf, scores)
    scored = known.max(0) > -np.inf
    wins = np.bincount(known.argmax(0)[scored], minlength=len(known))
    flat = known.reshape(len(known), -1)
    best, cells = flat.max(1), flat.argmax(1)
    if numbers is None:
        # Classes that are highest nowhere follow by their best: a sort's last key is its first.
        numbers = np.lexsort((-best, -wins)).tolist()
    return [
        Standing(k, int(wins[k]), float(best[k]), divmod(int(cells[k]), scores.shape[2]))
        for k in numbers
    ]
