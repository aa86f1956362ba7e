"""Patches as pixels of more channels: kernel = stride is space-to-depth, then a kernel of 1.

::

    y[o, p] = Σ_c Σ_t w[o, c, t] · x[c, p·stride + t]
            = Σ_j w[o, j] · z[j, p]         z[j, p] = x[c, p·stride + t],  j = c·taps + t

z is pixel_unshuffle, which PyTorch, ONNX (SpaceToDepth, its channels in another order) and most
processors have. Pixels left over at the end are cut off first, as the convolution leaves them out;
padding of any mode comes before that. Groups of channels stay groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from convlin.errors import Refusal
from convlin.exchange.reshaped import Reshaped
from convlin.geometry import ConvGeometry

__all__ = ["SpaceToDepth"]


class SpaceToDepth(Reshaped):
    """Kernel = stride: the taps become channels, and the kernel 1."""

    name: ClassVar[str] = "space_to_depth"

    @staticmethod
    def refusals(geometry: ConvGeometry) -> Iterator[Refusal]:
        """Yield everything that makes windows other than patches side by side.

        >>> print(*SpaceToDepth.refusals(ConvGeometry(3, 8, (4, 2), stride=(4, 3))))
        Conv2d: stride is (4, 3), expected (4, 2), the kernel
        """
        if geometry.transposed:
            yield Refusal(geometry.kind, "transposed", True, "False")
        if geometry.stride != geometry.kernel:
            allowed = f"{geometry.kernel}, the kernel"
            yield Refusal(geometry.kind, "stride", geometry.stride, allowed)
        dims = zip(geometry.kernel, geometry.dilation, strict=True)
        dilation = tuple(d if k == 1 else 1 for k, d in dims)
        if dilation != geometry.dilation:
            yield Refusal(geometry.kind, "dilation", geometry.dilation, str(dilation))

    @property
    def merged(self) -> tuple[int, int]:
        """Channels and all taps."""
        return 1, 1 + self.geometry.ndim

    @property
    def target(self) -> ConvGeometry:
        """A kernel of 1 on taps times as many channels.

        >>> SpaceToDepth(ConvGeometry(3, 8, (4, 2), stride=(4, 2))).target.weight_shape
        (8, 24, 1, 1)
        """
        g = self.geometry
        return ConvGeometry(g.in_channels * g.taps, g.out_channels, (1,) * g.ndim, groups=g.groups)
