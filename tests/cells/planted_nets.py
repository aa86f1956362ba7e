"""One mechanism a net: conv `a`, the mechanism, conv `b`, a Linear on the whole flattened map.

`b` is the layer under test: what windows share there has passed through the mechanism. The last
Linear reads every cell of `b`, so one wrong cell is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 4
# window, stride, image: several windows an axis, and a remainder
PLACES = {
    1: ((41,), (3,), (64,)),
    2: ((19, 22), (2, 3), (28, 35)),
    3: ((12, 11, 13), (1, 2, 1), (15, 16, 15)),
}
KERNELS = (3, 2, 3)


def of(name: str, d: int) -> Any:
    """Return `torch.nn`'s layer for so many dimensions: of("Conv", 2) is Conv2d."""
    return getattr(nn, f"{name}{d}d")


def conv(d: int, out: int = CHANNELS, kernel: Any = 3, into: int = CHANNELS, **options: Any) -> Any:
    return of("Conv", d)(into, out, kernel, **options)


def space(d: int) -> tuple[int, ...]:
    return tuple(range(2, 2 + d))


def pads(d: int, *last: int) -> tuple[int, ...]:
    """Return `last` (before, after) of the last axis; of every axis before it the other way round."""
    return last + last[::-1] * (d - 1)


Run = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Planted:
    """A mechanism: its layers for d dimensions, and what it makes of a map.

    `ends`: what the plan names as the end of sharing; otherwise windows share `b`. `minimal`: `b`
    has not one cell more than there are different values.
    """

    run: Run
    layers: Callable[[int], dict[str, nn.Module]] = field(default=lambda d: {})
    dims: tuple[int, ...] = (1, 2, 3)
    ends: str = ""
    minimal: bool = True


class Net(nn.Module):
    def __init__(self, planted: Planted, d: int) -> None:
        super().__init__()
        torch.manual_seed(11)
        self.d, self.run = d, planted.run
        self.a = conv(d, kernel=KERNELS[:d], into=2)
        for name, layer in planted.layers(d).items():
            setattr(self, name, layer)
        self.double().eval()
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                    module.running_mean.uniform_(-1, 1)
                    module.running_var.uniform_(0.5, 2)
            y = self.run(self, self.a(torch.zeros(1, 2, *PLACES[d][0]).double()).tanh())
            self.b = conv(d, 3, KERNELS[:d], into=y.shape[1]).double().eval()
            self.head = nn.Linear(self.b(y).numel(), 5).double().eval()

    def forward(self, x: Tensor) -> Tensor:
        y = self.run(self, self.a(x).tanh())
        return self.head(self.b(y).tanh().flatten(1))


def one(layer: Callable[[int], nn.Module], **options: Any) -> Planted:
    """Return the mechanism that is one layer."""
    return Planted(lambda m, y: m.one(y), lambda d: {"one": layer(d)}, **options)


def two(layer: Callable[..., nn.Module], first: Any, second: Any) -> Planted:
    """Return the mechanism that is two such layers."""
    return Planted(
        lambda m, y: m.two(m.one(y).tanh()),
        lambda d: {"one": layer(d, **first), "two": layer(d, **second)},
    )


def padded(mode: str, value: float = 0.0) -> Planted:
    return Planted(lambda m, y: functional.pad(y, pads(m.d, 2, 1), mode, value))


def padding(mode: str, **options: Any) -> Planted:
    return one(lambda d: conv(d, padding=(2, 1, 1)[:d], padding_mode=mode, **options))


def resized(mode: str, dims: tuple[int, ...] = (1, 2, 3), **options: Any) -> Planted:
    return Planted(lambda m, y: functional.interpolate(y, mode=mode, **options), dims=dims)


class SqueezeExcite(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.down, self.up = conv(d, 2, 1), conv(d, CHANNELS, 1, into=2)

    def forward(self, y: Tensor) -> Tensor:
        mean = y.mean(tuple(range(2, y.ndim)), keepdim=True)
        return y * self.up(self.down(mean).relu()).sigmoid()


class Constant(nn.Module):
    """Add one number a cell: along every axis, or along the first alone."""

    def __init__(self, *size: int) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.randn(1, CHANNELS, *size))

    def forward(self, y: Tensor) -> Tensor:
        return y + self.numbers


