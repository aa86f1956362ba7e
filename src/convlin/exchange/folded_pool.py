"""An average adaptive pool folded into the kernel behind it: the weight map.

Pooling n cells to o averages the cells [⌊a·n/o⌋, ⌈(a+1)·n/o⌉) into pooled cell a, for any o and n,
o > n included. That is a matrix P (o × n) per dimension, so a full-size kernel W on the pooled map
equals the kernel

    K[O, C, i, j] = Σ_a Σ_b  W[O, C, a, b] · P[a, i] · P[b, j]

on the map itself. It holds over the reals; in floating point the sums run in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from array_api_compat import array_namespace, device
from jaxtyping import Float

__all__ = ["fold", "regions", "roundings", "weights"]


def regions(cells: int, pooled: int) -> list[tuple[int, int]]:
    """Return the cells [start, stop) that each pooled cell averages.

    >>> regions(5, 3)
    [(0, 2), (1, 4), (3, 5)]
    """
    return [(a * cells // pooled, -((-(a + 1) * cells) // pooled)) for a in range(pooled)]


def weights(cells: int, pooled: int) -> list[list[float]]:
    """Return the matrix (pooled × cells) of the pool along one dimension.

    >>> weights(3, 2)
    [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    """
    return [
        [1 / (stop - start) if start <= i < stop else 0.0 for i in range(cells)]
        for start, stop in regions(cells, pooled)
    ]


def roundings(pooled: Sequence[int]) -> int:
    """Return n such that a kernel folded in floating point is within γₙ·fold(|W|) of the exact one.

    Each dimension sums at most as many products as there are pooled cells, one rounding each, by
    the pool's weights, which were rounded twice (Higham, "Accuracy and Stability of Numerical
    Algorithms", 2nd ed., lemma 3.1 and section 3.5).

    >>> roundings((6, 5))
    15
    """
    return sum(cells + 2 for cells in pooled)


def fold(kernel: Float[Any, "o c *pooled"], size: Sequence[int]) -> Float[Any, "o c *size"]:
    """Return the kernel on a map of `size` that equals `kernel` behind the pool."""
    xp = array_namespace(kernel)
    for axis, cells in enumerate(size, 2):
        pool = xp.asarray(
            weights(cells, kernel.shape[axis]), dtype=kernel.dtype, device=device(kernel)
        )
        kernel = xp.moveaxis(xp.tensordot(kernel, pool, axes=([axis], [0])), -1, axis)
    return kernel
