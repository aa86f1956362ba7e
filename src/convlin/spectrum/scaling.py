"""Weights in double precision and near 1, with the power of two that was taken out.

Singular values are as many times as large. Squares, as in AᴴA, then neither overflow nor vanish,
and no product of the taps that are read is too small for the rounding of the whole. Taps that only
ever fall on padding do nothing, whatever their weight: they become 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from convlin.errors import Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.matrix.taps import sources

__all__ = ["scaled"]


def scaled(
    geometry: ConvGeometry, weight: Shaped[np.ndarray, "a b *kernel"], input_size: Sequence[int]
) -> tuple[Shaped[np.ndarray, "a b *kernel"], float]:
    """Return the weight over a power of two, float64 or complex128, and that power.

    Raises `Refused` for weights that are not finite.

    >>> scaled(ConvGeometry(1, 1, (3,), padding=2), np.array([[[9, 3, 8]]]), (1,))
    (array([[[0.5625, 0.1875, 0.5   ]]]), 16.0)
    >>> scaled(ConvGeometry(1, 1, (3,), padding=1), np.array([[[9, 3, 8]]]), (1,))
    (array([[[0.  , 0.75, 0.  ]]]), 4.0)
    """
    weight = np.asarray(weight)
    weight = weight.astype(np.complex128 if np.iscomplexobj(weight) else np.float64)
    odd = np.argwhere(~np.isfinite(weight))
    if len(odd):
        place = odd[0].tolist()
        value = weight[tuple(place)].item()
        raise Refused(Refusal(geometry.kind, f"weight{place}", value, "a finite number"))
    reading = [(sources(geometry, dim, n) >= 0).any(axis=0) for dim, n in enumerate(input_size)]
    weight = np.where(functools.reduce(np.logical_and.outer, reading), weight, 0)
    _, exponent = math.frexp(max(float(np.abs(part).max()) for part in (weight.real, weight.imag)))
    scale = 2.0 ** min(max(exponent, -1000), 1000)
    return weight / scale, scale
