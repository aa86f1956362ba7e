"""Any convolution at one input size is one fully connected layer on the flattened input.

::

    flat(y) = A(w) · flat(x) + b ⊗ 1

A is the dense matrix of `convlin.matrix`, most of it zeros, the rest shared; the bias is repeated
over the positions of its channel. A transposed convolution fits too: its matrix is that of its
adjoint, transposed. The zeros and copies are true weights of the Linear, so this form copies, and
it has a way back only while A is still the matrix of a convolution.

The inverse reads each tap where an entry is that tap alone. A tap may have no such entry: where it
meets padding only nothing depends on it, and it comes back as 0; where padding repeats pixels it
may only ever be one of several in a sum, and then there is no inverse.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, device
from jaxtyping import Int, Shaped

from convlin.errors import Refusal
from convlin.exchange.exchange import Exchange
from convlin.geometry import ConvGeometry
from convlin.matrix import dense, dense_shape

__all__ = ["DenseAtSize", "first_difference"]


class DenseAtSize(Exchange):
    """One input size: A(w) applied to the flattened input."""

    name: ClassVar[str] = "dense_at_size"

    @staticmethod
    def refusals(
        geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
    ) -> tuple[Refusal, ...]:
        """Return a refusal if there is no input size; nothing otherwise."""
        if input_size is not None:
            return ()
        return (Refusal(geometry.kind, "input_size", None, "the size of the inputs, in pixels"),)

    @property
    def size(self) -> tuple[int, ...]:
        """The input size, in pixels."""
        assert self.input_size is not None  # or `refusals` would have refused
        return self.input_size

    @property
    def views(self) -> bool:
        """No: the dense matrix repeats every tap."""
        return False

    def weight(self, kernel: Shaped[Any, "o c *kernel"]) -> Shaped[Any, "rows columns"]:
        """Return A(w), as a new array."""
        return dense(self.geometry, kernel, self.size)

    def bias(self, bias: Shaped[Any, " o"]) -> Shaped[Any, " rows"]:
        """Return the bias of every output element: each channel's, at each of its positions.

        >>> exchange = DenseAtSize(ConvGeometry(1, 2, kernel=(2,)), (3,))
        >>> exchange.bias(np.array([5, 7]))
        array([5, 5, 7, 7])
        """
        xp = array_namespace(bias)
        rows, _ = dense_shape(self.geometry, self.size)
        positions = rows // bias.shape[0]
        return xp.reshape(xp.broadcast_to(bias[:, None], (bias.shape[0], positions)), (rows,))

    def kernel(self, weight: Shaped[Any, "rows columns"]) -> Shaped[Any, "o c *kernel"]:
        """Return the kernel, each tap from the first entry that is that tap alone.

        >>> exchange = DenseAtSize(ConvGeometry(1, 1, kernel=(2,), padding=1), (2,))
        >>> exchange.kernel(np.array([[7, 0], [5, 7], [0, 5]]))
        array([[[5, 7]]])
        """
        xp, on = array_namespace(weight), device(weight)
        taps, entries = self._alone()
        shape = self.geometry.weight_shape
        values = xp.zeros(int(np.prod(shape)), dtype=weight.dtype, device=on)
        read = xp.take(xp.reshape(weight, (-1,)), xp.asarray(entries, device=on))
        values[xp.asarray(taps, device=on)] = read
        return xp.reshape(values, shape)

    def unfit(self, weight: Shaped[Any, "rows columns"]) -> tuple[Refusal, ...]:
        """Return a refusal for the first entry that differs from others of its taps."""
        shape = dense_shape(self.geometry, self.size)
        if tuple(weight.shape) != shape:
            return (Refusal("linear", "weight.shape", tuple(weight.shape), str(shape)),)
        expected = self.weight(self.kernel(weight))
        entry = first_difference(weight, expected)
        if entry is None:
            return ()
        value, other = weight[entry].item(), str(expected[entry].item())
        field, reason = f"weight[{', '.join(map(str, entry))}]", "as its tap weighs elsewhere"
        return (Refusal("linear", field, value, other, reason),)

    def needed_bytes(self, bias: bool, itemsize: int) -> int:
        """Return the bytes that the Linear's weight and bias take.

        >>> layer = ConvGeometry(3, 8, kernel=(3, 3))
        >>> DenseAtSize(layer, (224, 224)).needed_bytes(bias=True, itemsize=4)
        237397479552
        """
        rows, columns = dense_shape(self.geometry, self.size)
        return (rows * columns + rows * bias) * itemsize

    def _alone(self) -> tuple[Int[np.ndarray, " taps"], Int[np.ndarray, " taps"]]:
        """Return the weights that are an entry by themselves, and the first such entry of each.

        A(1 … n) names the weight of every entry of one tap, and A(1 … 1) counts the taps of each.
        """
        shape = self.geometry.weight_shape
        numbers = np.arange(1, int(np.prod(shape)) + 1).reshape(shape)
        named, counted = self.weight(numbers).ravel(), self.weight(np.ones_like(numbers)).ravel()
        entries = np.flatnonzero(counted == 1)
        taps, first = np.unique(named[entries], return_index=True)
        return taps - 1, entries[first]


def first_difference(
    array: Shaped[Any, "*size"], expected: Shaped[Any, "*size"]
) -> tuple[int, ...] | None:
    """Return the first index at which two arrays differ (NaN equals NaN); None if they do not."""
    xp = array_namespace(array, expected)
    differs = (array != expected) & ((array == array) | (expected == expected))
    indices = xp.nonzero(differs)
    return tuple(int(axis[0]) for axis in indices) if indices[0].shape[0] else None