class Attention(nn.Module):
    """Every cell reads every cell: channels are keys, queries and values."""

    def forward(self, y: Tensor) -> Tensor:
        cells = y.flatten(2)
        weights = torch.bmm(cells.transpose(1, 2), cells).softmax(1)
        return torch.bmm(cells, weights).unflatten(2, y.shape[2:])


def written(y: Tensor) -> Tensor:
    """Write into the first cells of the last axis."""
    y = y.clone()
    y[..., :2] = 0.25
    return y


def overhanging(d: int, **options: Any) -> nn.Module:
    """Return an average pool whose last cell, along one axis at least, reads beyond the padding."""
    kernel, stride = (3, 2) if d == 3 else (4, 3)
    return of("AvgPool", d)(kernel, stride, padding=1, ceil_mode=True, **options)


def conv_transpose(d: int) -> nn.Module:
    return of("ConvTranspose", d)(CHANNELS, 5, 3, 2, 1, output_padding=1)


def pad_axis(y: Tensor, axis: int, value: float) -> Tensor:
    """Return the map with two more cells before and one more behind, along one axis."""
    behind = y.ndim - 1 - axis % y.ndim
    return functional.pad(y, (0, 0) * behind + (2, 1), value=value)


def map_of(d: int) -> tuple[int, ...]:
    """Return the size of `a`'s map."""
    return tuple(n - k + 1 for n, k in zip(PLACES[d][0], KERNELS, strict=False))


def last(y: Tensor) -> Tensor:
    return y.movedim(1, -1)


def first(y: Tensor) -> Tensor:
    return y.movedim(-1, 1)


def channels_last(m: Any, y: Tensor) -> Tensor:
    """The block of ConvNeXt."""
    z = last(m.deep(y))
    z = m.shrink(functional.gelu(m.grow(m.norm(z)))) * m.scale.weight[0]
    return y + first(z)


def cropped_residual(m: Any, y: Tensor) -> Tensor:
    return y[(..., *[slice(1, -1)] * m.d)] + m.one(y)


def shuffled(m: Any, y: Tensor) -> Tensor:
    return y.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2)


