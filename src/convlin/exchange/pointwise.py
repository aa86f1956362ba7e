"""A kernel of 1 is a fully connected layer applied to every pixel.

::

    y[o, p] = Σ_c w[o, c] · x[c, p·stride - before] + b[o]

The stride only leaves pixels out, padding adds pixels (zeros give the bias), groups split the
channels. Nothing else is needed: any stride, padding, padding mode and groups fit. Dilation says
nothing where there is one tap.
"""

from __future__ import annotations

from convlin.errors import Refusal
from convlin.geometry import ConvGeometry

__all__ = ["refusals"]


def refusals(
    geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
) -> tuple[Refusal, ...]:
    """Return everything that keeps this convolution from being pointwise; nothing if it is.

    >>> refusals(ConvGeometry(3, 8, kernel=(1, 1), stride=2))
    ()
    """
    found = []
    if geometry.transposed:
        found.append(Refusal(geometry.kind, "transposed", True, "False"))
    if geometry.taps != 1:
        found.append(Refusal(geometry.kind, "kernel", geometry.kernel, str((1,) * geometry.ndim)))
    return tuple(found)
