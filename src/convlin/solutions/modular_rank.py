"""The rank of integer matrices modulo a prime, many matrices at once.

A minor that is not 0 modulo p is not 0: the rank modulo p is never above the true rank. It is
below it only if p divides every minor of that size, which for a prime of 31 bits takes bad luck.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Shaped

__all__ = ["PRIME", "rank_modulo"]

PRIME = 2**31 - 1  # products of two residues fit into int64, and so do their differences


def rank_modulo(
    matrices: Shaped[np.ndarray, "blocks rows columns"], prime: int = PRIME
) -> Int[np.ndarray, " blocks"]:
    """Return the rank of each matrix modulo `prime` < 2³¹, by Gaussian elimination.

    `matrices` holds whole numbers, of any dtype. Takes rows·columns·min(rows, columns) steps each.

    >>> rank_modulo(np.array([[[1, 2], [2, 4]], [[1, 2], [3, 4]]]))
    array([1, 2])
    >>> rank_modulo(np.array([[[7, 0], [0, 1]]]), prime=7)        # never above the true rank
    array([1])
    """
    wide = matrices.shape[2] > matrices.shape[1]
    a = np.mod(matrices.swapaxes(1, 2) if wide else matrices, prime).astype(np.int64)
    rank = np.zeros(len(a), dtype=np.int64)
    for column in range(a.shape[2]):
        usable = a[:, :, column] != 0
        blocks = np.flatnonzero(usable.any(axis=1))
        pivot = usable[blocks].argmax(axis=1)
        line = a[blocks, pivot][:, None, :]
        # The line is done with: it becomes 0, the others 0 in this column.
        a[blocks, pivot] = 0
        rest = a[blocks]
        a[blocks] = (rest * line[..., [column]] - rest[..., [column]] * line) % prime
        rank[blocks] += 1
    return rank