def focus(m: Any, y: Tensor) -> Tensor:
    even = tuple(n // 2 * 2 for n in y.shape[2:])
    y = y[(..., *(slice(n) for n in even))]
    return torch.cat([y[..., ::2], y[..., 1::2], y[..., 1::2].neg()], 1)


def along(how: Callable[[Tensor, int], Tensor]) -> Run:
    """Return what does so along every axis of space."""

    def run(m: Any, y: Tensor) -> Tensor:
        for axis in space(m.d):
            y = how(y, axis)
        return y

    return run


SHARED = {
    # convolutions
    "zeros": padding("zeros"),
    "reflect": padding("reflect"),
    "replicate": padding("replicate"),
    "circular": padding("circular"),
    "strided": one(lambda d: conv(d, stride=2, padding=1)),
    "dilated": one(lambda d: conv(d, dilation=2, padding=1)),
    "dilated-reflect": padding("reflect", dilation=2),
    "grouped": one(lambda d: conv(d, 6, padding=1, groups=2)),
    "depthwise-no-bias": one(lambda d: conv(d, padding=1, groups=CHANNELS, bias=False)),
    "same": one(lambda d: conv(d, kernel=3, padding="same", dilation=2)),
    "same-even": one(lambda d: conv(d, kernel=(4, 2, 2)[:d], padding="same")),
    "same-even-circular": one(
        lambda d: conv(d, kernel=(2, 4, 2)[:d], padding="same", padding_mode="circular")
    ),
    "kernel-smaller-than-stride": one(lambda d: conv(d, kernel=1, stride=2)),
    "padding-only": one(lambda d: conv(d, kernel=2, padding=2)),
    "one-module-twice": Planted(
        lambda m, y: m.one(m.one(y).tanh()), lambda d: {"one": conv(d, padding=1)}
    ),
    # the bias alone, beside what the second one pads with
    "kernel-1-padded": two(conv, {"kernel": 1, "padding": 2}, {"kernel": 2, "padding": 2}),
    "padding-of-three-modes": Planted(
        lambda m, y: m.three(m.two(m.one(y).tanh()).tanh()),
        lambda d: {name: conv(d, padding=1, padding_mode=mode) for name, mode in
                   (("one", "reflect"), ("two", "zeros"), ("three", "circular"))},
    ),
    # padding of its own
    "pad-zeros": padded("constant"),
    "pad-value": padded("constant", 0.7),
    "pad-reflect": padded("reflect"),
    "pad-replicate": padded("replicate"),
    "pad-circular": padded("circular"),
    "pad-negative": Planted(lambda m, y: functional.pad(y, pads(m.d, -1, 2), value=0.3)),
    "pad-one-side": one(lambda d: of("ConstantPad", d)((0, 2) + (0, 0) * (d - 1), 1.5)),
    "pads-of-two-values": Planted(
        lambda m, y: functional.pad(functional.pad(y, pads(m.d, 1, 0)), pads(m.d, 1, 0), value=2.0)
    ),
    "pad-zeros-before-padding-zeros": Planted(
        lambda m, y: m.one(functional.pad(y, pads(m.d, 1, 0))), lambda d: {"one": conv(d, padding=1)}
    ),
    "pad-changed-before-padding": Planted(
        lambda m, y: m.one(functional.pad(y, pads(m.d, 2, 1)).add(1).sqrt()),
        lambda d: {"one": conv(d, kernel=2, padding=1)},
    ),
    "pad-before-kernel-1": Planted(
        lambda m, y: m.two(m.one(functional.pad(y, pads(m.d, 2, 1), value=0.7))),
        lambda d: {"one": conv(d, kernel=1), "two": conv(d, kernel=2, padding=1)},
    ),
    "pad-before-batch-norm": Planted(
        lambda m, y: m.one(functional.pad(y, pads(m.d, 2, 1))),
        lambda d: {"one": of("BatchNorm", d)(CHANNELS)},
    ),
    "pad-before-average": Planted(
        lambda m, y: m.one(functional.pad(y, pads(m.d, 3, 2), value=-0.4)),
        lambda d: {"one": of("AvgPool", d)(2, 1)},
    ),
    "pad-beside-padding": Planted(
        lambda m, y: torch.cat([functional.pad(y, pads(m.d, 2, 0), value=1.0), m.one(y)], 1),
        lambda d: {"one": conv(d, padding=2)},
    ),
    "pads-added": Planted(
        lambda m, y: functional.pad(y, pads(m.d, 2, 1)) + functional.pad(y, pads(m.d, 1, 2), value=0.5)
    ),
    "pads-crossing": Planted(
        lambda m, y: pad_axis(pad_axis(pad_axis(y, 2, 1.0), -1, 2.0), 2, 3.0), dims=(2, 3)
    ),
    "pads-crossing-changed": Planted(
        lambda m, y: pad_axis(pad_axis(y, 2, 1.0).neg(), -1, 2.0).neg(), dims=(2, 3)
    ),
    "pad-sliced-away": Planted(
        lambda m, y: functional.pad(y, pads(m.d, 2, 2), value=1.0)[(..., *[slice(2, -1)] * m.d)]
    ),
    "pad-rolled-inwards": Planted(
        lambda m, y: functional.pad(y, pads(m.d, 2, 2), value=1.0).roll([3] * m.d, space(m.d))
    ),
    "pad-upsampled": Planted(
        lambda m, y: m.one(functional.pad(y, pads(m.d, 1, 1), value=1.0)),
        lambda d: {"one": conv_transpose(d)},
    ),
    "pad-zeros-before-max": Planted(
        lambda m, y: m.one(functional.pad(y - 2, pads(m.d, 1, 0))),
        lambda d: {"one": of("MaxPool", d)(3, 1, padding=1)}, minimal=False,
    ),
    "pad-zeros-before-average": Planted(
        lambda m, y: m.one(functional.pad(y, pads(m.d, 2, 1))),
        lambda d: {"one": of("AvgPool", d)(3, 1, padding=1, count_include_pad=False)},
    ),
    # pools
    "max": one(lambda d: of("MaxPool", d)(3, 2, padding=1), minimal=False),
    "max-ceil": one(lambda d: of("MaxPool", d)(2, 2, ceil_mode=True), minimal=False),
    "max-ceil-padded": one(lambda d: of("MaxPool", d)(3, 2, padding=1, ceil_mode=True), minimal=False),
    "max-dilated": one(lambda d: of("MaxPool", d)(2, 1, padding=1, dilation=2), minimal=False),
    "average": one(lambda d: of("AvgPool", d)(2)),
    "average-padded": one(lambda d: of("AvgPool", d)(3, 1, padding=1)),
    "average-uncounted": one(lambda d: of("AvgPool", d)(3, 1, padding=1, count_include_pad=False)),
    "average-ceil": one(lambda d: of("AvgPool", d)(2, 2, ceil_mode=True)),
    "average-ceil-padded": one(overhanging),
    "average-ceil-uncounted": one(lambda d: overhanging(d, count_include_pad=False)),
    "average-ceil-overhang-of-padding": one(
        lambda d: of("AvgPool", d)(4, 3, padding=2, ceil_mode=True), dims=(1, 2)
    ),
    "average-divisor": one(
        lambda d: of("AvgPool", d)(3, 1, padding=1, divisor_override=5), dims=(2, 3)
    ),
    "average-ceil-divisor": one(
        lambda d: overhanging(d, divisor_override=7), dims=(2, 3)
    ),
    "adaptive-dividing": Planted(
        lambda m, y: m.one(y[(..., *(slice(n // 2 * 2) for n in y.shape[2:]))]),
        lambda d: {"one": of("AdaptiveAvgPool", d)(tuple(n // 2 for n in map_of(d)))},
    ),
    "adaptive-to-itself": one(lambda d: of("AdaptiveAvgPool", d)(map_of(d))),
    # joins
    "residual": Planted(lambda m, y: y + m.one(y), lambda d: {"one": conv(d, padding=1)}),
    "residual-cropped": Planted(cropped_residual, lambda d: {"one": conv(d)}),
    "residual-strided": Planted(
        lambda m, y: m.one(y) + m.two(y),
        lambda d: {"one": conv(d, stride=2, padding=1), "two": conv(d, kernel=1, stride=2)},
    ),
    "concatenated": Planted(
        lambda m, y: torch.cat([y, m.one(y), m.two(y)], 1),
        lambda d: {"one": conv(d, 3, padding=1, padding_mode="replicate"),
                   "two": of("MaxPool", d)(3, 1, padding=1)},
    ),
    "maximum": Planted(
        lambda m, y: torch.maximum(y, m.one(y)), lambda d: {"one": conv(d, padding=1)}, minimal=False
    ),
    "halves": Planted(
        lambda m, y: torch.cat([y.chunk(2, 1)[1], m.one(y[:, :2])], 1),
        lambda d: {"one": conv(d, 3, padding=1, into=2)},
    ),
    "stacked": Planted(
        lambda m, y: torch.stack([y, m.one(y)]).sum(0), lambda d: {"one": conv(d, padding=1)}
    ),
    # what is the same for every cell
    "batch-norm": one(lambda d: of("BatchNorm", d)(CHANNELS)),
    "channels-last": Planted(
        channels_last,
        lambda d: {"deep": conv(d, padding=1, groups=CHANNELS), "norm": nn.LayerNorm(CHANNELS),
                   "grow": nn.Linear(CHANNELS, 9), "shrink": nn.Linear(9, CHANNELS),
                   "scale": nn.Embedding(1, CHANNELS)},
    ),
    "channel-softmax": Planted(lambda m, y: (3 * y).softmax(1)),
    "channel-mean": Planted(lambda m, y: y - y.mean(1, keepdim=True)),
    "channel-normalize": Planted(lambda m, y: functional.normalize(y, dim=1)),
    "channel-shuffle": Planted(shuffled),
    "prelu": one(lambda d: nn.PReLU(CHANNELS, 0.3)),
    "glu": Planted(lambda m, y: functional.glu(y, 1)),
    "local-response-norm": one(lambda d: nn.LocalResponseNorm(3, alpha=2.0)),
    "constant-alike-everywhere": one(lambda d: Constant(*[1] * d)),
    # other places
    "flip": Planted(lambda m, y: y.flip(space(m.d))),
    "flip-and-back": Planted(
        lambda m, y: m.one(y.flip(-1)).flip(-1), lambda d: {"one": conv(d, padding=(2, 1, 1)[:d])}
    ),
    "flip-of-a-strided": Planted(lambda m, y: m.one(y).flip(-1), lambda d: {"one": conv(d, stride=2)}),
    "roll": Planted(lambda m, y: y.roll((2,) * m.d, space(m.d))),
    "slice": Planted(lambda m, y: y[(..., *[slice(2, -1)] * m.d)]),
    "every-other": Planted(lambda m, y: y[(..., *[slice(1, None, 2)] * m.d)]),
    "narrow": Planted(along(lambda y, axis: y.narrow(axis, 1, y.shape[axis] - 2))),
    "focus": Planted(focus),
    "index": Planted(along(lambda y, axis: y.index_select(axis, torch.arange(1, y.shape[axis], 2)))),
    # upsampling
    "nearest": resized("nearest", scale_factor=2),
    "nearest-exact": resized("nearest-exact", scale_factor=2),
    "nearest-3": one(lambda d: nn.Upsample(scale_factor=3)),
    "linear-1d": resized("linear", (1,), scale_factor=2),
    "linear-1d-by-3": resized("linear", (1,), scale_factor=3),
    "bilinear": resized("bilinear", (2,), scale_factor=2),
    "trilinear": resized("trilinear", (3,), scale_factor=2),
    "bilinear-of-a-strided": Planted(
        lambda m, y: functional.interpolate(m.one(y), scale_factor=2, mode="bilinear"),
        lambda d: {"one": conv(d, stride=2, padding=1)}, dims=(2,),
    ),
    "linear-1d-by-1.5": resized("linear", (1,), scale_factor=1.5),
    "nearest-by-1.5": resized("nearest", scale_factor=1.5),
    "nearest-exact-by-1.5": resized("nearest-exact", scale_factor=1.5),
    "nearest-to-a-size": Planted(
        lambda m, y: functional.interpolate(y, tuple(n + 7 for n in y.shape[2:]))
    ),
    "bilinear-by-1.5": resized("bilinear", (2,), scale_factor=1.5),
    "bilinear-down": resized("bilinear", (2,), scale_factor=0.5),
    "pixel-unshuffle": Planted(
        lambda m, y: functional.pixel_unshuffle(y[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2], 2),
        dims=(2,),
    ),
    "transposed": one(conv_transpose),
    "transposed-stride-1": one(lambda d: of("ConvTranspose", d)(CHANNELS, 5, 3)),
    "transposed-with-gaps": one(lambda d: of("ConvTranspose", d)(CHANNELS, 5, 1, 2)),
    "transposed-grouped-dilated": one(
        lambda d: of("ConvTranspose", d)(CHANNELS, 6, 2, 3, 2, groups=2, dilation=2)
    ),
    "transposed-cut": one(lambda d: of("ConvTranspose", d)(CHANNELS, 5, 5, 2, 3, bias=False)),
    "pixel-shuffle": one(lambda d: nn.PixelShuffle(2), dims=(2,)),
    # along space
    "concatenated-in-space": Planted(
        lambda m, y: torch.cat([y, m.one(y), y], -1), lambda d: {"one": conv(d, padding=1)}
    ),
    "concatenated-with-itself": Planted(lambda m, y: torch.cat([y, y.neg()], 2)),
}  # fmt: skip

ENDS = {
    "squeeze-excite": (one(SqueezeExcite), "one"),
    "group-norm": (one(lambda d: nn.GroupNorm(2, CHANNELS)), "one"),
    "instance-norm": (one(lambda d: of("InstanceNorm", d)(CHANNELS)), "one"),
    "layer-norm-of-all": (one(lambda d: nn.LayerNorm((CHANNELS, *map_of(d)))), "one"),
    "softmax-over-a-row": (one(lambda d: nn.Softmax(-1)), "one"),
    "minus-its-mean": (Planted(lambda m, y: y - y.mean(space(m.d), keepdim=True)), "mean"),
    "over-its-largest": (Planted(lambda m, y: y / y.abs().amax(-1, keepdim=True)), "amax"),
    "cumulated": (Planted(lambda m, y: y.cumsum(-1)), "cumsum"),
    "constant-of-each-cell": (one(lambda d: Constant(*map_of(d))), "one"),
    "attention": (one(lambda d: Attention()), "one"),
    "height-for-width": (Planted(lambda m, y: y.transpose(2, 3), dims=(2, 3)), "b"),
    "matrix-over-a-row": (one(lambda d: nn.Linear(map_of(d)[-1], 17)), "one"),
    "sorted": (Planted(lambda m, y: y.sort(-1).values), "sort"),
}

# What makes more or other cells than it takes, or takes them by their number.
BETWEEN = (
    "nearest-exact",
    "nearest-by-1.5",
    "nearest-to-a-size",
    "linear-1d-by-3",
    "bilinear",
    "trilinear",
    "bilinear-by-1.5",
    "transposed",
    "transposed-stride-1",
    "transposed-with-gaps",
    "transposed-grouped-dilated",
    "transposed-cut",
    "pixel-shuffle",
    "pixel-unshuffle",
    "index",
    "narrow",
    "concatenated-in-space",
    "concatenated-with-itself",
)

# Rarer ones: shared or not, they are right.
EITHER = {
    "adaptive-not-dividing": one(lambda d: of("AdaptiveAvgPool", d)(tuple(n // 2 - 1 for n in map_of(d)))),
    "adaptive-max-not-dividing": one(
        lambda d: of("AdaptiveMaxPool", d)(tuple(n // 2 - 1 for n in map_of(d)))
    ),
    "adaptive-growing": one(lambda d: of("AdaptiveAvgPool", d)(tuple(n + 3 for n in map_of(d)))),
    "power-average": one(lambda d: of("LPPool", d)(2, 2)),
    "nearest-by-2.02": resized("nearest", scale_factor=2.02),  # twice the size, at other places
    "bilinear-corners": resized("bilinear", (2,), scale_factor=2, align_corners=True),
    "bilinear-antialias": resized("bilinear", (2,), scale_factor=0.7, antialias=True),
    "bicubic": resized("bicubic", (2,), scale_factor=2),
    "linear-corners": resized("linear", (1,), scale_factor=2, align_corners=True),
    "trilinear-corners": resized("trilinear", (3,), scale_factor=2, align_corners=True),
    "repeated": Planted(lambda m, y: y.repeat(1, 1, 2, *[1] * (m.d - 1))),
    "each-twice": Planted(lambda m, y: y.repeat_interleave(2, -1)),
    "cells-by-a-list": Planted(lambda m, y: y[..., [4, 5, 5, 6, 2, 1, 0, 8]]),
    "zeros-behind": Planted(lambda m, y: torch.cat([y, torch.zeros_like(y[..., :2])], -1)),
    "einsum-over-channels": Planted(
        lambda m, y: torch.einsum("bc...,oc->bo...", y, m.one.weight), lambda d: {"one": nn.Linear(CHANNELS, 6)}
    ),
    "where": Planted(lambda m, y: torch.where(y > 0.1, y, y.square() - 0.3)),
    "masked": Planted(lambda m, y: y * (y > 0.2).to(y.dtype)),
    "clamped": Planted(lambda m, y: y.clamp(-0.3, 0.4) - 0.5),
    "rows-have-numbers": Planted(
        lambda m, y: m.one(y), lambda d: {"one": Constant(map_of(d)[0], *[1] * (d - 1))}, dims=(2, 3)
    ),
    "channels-as-batch": Planted(
        lambda m, y: m.one(y.reshape(-1, 1, *y.shape[2:])).reshape(-1, CHANNELS, *y.shape[2:]),
        lambda d: {"one": conv(d, 1, padding=1, into=1)},
    ),
    "stacked-as-depth": Planted(
        lambda m, y: m.one(y.unsqueeze(1)).flatten(1, 2),
        lambda d: {"one": conv(d + 1, 2, padding=1, into=1)}, dims=(1, 2),
    ),
    "a-row-for-all": Planted(lambda m, y: y + y[:, :, :1]),
    "mean-of-rows": Planted(lambda m, y: y - y.mean(2, keepdim=True), dims=(2, 3)),
    "mean-expanded": Planted(
        lambda m, y: torch.cat([y, y.mean(space(m.d), keepdim=True).expand(-1, -1, *y.shape[2:])], 1)
    ),
    "unfolded": Planted(
        lambda m, y: functional.unfold(y, 3).unflatten(2, tuple(n - 2 for n in y.shape[2:])), dims=(2,)
    ),
    "differences": Planted(lambda m, y: y.diff(dim=-1)),
    "windows-of-the-map": Planted(lambda m, y: y.unfold(-1, 3, 2).amax(-1)),
    "triangle": Planted(lambda m, y: y.tril(1), dims=(2, 3)),
    "one-cell-written": Planted(lambda m, y: written(y)),
}  # fmt: skip
