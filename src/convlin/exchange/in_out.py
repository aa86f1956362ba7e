"""A weight stored (in, out) is a fully connected layer's, transposed.

::

    y[o] = Σ_i V[i, o] · x[i] + b[o] = Σ_i W[o, i] · x[i] + b[o]        W = Vᵀ

GPT-2's layers hold theirs so, and are called `Conv1D`: "1D-convolutional layer as defined by
Radford et al.", of kernel 1. Both ways are views. `in_out` puts the transposition before the
exchange of a Linear for a convolution.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.exchange.array_functions import array_namespace
from convlin.exchange.covering_kernel import CoveringKernel
from convlin.exchange.exchange import Exchange
from convlin.exchange.kernel_matrix import KernelMatrix
from convlin.exchange.pointwise import Pointwise
from convlin.geometry import ConvGeometry

__all__ = ["InOut", "InOutKernel", "in_out"]


class InOut(Exchange):
    """A layer of weight (in, out), for a Linear: `kernel` is that weight, `weight` the Linear's.

    >>> import numpy as np
    >>> InOut(ConvGeometry(3, 2, (1,))).weight(np.array([[1, 2], [3, 4], [5, 6]]))
    array([[1, 3, 5],
           [2, 4, 6]])
    """

    name: ClassVar[str] = "in_out"

    @staticmethod
    def refusals(
        geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
    ) -> tuple[Refusal, ...]:
        """Return a refusal for a kernel, stride, padding or groups: such a layer has none."""
        plain = ConvGeometry(geometry.in_channels, geometry.out_channels, (1,) * geometry.ndim)
        return tuple(
            Refusal(geometry.kind, field.name, value, str(getattr(plain, field.name)))
            for field in fields(geometry)
            if (value := getattr(geometry, field.name)) != getattr(plain, field.name)
        )

    def weight(self, kernel: Shaped[Any, "c o"]) -> Shaped[Any, "o c"]:
        """Return W = Vᵀ, a view."""
        return _transposed(kernel)

    def kernel(self, weight: Shaped[Any, "o c"]) -> Shaped[Any, "c o"]:
        """Return V = Wᵀ, a view."""
        return _transposed(weight)


class InOutKernel(KernelMatrix):
    """A layer of weight (in, out), for a convolution: `weight` is (in, out)."""

    def weight(self, kernel: Shaped[Any, "o c *kernel"]) -> Shaped[Any, "columns o"]:
        """Return V[k, o] = w[o, c, t]."""
        return _transposed(super().weight(kernel))

    def kernel(self, weight: Shaped[Any, "columns o"]) -> Shaped[Any, "o c *kernel"]:
        """Return w[o, c, t] = V[k, o]."""
        return super().kernel(_transposed(weight))


class InOutPointwise(InOutKernel, Pointwise):
    """A layer of weight (in, out), for a convolution of kernel 1 on every row."""


class InOutCovering(InOutKernel, CoveringKernel):
    """A layer of weight (in, out) on a flattened map, for a kernel that covers the map."""


def in_out(exchange: KernelMatrix) -> KernelMatrix:
    """Return the exchange of a Linear as that of a layer of weight (in, out).

    >>> in_out(Pointwise(ConvGeometry(3, 5, (1, 1))))
    <InOutPointwise: Conv2d 3→5 k1>
    """
    of = InOutCovering if isinstance(exchange, CoveringKernel) else InOutPointwise
    return of(**{field.name: getattr(exchange, field.name) for field in fields(exchange)})


def _transposed(matrix: Shaped[Any, "a b"]) -> Shaped[Any, "b a"]:
    return array_namespace(matrix).permute_dims(matrix, (1, 0))
