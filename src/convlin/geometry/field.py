"""What one output cell sees of the input, through one layer or many.

Along each dimension, output cell i reads the inputs [i·stride + offset, i·stride + offset + size).
A layer behind another one composes::

    size   = size₁ + (size₂ - 1)·stride₁
    stride = stride₁·stride₂
    offset = offset₁ + offset₂·stride₁

Output i of the second reads size₂ cells j from i·stride₂ + offset₂ on, and each of them size₁
inputs from j·stride₁ + offset₁ on. So the first input is (i·stride₂ + offset₂)·stride₁ + offset₁,
and the last cell begins size₂ - 1 steps of stride₁ behind it.

(Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", 2019.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convlin.arguments import shown, whole, wholes
from convlin.errors import GeometryError, Refusal

__all__ = ["ReceptiveField"]


@dataclass(frozen=True)
class ReceptiveField:
    """Size, stride and offset (in input pixels) of what each output cell reads, per dimension.

    The offset is negative where padding lets the first cell look outside the input.

    >>> conv = ReceptiveField((3, 3), (1, 1), (0, 0))
    >>> pool = ReceptiveField((2, 2), (2, 2), (0, 0))
    >>> conv.then(pool)
    ReceptiveField(size=(4, 4), stride=(2, 2), offset=(0, 0))
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise `GeometryError` for numbers that are no field."""
        sizes = {"size": self.size, "stride": self.stride, "offset": self.offset}
        for name, value in sizes.items():
            least = None if name == "offset" else 1
            numbers = wholes("receptive field", name, value, least, error=GeometryError)
            object.__setattr__(self, name, numbers)
        for name in ("stride", "offset"):
            self._numbers(name, getattr(self, name))

    @classmethod
    def pixel(cls, ndim: int) -> ReceptiveField:
        """Return the field of an input pixel: itself. The unit of `then`."""
        if whole("receptive field", "ndim", ndim, error=GeometryError) not in (1, 2, 3):
            raise GeometryError(Refusal("receptive field", "ndim", ndim, "1, 2 or 3"))
        return cls((1,) * ndim, (1,) * ndim, (0,) * ndim)

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions."""
        return len(self.size)

    def then(self, later: ReceptiveField) -> ReceptiveField:
        """Return the field of `later` stacked behind this one, seen from this one's input."""
        other: Any = later
        if not isinstance(other, ReceptiveField):
            allowed = "a ReceptiveField"
            raise GeometryError(Refusal("receptive field", "later", shown(later), allowed))
        if later.ndim != self.ndim:
            raise GeometryError(
                Refusal("receptive field", "ndim", later.ndim, f"{self.ndim}, as the layer before")
            )
        rows = zip(
            self.size, self.stride, self.offset, later.size, later.stride, later.offset, strict=True
        )
        composed = [
            (size + (size2 - 1) * stride, stride * stride2, offset + offset2 * stride)
            for size, stride, offset, size2, stride2, offset2 in rows
        ]
        sizes, strides, offsets = zip(*composed, strict=True)
        return ReceptiveField(sizes, strides, offsets)

    def reads(self, cell: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """Return the input range [start, stop) that output `cell` reads, per dimension.

        A start below 0, or a stop beyond the input, lies in padding.

        >>> ReceptiveField((4, 6), (2, 3), (0, -1)).reads((2, 0))
        ((4, 8), (-1, 5))
        """
        return tuple(
            (i * stride + offset, i * stride + offset + size)
            for i, size, stride, offset in zip(
                self._numbers("cell", cell), self.size, self.stride, self.offset, strict=True
            )
        )

    def cells(self, input_size: tuple[int, ...]) -> tuple[int, ...]:
        """Return how many fields of this size fit wholly into `input_size`, by this stride.

        >>> ReceptiveField((4, 6), (2, 3), (0, 0)).cells((9, 5))
        (3, 0)
        """
        # Fields start at 0, stride, 2·stride, …; the last that fits starts at n - size or before.
        return tuple(
            max(0, (n - size) // stride + 1)
            for n, size, stride in zip(
                self._numbers("input_size", input_size), self.size, self.stride, strict=True
            )
        )

    def _numbers(self, name: str, value: tuple[int, ...]) -> tuple[int, ...]:
        """Return one whole number per dimension."""
        numbers = wholes("receptive field", name, value, error=GeometryError)
        if len(numbers) != self.ndim:
            allowed = f"{self.ndim} number{'s' * (self.ndim > 1)}, one per dimension"
            raise GeometryError(Refusal("receptive field", name, numbers, allowed))
        return numbers
