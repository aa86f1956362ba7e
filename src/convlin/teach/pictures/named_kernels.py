"""Kernels that have a name, in whole numbers, so that every sum can be checked by hand."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from convlin.teach.article_examples import KERNEL

__all__ = ["KERNELS"]


def _kernel(*rows: tuple[int, ...]) -> Int[np.ndarray, "kh kw"]:
    kernel = np.array(rows)
    kernel.setflags(write=False)
    return kernel


KERNELS = {
    "article": _kernel(*KERNEL),
    # Sobel's: positive where it gets brighter downwards, 0 on even ground, whatever its brightness.
    "edge": _kernel((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    # The binomial one. Its mean would be a sixteenth of it, and no whole number.
    "blur": _kernel((1, 2, 1), (2, 4, 2), (1, 2, 1)),
    # The pixel, and what it is more than its four neighbours: even ground stays as it is.
    "sharpen": _kernel((0, -1, 0), (-1, 5, -1), (0, -1, 0)),
}
