"""The image and the kernel that lessons 1 and 2 are told with: the article's, or one's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from convlin.display.numbers import times
from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.layers import unroll
from convlin.matrix import ConvMatrix
from convlin.teach.article_examples import IMAGE, KERNEL

__all__ = ["LONGEST", "Example", "article_example", "telling_output"]

# Pixels a side, and outputs a side: an FC layer then has a million weights. Half refuses the 28×28
# of MNIST, twice computes gradients and energies of 16 million for a minute.
LONGEST = 32
# Of a pixel or a weight: products of 10¹² sum up to 10¹⁵ over all of 32×32, below 2⁵³, where
# float64 has every whole number.
LARGEST = 1e6


@dataclass(frozen=True, eq=False)
class Example:
    """One image of one channel, one kernel, and the convolution that brings them together.

    image: (h, w) and kernel: (kh, kw), float64. Raises `Refused` where they are too large, or do
    not fit each other.

    >>> example = article_example()
    >>> example.matrix
    <16×36 ConvMatrix, 144 stored: Conv2d 1→1 k3 on (6, 6)>
    >>> example.outputs[0]
    array([ 3., -1., -3., -1.])
    """

    image: Float[np.ndarray, "h w"]
    kernel: Float[np.ndarray, "kh kw"]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        for name, values in (("--image", self.image), ("--kernel", self.kernel)):
            _require_moderate(name, values)
        geometry, image = self.geometry, self.image.shape
        if any(n < least for n, least in zip(image, geometry.smallest_input, strict=True)):
            padded = tuple(n + 2 * p for n, p in zip(image, self.padding, strict=True))
            spread = f" with dilation {times(self.dilation)}" * (max(self.dilation) > 1)
            covers = f"it covers {times(geometry.extent)}{spread}"
            raise Refused(
                Refusal("--kernel", "size", Description(times(self.kernel.shape)),
                        f"one that covers at most {times(padded)}, the image with its padding",
                        covers)
            )  # fmt: skip
        outputs = geometry.output_size(image)
        if max(outputs) > LONGEST:
            raise Refused(
                Refusal("--padding", "output size", Description(times(outputs)),
                        f"at most {LONGEST}×{LONGEST}", "the lessons count every wire")
            )  # fmt: skip

    @cached_property
    def geometry(self) -> ConvGeometry:
        """The convolution, one channel to one. Raises `GeometryError` for numbers of none."""
        return ConvGeometry(
            1, 1, self.kernel.shape, self.stride, self.padding, self.dilation
        )  # fmt: skip

    @cached_property
    def conv(self) -> nn.Conv2d:
        """The convolution as a layer in float64, without bias."""
        conv = nn.Conv2d(
            1, 1, (self.kernel.shape[0], self.kernel.shape[1]), self.stride, self.padding,
            self.dilation, bias=False,
            dtype=torch.float64,
        )  # fmt: skip
        conv.weight = nn.Parameter(torch.from_numpy(self.kernel.copy())[None, None])
        return conv

    @cached_property
    def matrix(self) -> ConvMatrix:
        """The matrix of the convolution on this image."""
        return unroll(self.conv, self.image.shape)

    @cached_property
    def outputs(self) -> Float[np.ndarray, "oh ow"]:
        """What the convolution makes of the image."""
        y: np.ndarray = self.matrix @ self.image.ravel()
        return y.reshape(self.matrix.output_size)

    @property
    def own(self) -> Literal["all", "some", "none"]:
        """How much is the reader's: image and kernel, a part of the example, or nothing."""
        image = np.array_equal(self.image, IMAGE)
        kernel = np.array_equal(self.kernel, KERNEL)
        if not (image or kernel):
            return "all"
        steps = (self.stride, self.padding, self.dilation) == ((1, 1), (0, 0), (1, 1))
        return "none" if image and kernel and steps else "some"

    @property
    def pixels(self) -> int:
        """How many pixels the image has."""
        return math.prod(self.image.shape)

    @cached_property
    def neuron(self) -> tuple[int, int]:
        """Row and column, from 0, of the output that the lessons follow."""
        return telling_output(self)

    @cached_property
    def neighbour(self) -> tuple[int, int] | None:
        """An output beside `neuron`: right, below, left or above; None if there is no other."""
        (y, x), (rows, columns) = self.neuron, self.matrix.output_size
        around = ((y, x + 1), (y + 1, x), (y, x - 1), (y - 1, x))
        return next((at for at in around if 0 <= at[0] < rows and 0 <= at[1] < columns), None)

    def wires(self, output: tuple[int, ...]) -> dict[tuple[int, int], tuple[int, float]]:
        """Return what an output reads: pixel (y, x) → number of the tap, and its weight."""
        return {
            (wire.input[1], wire.input[2]): (wire.tap[0] * self.kernel.shape[1] + wire.tap[1],
                                             wire.weight)
            for wire in self.matrix.wires((0, *output))
        }  # fmt: skip


def telling_output(example: Example) -> tuple[int, int]:
    """Return the output with the largest magnitude among those that read most pixels.

    The first of equals: in the middle of a picture, not in its dark corner.

    >>> telling_output(article_example())
    (0, 0)
    """

    def telling(at: tuple[int, ...]) -> tuple[int, float]:
        return len(example.wires(at)), abs(float(example.outputs[at]))

    row, column = max(np.ndindex(*example.matrix.output_size), key=telling)
    return row, column


def article_example() -> Example:
    """Return the article's: a 6×6 image, a 3×3 kernel."""
    return Example(np.array(IMAGE, float), np.array(KERNEL, float))


def _require_moderate(name: str, values: np.ndarray) -> None:
    if not values.size or max(values.shape) > LONGEST:
        raise Refused(
            Refusal(name, "size", Description(times(values.shape)), f"1×1 to {LONGEST}×{LONGEST}",
                    "the lessons count every wire")
        )  # fmt: skip
    if not (np.abs(values) <= LARGEST).all():
        row, column = np.unravel_index(np.abs(values).argmax(), values.shape)
        position = f"number in row {row + 1}, column {column + 1}"
        allowed = f"a number from -{LARGEST:,.0f} to {LARGEST:,.0f}"
        raise Refused(Refusal(name, position, values[row, column], allowed))
