"""A certified upper bound of the norm ‖A‖₂ of a convolution's matrix, at any geometry.

The smaller of two, each with the rounding of its own computation added::

    ‖A‖₂ ≤ √repeats · ‖C‖₂       C the circular convolution that contains A (`circular.py`)
    ‖A‖₂ ≤ √(‖A‖₁ · ‖A‖∞)        the largest column and row sum of |A|

The first is missing where reflected or replicated padding is read. Sums of |A| are products of
ones with the convolution of |w|; where padding repeats pixels, taps of both signs may meet in one
entry, and these sums are only larger. The norm of the flattened kernel is no bound at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from convlin.geometry import ConvGeometry
from convlin.matrix.correlate import adjoint, forward
from convlin.numerics.roundoff import DOUBLE
from convlin.spectrum.circular import circular
from convlin.spectrum.frequencies import frequency_error, frequency_values
from convlin.spectrum.near_one import near_one

__all__ = ["bound_near_one", "norm_bound", "sums_bound"]


def norm_bound(
    geometry: ConvGeometry,
    weight: Shaped[np.ndarray, "a b *kernel"],
    input_size: Sequence[int],
) -> float:
    """Return a number that ‖A(w)‖₂ does not exceed, in exact arithmetic, for weights in float64.

    `weight` has `geometry.weight_shape`, real or complex; `input_size` is in pixels. Raises
    `GeometryError` where the input is too small, `Refused` for weights that are not finite. Takes
    one small singular value decomposition per frequency.

    >>> geometry = ConvGeometry(1, 1, kernel=(3,), padding=1)
    >>> weight = np.array([[[1.0, 2.0, 4.0]]])
    >>> float(round(norm_bound(geometry, weight, (2,)), 6))
    6.0
    >>> from convlin.matrix import dense
    >>> float(round(np.linalg.norm(dense(geometry, weight, (2,)), 2), 6))
    5.0
    """
    weight, scale = near_one(geometry, weight, input_size)
    return scale.above(bound_near_one(geometry, weight, input_size))


def bound_near_one(
    geometry: ConvGeometry,
    weight: Shaped[np.ndarray, "a b *kernel"],
    input_size: Sequence[int],
) -> float:
    """Return `norm_bound` of weights as `near_one` returns them."""
    bound = sums_bound(geometry, weight, input_size)
    circle = circular(geometry, input_size)
    if circle is None:
        return bound
    largest = float(frequency_values(geometry, weight, circle)[0])
    largest += frequency_error(geometry, weight, circle)  # with room for these four roundings
    return min(bound, math.sqrt(circle.repeats) * largest)


def sums_bound(
    geometry: ConvGeometry,
    weight: Shaped[np.ndarray, "a b *kernel"],
    input_size: Sequence[int],
) -> float:
    """Return √(‖A‖₁·‖A‖∞) or more, for weights as `near_one` returns them.

    Sums of positive numbers are off by γ of the most additions that one number goes through
    (Higham, "Accuracy and Stability of Numerical Algorithms", section 4.2): over channels, over
    taps, and over the padding that folds back. Two roots, a product and |w| are eight more. The
    true sum is at most the computed one over 1 - γₙ, which is more than 1 - 2·n·u.
    """
    sizes, outputs = np.abs(weight), geometry.output_size(input_size)
    inputs = np.ones((geometry.in_channels * math.prod(input_size), 1))
    rows = forward(geometry, sizes, inputs, tuple(input_size))
    cells = np.ones((geometry.out_channels * math.prod(outputs), 1))
    columns = adjoint(geometry, sizes, cells, tuple(input_size))
    channels = max(geometry.in_channels, geometry.out_channels) // geometry.groups
    additions = channels + geometry.taps + sum(map(sum, geometry.padding)) + 8
    bound = math.sqrt(float(rows.max())) * math.sqrt(float(columns.max()))
    return bound / (1 - 2 * additions * DOUBLE)
