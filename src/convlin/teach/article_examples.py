"""The article's examples, for lessons and views alike, written down in one place."""

from __future__ import annotations

import numpy as np

__all__ = ["IMAGE", "KERNEL", "MAP", "MIXING", "RAISING"]

# Parts 1 and 2: an image of one channel and a kernel.
IMAGE = (
    (1, 0, 0, 0, 0, 1),
    (0, 1, 0, 0, 1, 0),
    (0, 0, 1, 1, 0, 0),
    (1, 0, 0, 0, 1, 0),
    (0, 1, 0, 0, 1, 0),
    (0, 0, 1, 0, 1, 0),
)
KERNEL = ((1, -1, -1), (-1, 1, -1), (-1, -1, 1))

# Parts 3 to 5 name sizes alone; these are numbers to compute with, no two rows, columns or channels
# alike: a 3×3 map of three channels, and the kernels of 1×1 convolutions to two and to four.
MAP = np.array(
    [
        [[1, 0, 2], [0, 3, 1], [2, 1, 0]],
        [[0, 2, 1], [1, 0, 0], [3, 1, 2]],
        [[2, 1, 0], [0, 1, 3], [1, 0, 1]],
    ]
)
MIXING = np.array([[1, -2, 3], [2, 1, -1]])
RAISING = np.array([[1, 0, 2], [-1, 1, 0], [0, 2, -1], [1, -1, 1]])
