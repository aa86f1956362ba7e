"""The open question as a bench: which weights of one output are free, and what takes freedom away.

A fully connected output is Σ w·x over all pixels x. Dark pixels ask nothing of their weights; the
others have one equation for all of them. Every further image is an equation more, and takes one
freedom if it is no combination of those before it: ranks, counted exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import gcd

import numpy as np
from jaxtyping import Int, Num

from convlin.teach.example import Example

__all__ = [
    "MOST_TAPS",
    "Bench",
    "Equation",
    "bench",
    "freedom_by_images",
    "freedom_by_windows",
    "images_that_count",
    "other_whole",
]

# Taps of a kernel whose windows are ranked exactly: their numbers grow with every step. Of pixels
# with 15 decimals 81 take two seconds and 121 take ten; of whole ones, 81 a third of a second.
MOST_TAPS = 81
# What dark pixels get as other weights, by turns.
ON_DARK = 5, -2, 4, 7, -3, 6, -4


@dataclass(frozen=True)
class Equation:
    """Σ pixel · weight = value over lit pixels: (number of the pixel, from 1; the pixel itself).

    >>> print(Equation(((1, 1.0), (8, 2.0)), 3.0))
    w1 + 2·w8 = 3
    """

    terms: tuple[tuple[int, float], ...]
    value: float

    def __str__(self) -> str:
        """Write it, pixels in the order of their numbers; 0 where none is lit."""
        terms = []
        for number, pixel in self.terms:
            factor = "" if abs(pixel) == 1 else f"{abs(pixel):.6g}·"
            terms.append(f"{'-' if pixel < 0 else '+'} {factor}w{number}")
        text = " ".join(terms).removeprefix("+ ")
        if text.startswith("- "):
            text = f"-{text[2:]}"
        return f"{text or '0'} = {self.value:.6g}"


@dataclass(frozen=True)
class Bench:
    """One output as a fully connected neuron: its weights by what they meet, as numbers from 1.

    neuron: row and column, from 0. coloured: in the window; grey: outside. lit and dark: what the
    pixel is. window: the equation with all grey weights at 0; whole: that of all the weights.
    """

    neuron: tuple[int, int]
    coloured_lit: tuple[int, ...]
    coloured_dark: tuple[int, ...]
    grey_lit: tuple[int, ...]
    grey_dark: tuple[int, ...]
    window: Equation
    whole: Equation

    @property
    def free_coloured(self) -> int:
        """How many freedoms the coloured weights have while the grey ones are 0."""
        return len(self.coloured_lit + self.coloured_dark) - bool(self.coloured_lit)

    @property
    def free(self) -> int:
        """How many all weights have."""
        lit, dark = self.coloured_lit + self.grey_lit, self.coloured_dark + self.grey_dark
        return len(lit + dark) - bool(lit)


def bench(example: Example, neuron: tuple[int, int] | None = None) -> Bench:
    """Put an output on the bench; without one, the one that the lessons follow.

    >>> from convlin.teach.example import article_example
    >>> found = bench(article_example())
    >>> print(found.window)
    w1 + w8 + w15 = 3
    >>> found.coloured_dark, found.free_coloured, found.free
    ((2, 3, 7, 9, 13, 14), 8, 35)
    """
    neuron = example.neuron if neuron is None else neuron
    pixels = example.image.ravel().tolist()
    width = example.image.shape[1]
    window = {y * width + x + 1 for y, x in example.wires(neuron)}
    lit = {number for number, pixel in enumerate(pixels, start=1) if pixel}
    every, value = set(range(1, len(pixels) + 1)), float(example.outputs[neuron])

    def equation(numbers: set[int]) -> Equation:
        return Equation(tuple((number, pixels[number - 1]) for number in sorted(numbers)), value)

    return Bench(
        neuron,
        coloured_lit=tuple(sorted(window & lit)),
        coloured_dark=tuple(sorted(window - lit)),
        grey_lit=tuple(sorted(lit - window)),
        grey_dark=tuple(sorted(every - window - lit)),
        window=equation(window & lit),
        whole=equation(lit),
    )


def images_that_count(image: Num[np.ndarray, "h w"]) -> list[int]:
    """Return which pixels, from 0, to light alone after the image: each image tells something new.

    All but the last that is lit: the image and those before it already tell its weight.
    """
    lit = np.flatnonzero(image).tolist()
    return [pixel for pixel in range(image.size) if pixel not in lit[-1:]]


def freedom_by_images(image: Num[np.ndarray, "h w"]) -> list[int]:
    """Return what one image leaves free of a neuron, and then each further one with one lit pixel.

    >>> freedom_by_images(np.array([[0, 2, 1], [0, 0, 3]]))
    [5, 4, 3, 2, 1, 0]
    """
    lights = ({pixel: 1} for pixel in images_that_count(image))
    return _freedom([_whole(image.ravel()), *lights], image.size)


def freedom_by_windows(example: Example) -> list[int] | None:
    """Return the freedom of the kernel after its first window on this image, its second, and so on.

    None where the kernel has more than `MOST_TAPS` taps.

    >>> from convlin.teach.example import article_example
    >>> freedom_by_windows(article_example())[:10]
    [8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    """
    taps = example.kernel.size
    return None if taps > MOST_TAPS else _freedom(_windows(example), taps)


def other_whole(example: Example) -> Int[np.ndarray, "h w"] | None:
    """Return other whole weights of `example.neuron` with exactly its output on this image.

    Small ones where there are: the value on one lit pixel, 0 on the others, and no dark pixel
    without a weight. None where image or kernel has decimals, or no other weights are whole.

    >>> from convlin.teach.example import article_example
    >>> other_whole(article_example())[:3]
    array([[ 3,  5, -2,  4,  7,  0],
           [-3,  0,  6, -4,  0,  5],
           [-2,  4,  0,  0,  7, -3]])
    """
    if not all((a == np.rint(a)).all() for a in (example.image, example.kernel)):
        return None
    pixels = example.image.ravel().astype(int)
    row: np.ndarray = np.zeros(example.image.shape, dtype=int)
    for pixel, (_, weight) in example.wires(example.neuron).items():
        row[pixel] = weight
    own = row.ravel()
    weights = _on_lit(own, pixels)
    dark = np.flatnonzero(pixels == 0)
    turns = np.array(ON_DARK)[np.arange(len(dark)) % len(ON_DARK)]
    # The output's own weight there is to be another: the next of the turns that differs from it.
    weights[dark] = np.where(turns == own[dark], turns + 1, turns)
    if np.array_equal(weights, own):
        return None
    return weights.reshape(example.image.shape)


def _on_lit(own: Int[np.ndarray, " n"], pixels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return weights of the same sum: all of it on one pixel of the window, or moved within two."""
    value = int(own @ pixels)
    weights = np.zeros_like(own)
    lit = np.flatnonzero(pixels)
    for pixel in lit[own[lit] != 0]:
        if value % pixels[pixel] == 0:
            weights[pixel] = value // pixels[pixel]
            break
    changed = not np.array_equal(weights[lit], own[lit])
    if weights @ pixels == value and (changed or len(lit) < len(pixels)):
        return weights
    weights = np.where(pixels, own, 0)
    if len(lit) > 1:  # x₁·w₁ + x₂·w₂ stays when w₁ grows by x₂/g and w₂ falls by x₁/g
        one, other = lit[:2]
        common = gcd(int(pixels[one]), int(pixels[other]))
        weights[one] += pixels[other] // common
        weights[other] -= pixels[one] // common
    return weights


def _windows(example: Example) -> Iterator[dict[int, int]]:
    """Yield what the kernel meets at each output, in reading order: tap → pixel, whole numbers."""
    for output in np.ndindex(*example.matrix.output_size):
        window = np.zeros(example.kernel.size)
        for pixel, (tap, _) in example.wires(output).items():
            window[tap] = example.image[pixel]
        yield _whole(window)


def _whole(values: Num[np.ndarray, " n"]) -> dict[int, int]:
    """Return the nonzero ones, each times the same number, so that all are whole."""
    fractions = {index: Fraction(value) for index, value in enumerate(values.tolist()) if value}
    scale = 1
    for fraction in fractions.values():
        scale = scale * fraction.denominator // gcd(scale, fraction.denominator)
    return {index: int(fraction * scale) for index, fraction in fractions.items()}


def _freedom(equations: Iterable[dict[int, int]], unknowns: int) -> list[int]:
    """Return unknowns minus rank after each equation, by elimination in Python's whole numbers."""
    pivots: dict[int, dict[int, int]] = {}
    free = []
    for equation in equations:
        row = equation if len(pivots) < unknowns else {}
        while row:
            last = max(row)
            if last not in pivots:
                pivots[last] = row
                break
            row = _without(row, pivots[last], last)
        free.append(unknowns - len(pivots))
    return free


def _without(row: dict[int, int], pivot: dict[int, int], at: int) -> dict[int, int]:
    """Return the combination of two equations in which one unknown is gone, as small as it is."""
    one, other = pivot[at], row[at]
    combined = {
        index: value
        for index in row.keys() | pivot.keys()
        if (value := one * row.get(index, 0) - other * pivot.get(index, 0))
    }
    common = gcd(*combined.values())
    return {index: value // common for index, value in combined.items()}
