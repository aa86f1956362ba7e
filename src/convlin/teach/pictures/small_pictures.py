"""Three small pictures that ship: digits, a drawn scene, noise. 0 is dark and 9 is bright.

The digits are four of those that the demo's classifier never saw: from the UCI set of
handwritten digits, as `convlin/demo/data/ATTRIBUTION.md` says.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from convlin.demo.sheet import held_out_digits

__all__ = ["PICTURES"]

BRIGHTEST = 9  # one digit a pixel, in a terminal too
# Which of the held-out ones, two by two: 3, 4, 5 and 0, easily read at eight pixels a side.
WRITTEN = ((30, 29), (59, 56))
SIDE = 28
NOISE = 12, 12


def _digits() -> Int[np.ndarray, "16 16"]:
    """Return four held-out digits, ink of 0 to 16 scaled to 0 to 9."""
    images, _ = held_out_digits()
    ink: Int[np.ndarray, "16 16"] = np.block([[images[at] for at in row] for row in WRITTEN])
    return (ink.astype(int) * BRIGHTEST + 8) // 16


def _scene() -> Int[np.ndarray, "28 28"]:
    """Draw a slope under a sky with a sun, a house with a door and a window, and a fence.

    Flat colours, a circle, level, upright and slanting edges: each kernel finds its own.
    """
    y, x = np.indices((SIDE, SIDE))
    picture = np.full((SIDE, SIDE), 5)
    picture[(y - 6) ** 2 + (x - 21) ** 2 <= 16] = 9  # the sun
    ground = 4 * y + x  # the same along a slope of one up for four across
    picture[ground >= 108] = 2
    picture[(y >= 14) & (y <= 25) & (x >= 3) & (x <= 13)] = 7  # the house
    picture[(y >= 8) & (y <= 13) & (abs(x - 8) <= y - 7)] = 1  # its roof
    picture[(y >= 20) & (y <= 25) & (x >= 9) & (x <= 11)] = 0  # its door
    picture[(y >= 17) & (y <= 19) & (x >= 5) & (x <= 7)] = 9  # its window
    posts = (x % 3 == 0) & (ground >= 88) & (ground <= 110)
    picture[(x >= 15) & (posts | (abs(ground - 98) <= 2))] = 8  # the fence
    return picture


def _noise() -> Int[np.ndarray, "12 12"]:
    """Draw every pixel by itself, all brightnesses equally likely: nothing for a kernel to find.

    A fixed linear congruence (Knuth's MMIX), its upper bits: the same on every machine.
    """
    state, drawn = 1, []
    for _ in range(NOISE[0] * NOISE[1]):
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        drawn.append((state >> 32) * (BRIGHTEST + 1) >> 32)
    return np.array(drawn).reshape(NOISE)


PICTURES = {"digits": _digits(), "scene": _scene(), "noise": _noise()}
for _picture in PICTURES.values():
    _picture.setflags(write=False)
