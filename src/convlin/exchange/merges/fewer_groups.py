"""A kernel of many groups as one of fewer: zero wherever the groups that join were apart."""

from __future__ import annotations

from typing import Any

from array_api_compat import device
from jaxtyping import Shaped

from convlin.exchange.array_functions import array_namespace

__all__ = ["in_fewer_groups"]


def in_fewer_groups(
    weight: Shaped[Any, "o c *kernel"], groups: int, fewer: int
) -> Shaped[Any, "o c*groups/fewer *kernel"]:
    """Return the weight of the same convolution in `fewer` groups, a divisor of `groups`.

    >>> import numpy as np
    >>> in_fewer_groups(np.array([[1, 2], [3, 4]]), groups=2, fewer=1)
    array([[1, 2, 0, 0],
           [0, 0, 3, 4]])
    """
    xp = array_namespace(weight)
    if groups == fewer:
        return weight
    (outputs, inputs, *kernel), joined = weight.shape, groups // fewer
    # Output group a of those that join reads input group a alone: a row of the identity.
    apart = xp.eye(joined, dtype=weight.dtype, device=device(weight))
    parts = xp.reshape(weight, (fewer, joined, outputs // groups, 1, inputs, -1))
    blocks = parts * xp.reshape(apart, (1, joined, 1, joined, 1, 1))
    return xp.reshape(blocks, (outputs, joined * inputs, *kernel))
