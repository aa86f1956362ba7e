"""What an exchange is: a convolution's kernel and a fully connected layer's weight, as each other.

An exchange is one identity, written once on plain arrays: when it holds (`refusals`), the weight
map (`weight`, `bias`) and its inverse (`kernel`), with what the inverse would lose (`unfit`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.geometry import ConvGeometry, short

__all__ = ["Exchange"]


@dataclass(frozen=True, repr=False)
class Exchange(ABC):
    """The exchange of one convolution, at `input_size` where that matters, in both directions.

    Arrays are numpy's or torch's. `exchange.kernel(exchange.weight(w))` is w, bit for bit; both
    are views of what they are given wherever a view can hold them.
    """

    geometry: ConvGeometry
    input_size: tuple[int, ...] | None = None

    name: ClassVar[str]
    by_default: ClassVar[bool] = True  # tried without being asked for

    @staticmethod
    @abstractmethod
    def refusals(
        geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
    ) -> tuple[Refusal, ...]:
        """Return everything that keeps this convolution from being exchanged so."""

    @abstractmethod
    def weight(self, kernel: Shaped[Any, "o c *kernel"]) -> Shaped[Any, "*rows columns"]:
        """Return the fully connected layer's weight that this kernel is."""

    @abstractmethod
    def kernel(self, weight: Shaped[Any, "*rows columns"]) -> Shaped[Any, "o c *kernel"]:
        """Return the kernel that `weight` made into this; ask `unfit` first."""

    def unfit(self, weight: Shaped[Any, "*rows columns"]) -> tuple[Refusal, ...]:
        """Return a refusal for what of a weight no kernel gives; nothing if one does."""
        return ()

    def bias(self, bias: Shaped[Any, " o"]) -> Shaped[Any, " rows"]:
        """Return the fully connected layer's bias; the convolution's own but for dense forms."""
        return bias

    @property
    def views(self) -> bool:
        """Whether each of the two weights is the other's numbers, in an order that a view has."""
        return True

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        size = "" if self.input_size is None else f" on {self.input_size}"
        return f"<{type(self).__name__}: {self.geometry.kind} {short(self.geometry)}{size}>"
