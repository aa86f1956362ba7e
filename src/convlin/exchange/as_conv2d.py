"""Convolutions of one and three dimensions as one in two, and of two as one in one.

::

    line      Conv1d on (C, L)     = Conv2d of kernel (1, k) on (C, 1, L)
    frames    Conv3d of disjoint   = Conv2d on every window of frames, its channels (c, t):
              windows in time        y[o, p, ·] = Σ_t Σ_c w[o, c, t, ·] ∗ x[c, p·stride + t, ·]
    lines     Conv2d of kernel 1   = Conv1d on every line along the other axis
              along one axis

A line needs nothing: any stride, padding, padding mode, dilation, groups, and transposed ones too.
Frames need windows that share no frame, kernel ≤ stride in time, no padding and no dilation there;
windows that overlap would have to be copied. Channel c·kernel + t of the Conv2d is frame t of
channel c, so that the weight is the same storage, and groups of channels stay groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from convlin.errors import Refusal
from convlin.exchange.reshaped import Reshaped
from convlin.geometry import ConvGeometry

__all__ = ["Frames", "Line", "Lines", "as_conv2d"]


class Line(Reshaped):
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
    def target(self) -> ConvGeometry:
        """The same numbers, and 1 or 0 in the dimension across the line.

        >>> Line(ConvGeometry(3, 5, (4,), stride=2, padding=1)).target.padding
        ((0, 0), (1, 1))
        """
        g = self.geometry
        return ConvGeometry(
            g.in_channels, g.out_channels, (1, *g.kernel), (1, *g.stride), (0, *g.padding),
            (1, *g.dilation), g.groups, g.padding_mode, g.transposed, (0, *g.output_padding),
        )  # fmt: skip


class Frames(Reshaped):
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
    def merged(self) -> tuple[int, int]:
        """Channels and frames."""
        return 1, 2

    @property
    def target(self) -> ConvGeometry:
        """The numbers of the other two dimensions, and kernel times as many channels.

        >>> Frames(ConvGeometry(3, 8, (2, 14, 14), stride=(2, 14, 14))).target.weight_shape
        (8, 6, 14, 14)
        """
        g = self.geometry
        return ConvGeometry(
            g.in_channels * g.kernel[0], g.out_channels, g.kernel[1:], g.stride[1:],
            g.padding[1:], g.dilation[1:], g.groups, g.padding_mode,
        )  # fmt: skip


class Lines(Reshaped):
    """Two dimensions, of kernel 1 along the axis `across`: a convolution of each line."""

    name: ClassVar[str] = "lines"

    @staticmethod
    def refusals(geometry: ConvGeometry) -> Iterator[Refusal]:
        """Yield everything that lets lines meet, along the axis where least does.

        >>> print(*Lines.refusals(ConvGeometry(3, 5, (3, 1), padding=1)))
        Conv2d: padding[1] is (1, 1), expected (0, 0)
        """
        if geometry.ndim != 2:
            yield Refusal(geometry.kind, "kernel", geometry.kernel, "two dimensions")
        else:
            axes = [(k > 1, _meeting(geometry, axis)) for axis, k in enumerate(geometry.kernel)]
            yield from min(axes, key=lambda pair: (pair[0], len(pair[1])))[1]

    @property
    def across(self) -> int:
        """The axis of kernel 1, counted in space; the lines run along the other."""
        return next(axis for axis in (0, 1) if not _meeting(self.geometry, axis))

    @property
    def target(self) -> ConvGeometry:
        """The numbers of the axis along the lines.

        >>> Lines(ConvGeometry(3, 5, (4, 1), stride=(2, 7))).target.stride
        (2,)
        """
        g, along = self.geometry, slice(1 - self.across, 2 - self.across)
        return ConvGeometry(
            g.in_channels, g.out_channels, g.kernel[along], g.stride[along], g.padding[along],
            g.dilation[along], g.groups, g.padding_mode, g.transposed, g.output_padding[along],
        )  # fmt: skip


def _meeting(geometry: ConvGeometry, axis: int) -> list[Refusal]:
    """Return what lets the lines across this axis of two meet, or makes new ones."""
    refusals = []
    if geometry.kernel[axis] != 1:
        refusals.append(Refusal(geometry.kind, f"kernel[{axis}]", geometry.kernel[axis], "1"))
    if any(geometry.padding[axis]):
        pair = geometry.padding[axis]
        refusals.append(Refusal(geometry.kind, f"padding[{axis}]", pair, "(0, 0)"))
    if geometry.transposed and geometry.stride[axis] != 1:
        stride, reason = geometry.stride[axis], "new lines of bias lie between"
        refusals.append(Refusal(geometry.kind, f"stride[{axis}]", stride, "1", reason))
    if geometry.output_padding[axis]:
        extra = geometry.output_padding[axis]
        refusals.append(Refusal(geometry.kind, f"output_padding[{axis}]", extra, "0"))
    return refusals


def as_conv2d(geometry: ConvGeometry) -> Reshaped | tuple[Refusal, ...]:
    """Return the exchange of a convolution for one in two dimensions, or what does not fit.

    >>> print(as_conv2d(ConvGeometry(3, 8, (5,), stride=2)))
    line
    """
    exchange = Line if geometry.ndim == 1 else Frames
    return tuple(exchange.refusals(geometry)) or exchange(geometry)
