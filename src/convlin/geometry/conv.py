"""Everything about a convolution but its weights.

Along each dimension, tap t of output o reads the padded input at o·stride + t·dilation, that is
position o·stride + t·dilation - before of the input itself, where `before` is the padding on the
low side. All sizes follow from that one line, in 1-D, 2-D and 3-D alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, SupportsIndex, TypeAlias, get_args

from convlin.arguments import elements, flag, shown, whole
from convlin.errors import Description, GeometryError, Refusal
from convlin.geometry.field import ReceptiveField

__all__ = ["ConvGeometry", "PaddingMode"]

PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]
Sizes: TypeAlias = "SupportsIndex | Sequence[SupportsIndex]"
Padding: TypeAlias = (
    "Literal['same', 'valid'] | SupportsIndex | Sequence[SupportsIndex | Sequence[SupportsIndex]]"
)


@dataclass(frozen=True, init=False)
class ConvGeometry:
    """Channels, kernel, stride, padding, dilation, groups and padding mode of a convolution.

    Sizes are given as PyTorch takes them: one number for all dimensions, or one per dimension.
    Padding is kept per side, ((before, after), …), and 'same' and 'valid' are resolved to it.
    A transposed convolution is one geometry of its own (`transposed=True`), zeros only.

    Raises `GeometryError`, listing every number that does not fit.

    >>> g = ConvGeometry(3, 8, kernel=(3, 5), stride=(1, 2), padding=((1, 0), (2, 2)))
    >>> g.output_size((6, 9))
    (5, 5)
    >>> g.weight_shape
    (8, 3, 3, 5)
    >>> ConvGeometry(3, 8, kernel=(2, 3), padding="same").padding
    ((0, 1), (1, 1))
    """

    in_channels: int
    out_channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: PaddingMode
    transposed: bool
    output_padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: SupportsIndex,
        out_channels: SupportsIndex,
        kernel: Sequence[SupportsIndex],
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: SupportsIndex = 1,
        padding_mode: PaddingMode = "zeros",
        transposed: bool = False,
        output_padding: Sizes = 0,
    ) -> None:
        items = elements(kernel)
        if items is None:
            allowed = "one number per dimension, as in (3, 3)"
            raise GeometryError(Refusal("geometry", "kernel", shown(kernel), allowed))
        ndim = len(items)
        sizes = _integers("kernel", items, ndim)
        fields: dict[str, Any] = {
            "in_channels": _integer("in_channels", in_channels),
            "out_channels": _integer("out_channels", out_channels),
            "kernel": sizes,
            "stride": _integers("stride", stride, ndim),
            "dilation": (spacing := _integers("dilation", dilation, ndim)),
            "padding": _pairs(padding, sizes, spacing),
            "groups": _integer("groups", groups),
            "padding_mode": padding_mode,
            "transposed": flag("geometry", "transposed", transposed),
            "output_padding": _integers("output_padding", output_padding, ndim),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        same = isinstance(padding, str) and padding == "same"
        refusals = list(self._impossible(strided_same=same))
        if refusals:
            raise GeometryError(refusals)

    @classmethod
    def of(cls, module: Any) -> ConvGeometry:
        """Read the geometry of any `nn.Conv*` or `nn.ConvTranspose*` (by its attributes).

        >>> import torch
        >>> ConvGeometry.of(torch.nn.Conv2d(4, 6, 3, padding="same", groups=2)).padding
        ((1, 1), (1, 1))
        """
        site = type(module).__name__
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation",
                 "groups", "padding_mode")  # fmt: skip
        missing = [name for name in names if not hasattr(module, name)]
        if missing:
            raise GeometryError(
                Refusal(site, "type", Description(site),
                        "nn.Conv1d/2d/3d or nn.ConvTranspose1d/2d/3d",
                        f"it has no {', no '.join(missing)}")
            )  # fmt: skip
        if not module.in_channels:
            raise GeometryError(
                Refusal(site, "in_channels", 0, "a positive number", "run a lazy layer once first")
            )
        try:
            return cls(
                module.in_channels,
                module.out_channels,
                module.kernel_size,
                stride=module.stride,
                padding=module.padding,
                dilation=module.dilation,
                groups=module.groups,
                padding_mode=module.padding_mode,
                transposed=getattr(module, "transposed", False),
                output_padding=getattr(module, "output_padding", 0),
            )
        except GeometryError as error:  # its numbers are this layer's
            raise GeometryError(replace(r, site=site) for r in error.refusals) from None

    def _impossible(self, strided_same: bool) -> Iterable[Refusal]:
        """Yield a refusal for every number that no convolution can have."""

        def refuse(field: str, allowed: str, reason: str = "") -> Refusal:
            return Refusal("geometry", field, getattr(self, field), allowed, reason)

        if self.ndim not in (1, 2, 3):
            yield refuse("kernel", "1, 2 or 3 dimensions")
        for field in ("in_channels", "out_channels", "groups"):
            if getattr(self, field) < 1:
                yield refuse(field, "a whole number ≥ 1")
        for field in ("kernel", "stride", "dilation"):
            if min(getattr(self, field), default=1) < 1:
                yield refuse(field, "whole numbers ≥ 1")
        if any(side < 0 for pair in self.padding for side in pair):
            yield refuse("padding", "whole numbers ≥ 0")
        if self.groups >= 1:
            for field in ("in_channels", "out_channels"):
                if getattr(self, field) % self.groups:
                    yield refuse(field, f"a multiple of groups = {self.groups}")
        modes = get_args(PaddingMode)
        known = isinstance(self.padding_mode, str) and self.padding_mode in modes
        if not known:
            yield refuse("padding_mode", ", ".join(modes))
        if strided_same and any(s != 1 for s in self.stride):
            yield refuse("stride", "1 in every dimension", "padding is 'same'")
        if self.transposed:
            if known and self.padding_mode != "zeros":
                yield refuse("padding_mode", "zeros", "transposed")
            if any(
                not 0 <= extra < max(s, d)
                for extra, s, d in zip(self.output_padding, self.stride, self.dilation, strict=True)
            ):
                yield refuse("output_padding", "≥ 0 and less than the stride or the dilation")
        elif any(self.output_padding):
            yield refuse("output_padding", "0", "only a transposed convolution has it")

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions."""
        return len(self.kernel)

    @property
    def kind(self) -> str:
        """PyTorch's name for it: 'Conv2d', 'ConvTranspose1d' and so on."""
        return f"Conv{'Transpose' if self.transposed else ''}{self.ndim}d"

    @property
    def taps(self) -> int:
        """Number of taps (kernel positions) per pair of channels."""
        return math.prod(self.kernel)

    @property
    def extent(self) -> tuple[int, ...]:
        """Input pixels from the first to the last tap, dilation·(kernel - 1) + 1."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """PyTorch's weight shape: (out, in/groups, *kernel), transposed (in, out/groups, …)."""
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        return (first, second // self.groups, *self.kernel)

    @property
    def field(self) -> ReceptiveField:
        """What one output cell reads of this layer's input.

        Raises `GeometryError` for a transposed convolution, whose cells step by fractions.
        """
        if self.transposed:
            raise GeometryError(
                Refusal("geometry", "transposed", True, "False", "a cell steps by 1/stride pixels")
            )
        return ReceptiveField(self.extent, self.stride, tuple(-lo for lo, _ in self.padding))

    @property
    def adjoint(self) -> ConvGeometry:
        """The convolution whose matrix, transposed, is this transposed convolution's.

        A transposed convolution is Aᵀ with the same weight tensor, where A maps this one's
        outputs to its inputs. Raises `GeometryError` where this one is not transposed.
        """
        if not self.transposed:
            raise GeometryError(Refusal("geometry", "transposed", False, "True"))
        return ConvGeometry(
            self.out_channels, self.in_channels, self.kernel, self.stride, self.padding,
            self.dilation, self.groups,
        )  # fmt: skip

    def output_size(self, input_size: Sizes) -> tuple[int, ...]:
        """Return the spatial size of the output for the spatial `input_size`.

        conv:       ⌊(n + before + after - extent) / stride⌋ + 1
        transposed: (n - 1)·stride - before - after + extent + output_padding

        Raises `GeometryError` where a dimension is too small for the kernel or the padding.

        >>> ConvGeometry(1, 1, kernel=(3, 3)).output_size((2, 7))
        Traceback (most recent call last):
            ...
        convlin.errors.GeometryError: geometry: input_size[0] is 2, expected ≥ 3 (kernel extent 3, padding (0, 0))
        """  # noqa: E501
        sizes = self.sizes(input_size)
        refusals = [r for dim, n in enumerate(sizes) for r in self._misfit(dim, n)]
        if refusals:
            raise GeometryError(refusals)
        return tuple(self.output_length(dim, n) for dim, n in enumerate(sizes))

    def sizes(self, input_size: Sizes) -> tuple[int, ...]:
        """Return an input size as one whole number per dimension, repeating a single one."""
        return _integers("input_size", input_size, self.ndim)

    def output_length(self, dim: int, n: int) -> int:
        """Return the output's size along `dim` for an input of `n` there; < 1 if there is none."""
        spare = sum(self.padding[dim]) - self.extent[dim]
        if self.transposed:
            # Inputs and outputs change sides: i·stride + t·dilation - before is an output now, at
            # most (n - 1)·stride + extent - 1 - before. The last `after` of them are cut off, and
            # the output padding is put behind.
            return (n - 1) * self.stride[dim] - spare + self.output_padding[dim]
        # Output o reads the padded cells o·stride … o·stride + extent - 1, all of which must be
        # below n + before + after: o ≤ (n + spare)/stride, and o counts from 0.
        return (n + spare) // self.stride[dim] + 1

    @property
    def smallest_input(self) -> tuple[int, ...]:
        """The smallest input size that has an output, and that the padding mode can pad.

        >>> ConvGeometry(1, 1, kernel=(5, 3), padding=1, padding_mode="reflect").smallest_input
        (3, 2)
        """
        return tuple(self._smallest(dim) for dim in range(self.ndim))

    def _smallest(self, dim: int) -> int:
        sides, extent = self.padding[dim], self.extent[dim]
        if self.transposed:
            # An output there is where (n - 1)·stride > missing, whose smallest whole n - 1 is
            # missing // stride + 1, also for a negative `missing`: // rounds downwards.
            missing = sum(sides) - extent - self.output_padding[dim]
            return max(1, missing // self.stride[dim] + 2)
        # A reflection leaves out the border itself, so it has n - 1 pixels to give; a circle has n.
        repeated = {"reflect": max(sides) + 1, "circular": max(sides)}.get(self.padding_mode, 1)
        return max(1, extent - sum(sides), repeated)

    def _misfit(self, dim: int, n: int) -> Iterable[Refusal]:
        """Yield what forbids `n` input pixels along dimension `dim`."""
        smallest, sides = self._smallest(dim), self.padding[dim]
        if n >= smallest:
            return
        if self.padding_mode == "reflect" and max(sides) >= n:
            reason = f"reflect padding {sides} must be smaller than the input"
        elif self.padding_mode == "circular" and max(sides) > n:
            reason = f"circular padding {sides} may wrap around once"
        else:
            reason = f"kernel extent {self.extent[dim]}, padding {sides}"
        yield Refusal("geometry", f"input_size[{dim}]", n, f"≥ {smallest}", reason)

    def source(self, dim: int, n: int, output: int, tap: int) -> int | None:
        """Return the input position that `tap` of `output` reads along `dim`; None in zero padding.

        `n` is the input's size along `dim`. For a transposed convolution, the input that reaches
        `output` through `tap`, if any: the one with i·stride + tap·dilation - before = output.

        >>> ConvGeometry(1, 1, kernel=(3,), padding=1, padding_mode="reflect").source(0, 5, 0, 0)
        1
        """
        before = self.padding[dim][0]
        if self.transposed:
            position, rest = divmod(output + before - tap * self.dilation[dim], self.stride[dim])
            return position if not rest and 0 <= position < n else None
        position = output * self.stride[dim] + tap * self.dilation[dim] - before
        if 0 <= position < n:
            return position
        match self.padding_mode:
            case "reflect":  # about the first pixel, 0, and the last, n - 1: 2·centre - position
                return -position if position < 0 else 2 * (n - 1) - position
            case "replicate":
                return 0 if position < 0 else n - 1
            case "circular":
                return position % n
            case _:
                return None

    def connections(self, input_size: Sizes) -> int:
        """Return the true number of multiply-adds: weights that meet an input, padding apart.

        in·out/groups · Π over dimensions of the (output, tap) pairs that read an input. This is
        also the number of structural non-zeros of the unrolled matrix (zero padding).

        >>> ConvGeometry(3, 8, kernel=(3, 3), padding=1).connections((16, 16))
        50784
        """
        self.output_size(input_size)
        sizes = enumerate(self.sizes(input_size))
        pairs = math.prod(self.reading_pairs(dim, n) for dim, n in sizes)
        return self.in_channels * self.out_channels // self.groups * pairs

    def reading_pairs(self, dim: int, n: int) -> int:
        """Return how many (output, tap) pairs along `dim` read one of `n` input pixels.

        >>> ConvGeometry(1, 1, kernel=(3,), padding=1).reading_pairs(0, 5)
        13
        """
        outputs, taps = self.output_length(dim, n), self.kernel[dim]
        if self.padding_mode != "zeros":
            return outputs * taps
        # Tap t joins step i of one side to cell i·stride + offset of the other, where offset is
        # t·dilation - before. That cell exists if 0 ≤ i·stride + offset ≤ ends - 1, so for steps
        # from ⌈-offset/stride⌉ = -(offset // stride) up to ⌊(ends - 1 - offset)/stride⌋.
        steps, ends = (n, outputs) if self.transposed else (outputs, n)
        stride, dilation, before = self.stride[dim], self.dilation[dim], self.padding[dim][0]
        offsets = range(-before, taps * dilation - before, dilation)
        return sum(
            max(0, min(steps, (ends - 1 - offset) // stride + 1) - max(0, -(offset // stride)))
            for offset in offsets
        )


def _integer(field: str, value: Any) -> int:
    """Return `value` as an int, or refuse what is no whole number."""
    return whole("geometry", field, value, error=GeometryError)


def _integers(field: str, value: Any, ndim: int) -> tuple[int, ...]:
    """Return one whole number per dimension, repeating a single one."""
    items = elements(value)
    if items is None:
        return (_integer(field, value),) * ndim
    numbers = tuple(_integer(field, number) for number in items)
    if len(numbers) != ndim:
        allowed = f"{ndim} number{'s' * (ndim > 1)}, one per kernel dimension"
        raise GeometryError(Refusal("geometry", field, numbers, allowed))
    return numbers


def _pairs(
    padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Return the padding as (before, after) per dimension; 'same' puts the odd one after."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            allowed = "'same', 'valid' or numbers"
            raise GeometryError(Refusal("geometry", "padding", padding, allowed))
        same = padding == "same"
        totals = [d * (k - 1) * same for k, d in zip(kernel, dilation, strict=True)]
        # With stride 1, n + total - extent + 1 outputs are n just where total is extent - 1.
        return tuple((total // 2, total - total // 2) for total in totals)
    entries = elements(padding)
    pairs = []
    for entry in (padding,) * len(kernel) if entries is None else entries:
        pair = elements(entry)
        pair = (entry, entry) if pair is None else pair
        if len(pair) != 2:
            raise GeometryError(
                Refusal("geometry", "padding", shown(pair), "one number, or (before, after)")
            )
        pairs.append((_integer("padding", pair[0]), _integer("padding", pair[1])))
    if len(pairs) != len(kernel):
        allowed = "one number, or one or a pair for each kernel dimension"
        raise GeometryError(Refusal("geometry", "padding", tuple(pairs), allowed))
    return tuple(pairs)
