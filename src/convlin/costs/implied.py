"""The zero padding that a layer with code of its own must have put on.

A subclass of a convolution may pad before it calls the convolution, and nothing but its code says
how. Two numbers can be seen from outside: the size of its output, and how many (output, tap) pairs
read an input (run it on ones, with ones for weights, and sum). Any zero padding that gives both
gives the same costs, since with zeros the true multiply-adds and the stored entries are that sum.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

from convlin.geometry import ConvGeometry

__all__ = ["implied"]


def implied(
    geometry: ConvGeometry, input_size: tuple[int, ...], output_size: tuple[int, ...], reads: int
) -> ConvGeometry | None:
    """Return this geometry with a zero padding that gives this output size and `reads`, if any.

    `reads` counts the pairs of an output and a tap, over all dimensions and one pair of channels,
    that read an input.

    >>> implied(ConvGeometry(1, 1, kernel=(3,), stride=2), (6,), (3,), reads=8).padding
    ((0, 1),)
    """
    if geometry.transposed:
        return None
    paddings = [_choices(geometry, dim, n, output_size[dim]) for dim, n in enumerate(input_size)]
    for counts in itertools.product(*paddings):
        if math.prod(counts) == reads:
            pairs = tuple(choices[count] for choices, count in zip(paddings, counts, strict=True))
            return replace(geometry, padding=pairs, padding_mode="zeros")
    return None


def _choices(geometry: ConvGeometry, dim: int, n: int, outputs: int) -> dict[int, tuple[int, int]]:
    """Return paddings (before, after) of one dimension that fit, by what is read with them."""
    extent = geometry.extent[dim]
    choices: dict[int, tuple[int, int]] = {}
    for before, after in itertools.product(range(extent), repeat=2):
        sides = tuple((before, after) if d == dim else (0, 0) for d in range(geometry.ndim))
        padded = replace(geometry, padding=sides, padding_mode="zeros")
        if padded.output_length(dim, n) == outputs:
            choices.setdefault(padded.reading_pairs(dim, n), (before, after))
    return choices
