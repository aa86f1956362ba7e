"""Which whole numbers occur in a long list, and how often.

Counted in a table where one is hardly longer than the list, else sorted: `np.unique` hashes, which
takes ten times as long where most numbers differ.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

__all__ = ["occurring"]

TABLE = 4  # numbers of the table for each of the list: beyond that, sorting takes less memory


def occurring(
    numbers: Int[np.ndarray, " numbers"],
) -> tuple[Int[np.ndarray, " distinct"], Int[np.ndarray, " distinct"]]:
    """Return the numbers that occur, rising, and how often each does.

    >>> [each.tolist() for each in occurring(np.array([7, -2, 7]))]
    [[-2, 7], [1, 2]]
    """
    if not len(numbers):
        return numbers, numbers
    low, high = int(numbers.min()), int(numbers.max())
    if high - low < TABLE * len(numbers):
        counts = np.bincount(numbers - low)
        values = np.flatnonzero(counts)
        return values + low, counts[values]
    ordered = np.sort(numbers)
    starts = np.flatnonzero(np.diff(ordered, prepend=low - 1))
    return ordered[starts], np.diff(starts, append=len(ordered))
