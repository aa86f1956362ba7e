"""Lesson 6, first part: shift the image, and the convolution's output shifts.

With one kernel k for all positions and x' = x moved by one, where neither leaves the image::

    y'[p] = Σ_t k[t]·x'[p + t] = Σ_t k[t]·x[p + t - 1] = y[p - 1]

*Equivariant*, not invariant: the output moves, it does not stay. A stride keeps only every so many
of the p, and padding reads zeros where the moved image has lost its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from convlin.teach.example import Example, article_example
from convlin.teach.numbers.dial import dial

__all__ = ["Agreement", "Shift", "Shifts", "shifts"]

STRIDE, PADDING = 2, 1


@dataclass(frozen=True)
class Agreement:
    """How many numbers are exactly equal, of how many compared."""

    equal: int
    of: int

    @classmethod
    def between(
        cls, one: Float[np.ndarray, "*shape"], other: Float[np.ndarray, "*shape"]
    ) -> Agreement:
        """Compare number by number."""
        return cls(int(np.count_nonzero(one == other)), one.size)

    @property
    def complete(self) -> bool:
        """Whether all are."""
        return self.equal == self.of

    def __str__(self) -> str:
        return f"{self.equal} of {self.of}"


@dataclass(frozen=True, eq=False)
class Shift:
    """An image, the same moved to the right by some pixels, and the outputs of one layer on both.

    What comes in on the left is 0. compared: the moved image's outputs with the first image's,
    for each number of columns that the latter may be moved, where both exist: 0 is invariance.
    """

    by: int
    image: Float[np.ndarray, "h w"]
    moved: Float[np.ndarray, "h w"]
    outputs: Float[np.ndarray, "oh ow"]
    after: Float[np.ndarray, "oh ow"]
    compared: dict[int, Agreement]

    @property
    def follows(self) -> int | None:
        """By how many columns the output moved; None where no number explains all outputs."""
        return next((move for move, found in self.compared.items() if found.complete), None)

    def differing(self, move: int) -> list[tuple[int, int]]:
        """Return where, from 0, the moved image's outputs are not the first's moved by `move`."""
        one, other = _overlap(self.outputs, self.after, move)
        return [(y, x + max(move, 0)) for y, x in np.argwhere(one != other).tolist()]


@dataclass(frozen=True)
class Shifts:
    """The article's example, moved: without more, with stride 2, padded, and fully connected.

    strided, strided_twice: moved by one pixel, and by two. connected: the FC layer that was the
    convolution, after one step of training (`dial`).
    """

    stride: int
    padding: int
    plain: Shift
    strided: Shift
    strided_twice: Shift
    padded: Shift
    connected: Shift


def shifts() -> Shifts:
    """Compute the first part.

    >>> found = shifts()
    >>> found.plain.follows, found.strided.follows, found.strided_twice.follows
    (1, None, 1)
    >>> print(found.plain.compared[1], found.connected.compared[1])
    12 of 12 0 of 12
    """
    example = article_example()
    strided = replace(example, stride=(STRIDE, STRIDE))
    padded = replace(example, padding=(PADDING, PADDING))
    trained = np.array(dial(example).positions[-1].after)
    moved = _moved(example.image, 1)
    after = (trained @ moved.ravel()).reshape(example.outputs.shape)
    before = (trained @ example.image.ravel()).reshape(example.outputs.shape)
    return Shifts(
        STRIDE,
        PADDING,
        plain=_shift(example, 1),
        strided=_shift(strided, 1),
        strided_twice=_shift(strided, STRIDE),
        padded=_shift(padded, 1),
        connected=Shift(1, example.image, moved, before, after, _compared(before, after)),
    )


def _shift(example: Example, by: int) -> Shift:
    moved = _moved(example.image, by)
    one, other = example.outputs, replace(example, image=moved).outputs
    return Shift(by, example.image, moved, one, other, _compared(one, other))


def _moved(image: Float[np.ndarray, "h w"], by: int) -> Float[np.ndarray, "h w"]:
    """Return the image moved to the right; zeros come in, and what goes out is gone."""
    moved = np.zeros_like(image)
    moved[:, by:] = image[:, :-by]
    return moved


def _compared(
    one: Float[np.ndarray, "oh ow"], other: Float[np.ndarray, "oh ow"]
) -> dict[int, Agreement]:
    return {
        move: Agreement.between(*_overlap(one, other, move))
        for move in range(1 - one.shape[1], one.shape[1])
    }


def _overlap(
    one: Float[np.ndarray, "oh ow"], other: Float[np.ndarray, "oh ow"], move: int
) -> tuple[Float[np.ndarray, "oh n"], Float[np.ndarray, "oh n"]]:
    """Return one output, moved to the right by so many columns, and the other, where both exist."""
    width = one.shape[1]
    return one[:, max(-move, 0) : width - max(move, 0)], other[
        :, max(move, 0) : width + min(move, 0)
    ]
