"""The article's example: a 6×6 image, a 3×3 kernel, the 4×4 output; and one of its 1×1 parts."""

import numpy as np

IMAGE = np.array(
    [
        [1, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 1, 0],
        [0, 0, 1, 1, 0, 0],
        [1, 0, 0, 0, 1, 0],
        [0, 1, 0, 0, 1, 0],
        [0, 0, 1, 0, 1, 0],
    ]
)
KERNEL = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
OUTPUT = [[3, -1, -3, -1], [-3, 1, 0, -3], [-3, -3, 0, 1], [3, -2, -2, -1]]

# Its parts on 1×1 convolutions name sizes alone: these are the numbers that fill them.
MAP = np.array(
    [
        [[1, 0, 2], [0, 3, 1], [2, 1, 0]],
        [[0, 2, 1], [1, 0, 0], [3, 1, 2]],
        [[2, 1, 0], [0, 1, 3], [1, 0, 1]],
    ]
)
MIXING = np.array([[1, -2, 3], [2, 1, -1]])
RAISING = np.array([[1, 0, 2], [-1, 1, 0], [0, 2, -1], [1, -1, 1]])
