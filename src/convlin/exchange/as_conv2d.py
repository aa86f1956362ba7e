"""Convolutions of other dimensions as one in two, and the other way round: no weight is new.

::

    line      Conv1d on (C, L)     = Conv2d of kernel (1, k) on (C, 1, L)
    frames    Conv3d of disjoint   = Conv2d on every window of frames, its channels (c, t):
              windows in time        y[o, p, ·] = Σ_t Σ_c w[o, c, t, ·] ∗ x[c, p·stride + t, ·]

A line needs nothing: any stride, padding, padding mode, dilation, groups, and transposed ones too.
Frames need windows that share no frame, kernel ≤ stride in time, no padding and no dilation there;
windows that overlap would have to be copied. Channel c·kernel + t of the Conv2d is frame t of
channel c, so that the weight is the same storage, and groups of channels stay groups.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.exchange.array_functions import array_namespace
from convlin.geometry import ConvGeometry

__all__ = ["AsConv2d", "Frames", "Line", "as_conv2d"]


@dataclass(frozen=True)
class AsConv2d(ABC):
    """A convolution of `geometry` as one in two dimensions: `conv2d` is that one's geometry.

    `exchange.weight(exchange.kernel(w))` is w, bit for bit, and both are views where a view can be.
    """

    geometry: ConvGeometry

    name: ClassVar[str]

    @staticmethod
    @abstractmethod
    def refusals(geometry: ConvGeometry) -> Iterator[Refusal]:
        """Yield everything that keeps this convolution from being exchanged so."""

    @property
    @abstractmethod
    def conv2d(self) -> ConvGeometry:
        """The geometry of the convolution in two dimensions."""

    @property
    def views(self) -> bool:
        """Whether each of the two weights is the other's numbers, in an order that a view has."""
        return True

    def kernel(self, weight: Shaped[Any, "o c *kernel"]) -> Shaped[Any, "o c2 k1 k2"]:
        """Return the kernel in two dimensions that this weight is."""
        return array_namespace(weight).reshape(weight, self.conv2d.weight_shape)

    def weight(self, kernel: Shaped[Any, "o c2 k1 k2"]) -> Shaped[Any, "o c *kernel"]:
        """Return the weight that `kernel` made into this."""
        return array_namespace(kernel).reshape(kernel, self.geometry.weight_shape)

    def bias(self, bias: Shaped[Any, " o"]) -> Shaped[Any, " o"]:
        """Return the bias, which both have alike."""
        return bias

    def __str__(self) -> str:
        return self.name


class Line(AsConv2d):
    """One dimension: the image is one line, one pixel high."""

    name: ClassVar[str] = "line"

    @staticmethod
    def refusals(geometry: ConvGeometry) -> Iterator[Refusal]:
        """Yield a refusal if the convolution has more than one dimension.

        >>> print(*Line.refusals(ConvGeometry(3, 5, (2, 4))))
        Conv2d: kernel is (2, 4), expected one dimension
        """
        if geometry.ndim != 1:
            yield Refusal(geometry.kind, "kernel", geometry.kernel, "one dimension")

    @property
    def conv2d(self) -> ConvGeometry:
        """The same numbers, and 1 or 0 in the dimension across the line.

        >>> Line(ConvGeometry(3, 5, (4,), stride=2, padding=1)).conv2d.padding
        ((0, 0), (1, 1))
        """
        g = self.geometry
        return ConvGeometry(
            g.in_channels, g.out_channels, (1, *g.kernel), (1, *g.stride), (0, *g.padding),
            (1, *g.dilation), g.groups, g.padding_mode, g.transposed, (0, *g.output_padding),
        )  # fmt: skip


class Frames(AsConv2d):
    """Three dimensions: each window of frames is one image, its frames more channels."""

    name: ClassVar[str] = "frames"

    @staticmethod
    def refusals(geometry: ConvGeometry) -> Iterator[Refusal]:
        r"""Yield everything that makes windows share frames, or read what is no frame.

        >>> print(*Frames.refusals(ConvGeometry(3, 5, (3, 2, 2), padding=(1, 0, 0))), sep="\n")
        Conv3d: stride[0] is 1, expected ≥ 3, the kernel (windows share frames)
        Conv3d: padding[0] is (1, 1), expected (0, 0)
        """
        if geometry.ndim != 3 or geometry.transposed:
            yield Refusal(geometry.kind, "kernel", geometry.kernel, "a Conv3d's")
            return
        kernel, stride = geometry.kernel[0], geometry.stride[0]
        if kernel > stride:
            allowed, reason = f"≥ {kernel}, the kernel", "windows share frames"
            yield Refusal(geometry.kind, "stride[0]", stride, allowed, reason)
        if any(geometry.padding[0]):
            yield Refusal(geometry.kind, "padding[0]", geometry.padding[0], "(0, 0)")
        if kernel > 1 and geometry.dilation[0] > 1:
            yield Refusal(geometry.kind, "dilation[0]", geometry.dilation[0], "1")

    @property
    def conv2d(self) -> ConvGeometry:
        """The numbers of the other two dimensions, and kernel times as many channels.

        >>> Frames(ConvGeometry(3, 8, (2, 14, 14), stride=(2, 14, 14))).conv2d.weight_shape
        (8, 6, 14, 14)
        """
        g = self.geometry
        return ConvGeometry(
            g.in_channels * g.kernel[0], g.out_channels, g.kernel[1:], g.stride[1:],
            g.padding[1:], g.dilation[1:], g.groups, g.padding_mode,
        )  # fmt: skip


def as_conv2d(geometry: ConvGeometry) -> AsConv2d | tuple[Refusal, ...]:
    """Return the exchange of a convolution for one in two dimensions, or what does not fit.

    >>> print(as_conv2d(ConvGeometry(3, 8, (5,), stride=2)))
    line
    """
    exchange = Line if geometry.ndim == 1 else Frames
    return tuple(exchange.refusals(geometry)) or exchange(geometry)
