"""The article's example: a 6×6 image, a 3×3 kernel, and the 4×4 output."""

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
