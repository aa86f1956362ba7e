"""Other weights of one fully connected output that leave it still on the image shown.

::

    Σ (w + a·d)·x = Σ w·x    for every a, where Σ d·x = 0

`w` is the output's row of the convolution's matrix: what the fully connected layer would have to
hold to be this convolution. One equation leaves all but one direction free; the page walks along
one of them, which moves every weight it can: freely where the pixel is 0, and elsewhere two at
a time, so that they cancel. All of it in whole numbers, so the output is still *exactly*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from convlin.matrix import ConvMatrix
from convlin.teach.scenes.decimals import SCALE, plain

__all__ = ["STEP", "Neuron", "still"]

# Parts to the unit of a direction: numbers of a link have seven digits at most, which divided by
# 10⁶ are whole parts; with fewer, the direction of two such would be 0. More are only longer
# numbers.
STEP = 10**6


def still(image: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return a direction d with Σ d·image = 0 exactly, in parts of `STEP`, of numbers below 10.

    >>> (still(np.array([3, 0, 6, 0, 5])) // STEP).tolist()
    [2, 1, -1, -1, 0]
    """
    direction = np.zeros(len(image), dtype=np.int64)
    blank = np.flatnonzero(image == 0)
    direction[blank[::2]], direction[blank[1::2]] = STEP, -STEP
    lit = np.flatnonzero(image)
    first, second = lit[: len(lit) // 2 * 2 : 2], lit[1::2]
    # Of a pair, d₁·x₁ + d₂·x₂ = 0 for d = (x₂, -x₁), divided by what x₁ and x₂ have in common and
    # by the power of ten that leaves one digit before the point.
    common = np.gcd(image[first], image[second])
    one, other = image[second] // common, -image[first] // common
    digits = np.char.str_len(np.maximum(abs(one), abs(other)).astype(str))
    unit = STEP // 10 ** (digits - 1)
    direction[first], direction[second] = one * unit, other * unit
    return direction


@dataclass(frozen=True, eq=False)
class Neuron:
    """One output of the fully connected layer: its weights, and those `along` the direction.

    matrix: the convolution, its weights whole thousandths, as image and `along` are.
    """

    matrix: ConvMatrix
    image: Int[np.ndarray, "c h w"]
    row: int
    along: int

    @property
    def base(self) -> Int[np.ndarray, " n"]:
        """The layer's own weights, in thousandths: a row of the matrix."""
        weights = np.zeros(self.image.shape, dtype=np.int64)
        for wire in self.matrix.wires(self.row):  # padding may bring one pixel by several taps
            weights[wire.input] += wire.weight
        return weights.ravel()

    def as_dict(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        pixels, base = self.image.ravel(), self.base
        move = self.along * still(pixels)
        weights = (base * STEP + move).tolist()
        return {
            "row": self.row,
            "base": plain(base.tolist(), SCALE),
            "weights": plain(weights, SCALE * STEP),
        }
