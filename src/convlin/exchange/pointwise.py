"""A kernel of 1 is a fully connected layer applied to every pixel.

::

    y[o, p] = Σ_c w[o, c] · x[c, p·stride - before] + b[o]

The stride only leaves pixels out, padding adds pixels (zeros give the bias), groups split the
channels. Nothing else is needed: any stride, padding, padding mode and groups fit. Dilation says
nothing where there is one tap. Read backwards, every fully connected layer is one on its rows.
"""

from __future__ import annotations

from typing import ClassVar

from convlin.errors import Refusal
from convlin.exchange.kernel_matrix import KernelMatrix
from convlin.geometry import ConvGeometry

__all__ = ["Pointwise"]


class Pointwise(KernelMatrix):
    """One tap: W[o, c] = w[o, c, 0], applied to every pixel, or read backwards to every row."""

    name: ClassVar[str] = "pointwise"

    @staticmethod
    def refusals(
        geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
    ) -> tuple[Refusal, ...]:
        """Return everything that keeps this convolution from being pointwise; nothing if it is.

        >>> Pointwise.refusals(ConvGeometry(3, 8, kernel=(1, 1), stride=2))
        ()
        """
        refusals = list(KernelMatrix.refusals(geometry))
        if geometry.taps != 1:
            one = str((1,) * geometry.ndim)
            refusals.append(Refusal(geometry.kind, "kernel", geometry.kernel, one))
        return tuple(refusals)
