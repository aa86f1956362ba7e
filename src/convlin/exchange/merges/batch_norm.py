"""Batch normalisation by running statistics is a scale and a shift a channel.

::

    y[c] = (x[c] - mean[c]) / √(variance[c] + ε) · γ[c] + β[c] = scale[c] · x[c] + shift[c]
    scale = γ / √(variance + ε)        shift = β - mean · scale

As a convolution it is depthwise and of kernel 1. Its scale is no polynomial of γ, the mean and the
variance, but what follows is one of scale and shift: identities hold with these as variables.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float

from convlin.exchange.array_functions import array_namespace

__all__ = ["scale_and_shift"]


def scale_and_shift(
    mean: Float[Any, " c"],
    variance: Float[Any, " c"],
    epsilon: float,
    gamma: Float[Any, " c"] | None = None,
    beta: Float[Any, " c"] | None = None,
) -> tuple[Float[Any, " c"], Float[Any, " c"]]:
    """Return scale and shift, in the dtype of what is given; no γ is 1, no β is 0.

    >>> import numpy as np
    >>> scale_and_shift(np.array([3.0]), np.array([15.0]), 1.0, np.array([8.0]), np.array([1.0]))
    (array([2.]), array([-5.]))
    """
    scale = (1 if gamma is None else gamma) / array_namespace(variance).sqrt(variance + epsilon)
    return scale, (0 if beta is None else beta) - mean * scale
