"""A convolution as another one with the same weight, its axes split or merged.

What such exchanges have in common: the weight map is a reshape, in both directions, so that no
weight is new and none is moved. What each needs, and which convolution it gives, is its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.exchange.array_functions import array_namespace
from convlin.geometry import ConvGeometry

__all__ = ["Reshaped"]


@dataclass(frozen=True)
class Reshaped(ABC):
    """A convolution of `geometry` as one of geometry `target`.

    `exchange.weight(exchange.kernel(w))` is w, bit for bit, and both are views where a view can be.
    """

    geometry: ConvGeometry

    name: ClassVar[str]
    views: ClassVar[bool] = True

    @property
    def merged(self) -> tuple[int, int]:
        """The first and last axis of the weight that become one: in memory they must be one run."""
        return 0, 0

    @staticmethod
    @abstractmethod
    def refusals(geometry: ConvGeometry) -> Iterator[Refusal]:
        """Yield everything that keeps this convolution from being exchanged so."""

    @property
    @abstractmethod
    def target(self) -> ConvGeometry:
        """The geometry of the other convolution."""

    def kernel(self, weight: Shaped[Any, "o c *kernel"]) -> Shaped[Any, "o c2 *kernel2"]:
        """Return the other convolution's kernel that this weight is."""
        return array_namespace(weight).reshape(weight, self.target.weight_shape)

    def weight(self, kernel: Shaped[Any, "o c2 *kernel2"]) -> Shaped[Any, "o c *kernel"]:
        """Return the weight that `kernel` made into this."""
        return array_namespace(kernel).reshape(kernel, self.geometry.weight_shape)

    def bias(self, bias: Shaped[Any, " o"]) -> Shaped[Any, " o"]:
        """Return the bias, which both have alike."""
        return bias

    def __str__(self) -> str:
        return self.name
