"""Three fully connected layers packed into one: their weights are its rows, one after the other.

::

    (q, k, v) = W · x + b        W = [W_q; W_k; W_v]        b = [b_q; b_k; b_v]

nn.MultiheadAttention holds its projections of query, key and value so. Each is a view of the rows;
packing copies, unless the three still lie one after the other in memory, which only the framework
can say.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

__all__ = ["packed", "unpacked"]


def unpacked(rows: Any, parts: int = 3) -> tuple[Any, ...]:
    """Return the weights (rows, columns), or biases, of layers of one size, as views.

    >>> import numpy as np
    >>> unpacked(np.array([[1, 2], [3, 4], [5, 6]]))[1]
    array([[3, 4]])
    """
    size = rows.shape[0] // parts
    return tuple(rows[part * size : (part + 1) * size, ...] for part in range(parts))


def packed(*parts: Any) -> Any:
    """Return the rows of all of them as one new array: the inverse of `unpacked`."""
    return array_namespace(*parts).concat(parts, axis=0)
