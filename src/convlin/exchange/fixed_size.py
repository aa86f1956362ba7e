"""Any convolution at one input size is one fully connected layer on the flattened input.

::

    flat(y) = A(w) · flat(x) + b ⊗ 1

A is the dense matrix of `convlin.matrix`, most of it zeros, the rest shared; the bias is repeated
over the positions of its channel. A transposed convolution fits too: its matrix is that of its
adjoint, transposed. The zeros and copies are true weights of the Linear, so this form copies, and
its way back is the convolution it came from, while A(w) is still what that convolution gives.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace
from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.geometry import ConvGeometry
from convlin.matrix import dense_shape

__all__ = ["first_difference", "needed_bytes", "refusals", "repeated_bias"]


def refusals(
    geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
) -> tuple[Refusal, ...]:
    """Return a refusal if there is no input size; nothing otherwise."""
    if input_size is not None:
        return ()
    return (Refusal(geometry.kind, "input_size", None, "the size of the inputs, in pixels"),)


def needed_bytes(
    geometry: ConvGeometry, input_size: tuple[int, ...], bias: bool, itemsize: int
) -> int:
    """Return the bytes that the Linear's weight and bias take.

    >>> needed_bytes(ConvGeometry(3, 8, kernel=(3, 3)), (224, 224), bias=True, itemsize=4)
    237397479552
    """
    rows, columns = dense_shape(geometry, input_size)
    return (rows * columns + rows * bias) * itemsize


def repeated_bias(bias: Shaped[Any, " out"], rows: int) -> Shaped[Any, " rows"]:
    """Return the bias of every output element: each channel's, at each of its positions."""
    xp = array_namespace(bias)
    positions = rows // bias.shape[0]
    return xp.reshape(xp.broadcast_to(bias[:, None], (bias.shape[0], positions)), (rows,))


def first_difference(
    given: Shaped[Any, "*size"], expected: Shaped[Any, "*size"]
) -> tuple[int, ...] | None:
    """Return the first index at which two arrays differ (NaN equals NaN); None if they do not."""
    xp = array_namespace(given, expected)
    differs = (given != expected) & ((given == given) | (expected == expected))
    found = xp.nonzero(differs)
    return tuple(int(axis[0]) for axis in found) if found[0].shape[0] else None
