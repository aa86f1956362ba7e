"""Any convolution is a fully connected layer on its windows (im2col), at any input size.

::

    y[o, p] = Σ_k M[o, k] · window(p)[k] + b[o]      window(p) = x at p·stride + t·dilation - before

Where windows overlap their pixels are copied, up to kernel/stride times per dimension. So this
form is chosen only when asked for by name. (Chellapilla, Puri and Simard, "High performance
convolutional neural networks for document processing", 2006.)
"""

from __future__ import annotations

from typing import ClassVar

from convlin.errors import Refusal
from convlin.exchange.kernel_matrix import KernelMatrix
from convlin.geometry import ConvGeometry

__all__ = ["Windows"]


class Windows(KernelMatrix):
    """Any windows: the kernel matrix applied to each of them."""

    name: ClassVar[str] = "windows"
    by_default: ClassVar[bool] = False  # overlapping windows are copied at every call

    @staticmethod
    def refusals(
        geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
    ) -> tuple[Refusal, ...]:
        """Return a refusal if this convolution is transposed; nothing otherwise."""
        if not geometry.transposed:
            return ()
        return (Refusal(geometry.kind, "transposed", True, "False", "it has no windows"),)
