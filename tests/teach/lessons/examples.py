"""Examples that are hard to tell: strided, dark, on padding alone, decimal, large."""

from dataclasses import replace

import numpy as np

from convlin.teach.example import Example, article_example


def integers(seed, *shape):
    return np.random.default_rng(seed).integers(-5, 9, shape).astype(float)


EXAMPLES = {
    "article": article_example,
    "strided": lambda: Example(integers(0, 7, 5), integers(1, 2, 3), (2, 1), (1, 2), (3, 1)),
    "last-output": lambda: replace(article_example(), stride=(3, 3), padding=(1, 1)),
    "one-pixel": lambda: Example(np.array([[5.0]]), np.array([[2.0]])),
    "dark": lambda: Example(np.zeros((3, 4)), integers(2, 2, 3)),
    "only-padding": lambda: Example(np.array([[3.0]]), integers(3, 2, 2), (4, 4), (2, 2)),
    "whole": lambda: Example(integers(4, 3, 2), integers(5, 3, 2)),
    "decimal": lambda: Example(integers(6, 4, 6) / 7, integers(7, 2, 4) / 3),
    "large": lambda: Example(integers(8, 14, 17) * 100, integers(9, 9, 8), (2, 2), (3, 3)),
}
