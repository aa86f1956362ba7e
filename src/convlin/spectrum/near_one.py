"""Weights in double precision and near one, with the power of two that was taken out.

Singular values are as many times as large. Taps that only ever fall on padding do nothing, whatever
their weight: they become 0, and hide no small ones.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from convlin.errors import Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.matrix.taps import tables
from convlin.numerics.scaling import Scale

__all__ = ["near_one"]


def near_one(
    geometry: ConvGeometry, weight: Shaped[np.ndarray, "a b *kernel"], input_size: Sequence[int]
) -> tuple[Shaped[np.ndarray, "a b *kernel"], Scale]:
    """Return the weight over a power of two, float64 or complex128, and that power.

    Raises `Refused` for weights that are not finite.

    >>> near_one(ConvGeometry(1, 1, (3,), padding=2), np.array([[[9, 3, 8]]]), (1,))
    (array([[[0.5625, 0.1875, 0.5   ]]]), Scale(exponent=4))
    >>> near_one(ConvGeometry(1, 1, (3,), padding=1), np.array([[[9, 3, 8]]]), (1,))
    (array([[[0.  , 0.75, 0.  ]]]), Scale(exponent=2))
    """
    weight = np.asarray(weight)
    weight = weight.astype(np.complex128 if np.iscomplexobj(weight) else np.float64)
    odd = np.argwhere(~np.isfinite(weight))
    if len(odd):
        at = odd[0].tolist()
        value = weight[tuple(at)].item()
        raise Refused(Refusal(geometry.kind, f"weight{at}", value, "a finite number"))
    reading = [(table >= 0).any(axis=0) for table in tables(geometry, input_size)]
    weight = np.where(functools.reduce(np.logical_and.outer, reading), weight, 0)
    scale = Scale.of(max(float(np.abs(part).max()) for part in (weight.real, weight.imag)))
    return scale.down(weight), scale
