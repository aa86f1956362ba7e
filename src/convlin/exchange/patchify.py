"""Windows that do not overlap are patches: each pixel is copied at most once, then a Linear.

::

    y[o, p] = Σ_c Σ_t w[o, c, t] · x[c, p·stride + t·dilation - before] + b[o]

Two windows share a pixel iff p·stride + t·dilation = p'·stride + t'·dilation for some p ≠ p',
that is iff t·dilation is a multiple of the stride for some t in 1 … kernel - 1. The smallest such
t is stride / gcd(stride, dilation), so a dimension has disjoint windows iff::

    stride / gcd(stride, dilation) ≥ kernel

The familiar case is kernel = stride without dilation (patch embeddings). Kernel = stride = 2 with
dilation 2 is not: its windows read pixels 0, 2 and 2, 4. A dimension of kernel 1 always fits.
Pixels left over at the end are dropped, as the convolution drops them; padding comes first.
"""

from __future__ import annotations

import math
from typing import ClassVar

from convlin.errors import Refusal
from convlin.exchange.kernel_matrix import KernelMatrix
from convlin.geometry import ConvGeometry

__all__ = ["Patchify", "disjoint"]


class Patchify(KernelMatrix):
    """Disjoint windows: the kernel matrix applied to every patch."""

    name: ClassVar[str] = "patchify"

    @staticmethod
    def refusals(
        geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
    ) -> tuple[Refusal, ...]:
        """Return everything that makes this convolution's windows overlap; nothing if none do.

        >>> Patchify.refusals(ConvGeometry(3, 8, kernel=(4, 1), stride=(4, 3)))
        ()
        >>> print(*Patchify.refusals(ConvGeometry(3, 8, kernel=(2,), stride=2, dilation=2)))
        Conv1d: dilation is (2,), expected (1,) (windows overlap)
        """
        refusals = list(KernelMatrix.refusals(geometry))
        dims = list(zip(geometry.kernel, geometry.stride, geometry.dilation, strict=True))
        strides = tuple(s if disjoint(k, s, d) else max(k, s) for k, s, d in dims)
        if strides != geometry.stride:
            allowed = f"{strides}, at least the kernel {geometry.kernel}"
            refusals.append(
                Refusal(geometry.kind, "stride", geometry.stride, allowed, "windows overlap")
            )
        # With the stride that fits the kernel, does dilation bring windows together again?
        dilations = tuple(
            d if disjoint(k, s, d) else 1 for (k, _, d), s in zip(dims, strides, strict=True)
        )
        if dilations != geometry.dilation:
            reason = "windows overlap" if strides == geometry.stride else f"at stride {strides}"
            refusals.append(
                Refusal(geometry.kind, "dilation", geometry.dilation, str(dilations), reason)
            )
        return tuple(refusals)


def disjoint(kernel: int, stride: int, dilation: int) -> bool:
    """Return whether no two windows share a pixel along one dimension.

    >>> disjoint(3, 3, 1), disjoint(2, 2, 2)
    (True, False)
    """
    return stride // math.gcd(stride, dilation) >= kernel
