"""Which output reads which pixel along one dimension, as the sparse table it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int, Num

__all__ = ["AxisSupport"]

TABLE = 4  # pairs for each that is read: looking up is then ten times faster than a binary search


@dataclass(frozen=True, eq=False)
class AxisSupport:
    """The pairs (output, pixel) that are read, sorted by output and then pixel.

    >>> support = AxisSupport.of(np.array([[1, 1, 0], [0, 1, 1]], dtype=bool))
    >>> support.output.tolist(), support.pixel.tolist()
    ([0, 0, 1, 1], [0, 1, 1, 2])
    """

    outputs: int
    pixels: int
    output: Int[np.ndarray, " pairs"]
    pixel: Int[np.ndarray, " pairs"]

    @classmethod
    def of(cls, read: Bool[np.ndarray, "outputs pixels"]) -> AxisSupport:
        """Return the support that a table of what is read shows."""
        outputs, pixels = map(int, read.shape)
        return cls(outputs, pixels, *np.nonzero(read))

    @classmethod
    def of_keys(cls, outputs: int, pixels: int, keys: Int[np.ndarray, " pairs"]) -> AxisSupport:
        """Return the support of sorted keys, output·pixels + pixel."""
        return cls(outputs, pixels, *np.divmod(keys, pixels))

    def __len__(self) -> int:
        return len(self.output)

    @cached_property
    def keys(self) -> Int[np.ndarray, " pairs"]:
        """One number for each pair, rising."""
        keys: np.ndarray = self.output * self.pixels + self.pixel
        return keys

    @cached_property
    def starts(self) -> Int[np.ndarray, " outputs+1"]:
        """Where each output's pairs begin, and where the last one's end."""
        return np.searchsorted(self.output, np.arange(self.outputs + 1))

    @cached_property
    def widths(self) -> Int[np.ndarray, " outputs"]:
        """How many pixels each output reads."""
        return np.diff(self.starts)

    def row(self, output: int) -> Int[np.ndarray, " pixels"]:
        """Return the pixels that one output reads, rising."""
        return self.pixel[self.starts[output] : self.starts[output + 1]]

    def number(
        self, output: Int[np.ndarray, "*pairs"], pixel: Int[np.ndarray, "*pairs"]
    ) -> Int[np.ndarray, "*pairs"]:
        """Return the number of each pair; -1 for pairs that are not read, and for pixel -1."""
        if not len(self):
            return np.full(np.broadcast_shapes(output.shape, pixel.shape), -1)
        wanted = output * self.pixels + pixel
        if self._numbers is not None:
            return np.where(pixel >= 0, self._numbers[wanted], -1)
        number = np.minimum(np.searchsorted(self.keys, wanted), len(self) - 1)
        return np.where((self.keys[number] == wanted) & (pixel >= 0), number, -1)

    @cached_property
    def _numbers(self) -> Int[np.ndarray, " all_pairs"] | None:
        """The number of every pair, read or not, where that table is about as long as the list."""
        if self.outputs * self.pixels > TABLE * len(self):
            return None
        numbers = np.full(self.outputs * self.pixels, -1)
        numbers[self.keys] = np.arange(len(self))
        return numbers

    def dense(self, values: Num[np.ndarray, " pairs"], output: int) -> Num[np.ndarray, " pixels"]:
        """Return one output's values on all pixels, 0 where nothing is read."""
        line = np.zeros(self.pixels, dtype=values.dtype)
        line[self.row(output)] = values[self.starts[output] : self.starts[output + 1]]
        return line

    @cached_property
    def shareable(self) -> bool:
        """Whether more than one output and more than one pixel are in use.

        >>> AxisSupport.of(np.array([[0, 1], [0, 1]], dtype=bool)).shareable
        False
        """
        outputs_in_use = int(np.count_nonzero(self.widths))
        return outputs_in_use > 1 and bool((self.pixel != self.pixel[0]).any())
