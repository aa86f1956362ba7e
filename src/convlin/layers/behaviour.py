"""Whether a layer does what its attributes say: asked once, on a few whole numbers.

Exchanges read a layer's attributes, and PyTorch's own code does not read all of them: a circular
Conv2d pads by numbers that were noted when it was made, and nothing looks at `in_channels` again.
An attribute set later, a weight replaced by a smaller one, or a class whose `forward` was replaced
make a layer that is not what it says. So

1. sizes that the parameters' own shapes deny are refused by name;
2. the layer's class runs on a stand-in with all attributes of the layer but few channels, and its
   outputs must be those of the function that the attributes describe. Whole numbers in float64
   are exact in any order of summation, so *equal* means equal.

Where the smallest input that tells attributes apart is too large to be run (a dilation of
thousands), step 1 alone decides. Neither looks at the layer's own numbers, so layers on the meta
device are asked alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, one_line
from convlin.geometry import ConvGeometry, short
from convlin.internals.modules import ConvBase, TransposedConvBase, noted_padding
from convlin.layers import sliding

__all__ = ["IN", "OUT", "denied", "denied_bias", "misdescribed", "rows_differ"]

# Numbers of an input or output of the stand-in, 32 MiB in float64: with more, every exchange of a
# layer of large dilation waits for it; with fewer, such a layer is asked about its sizes alone.
LARGEST = 2**22
# Of the stand-in: at most so many groups, and channels a group. One alone would not show in which
# order they lie; more cost time at every exchange and show nothing else.
GROUPS, IN, OUT = 2, 2, 3
SAYS = "what its attributes say: {}"
CONV: dict[tuple[int, bool], Any] = {
    (1, False): torch.conv1d, (2, False): torch.conv2d, (3, False): torch.conv3d,
    (1, True): torch.conv_transpose1d, (2, True): torch.conv_transpose2d,
    (3, True): torch.conv_transpose3d,
}  # fmt: skip


@singledispatch
def misdescribed(
    layer: nn.Module, base: type[nn.Module], weight: Tensor, bias: Tensor | None
) -> Iterable[Refusal]:
    """Return a refusal for every attribute of an nn.Linear or nn.Conv that is not so.

    `base` is the class whose code the layer runs, `weight` and `bias` what it computes with. Other
    kinds of layers register how they are asked. Raises `GeometryError` for attributes that
    describe no convolution at all.

    >>> conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    >>> conv.padding = (0, 0)
    >>> [refusal] = misdescribed(conv, nn.Conv2d, conv.weight, conv.bias)
    >>> refusal.field, refusal.value, refusal.allowed
    ('padding', (0, 0), '((1, 1), (1, 1))')
    """
    return ()


@misdescribed.register
def _(
    layer: nn.Linear, base: type[nn.Module], weight: Tensor, bias: Tensor | None
) -> Iterable[Refusal]:
    return list(_linear_sizes(layer, weight, bias)) or list(
        rows_differ(layer, base, in_features=IN, out_features=OUT)
    )


@misdescribed.register
def _(
    layer: ConvBase, base: type[nn.Module], weight: Tensor, bias: Tensor | None
) -> Iterable[Refusal]:
    geometry = ConvGeometry.of(layer)
    sizes = list(_conv_sizes(layer, base, geometry, weight, bias))
    return sizes or list(_conv_differs(layer, base, geometry))


def _linear_sizes(layer: nn.Linear, weight: Tensor, bias: Tensor | None) -> Iterator[Refusal]:
    names = ("out_features", "in_features")
    yield from denied(layer, dict(zip(names, weight.shape, strict=False)), weight)
    if weight.ndim != 2:
        yield Refusal(type(layer).__name__, "weight.shape", tuple(weight.shape), "(out, in)")
    yield from denied_bias(layer, layer.out_features, bias)


def _conv_sizes(
    layer: ConvBase,
    base: type[nn.Module],
    geometry: ConvGeometry,
    weight: Tensor,
    bias: Tensor | None,
) -> Iterator[Refusal]:
    transposed = issubclass(base, TransposedConvBase)
    if layer.transposed != transposed:
        yield Refusal(type(layer).__name__, "transposed", layer.transposed, str(transposed),
                      "what its class computes")  # fmt: skip
        return
    outputs, inputs = (1, 0) if transposed else (0, 1)
    shape = list(weight.shape)
    if len(shape) == 2 + geometry.ndim:
        shape[1] *= geometry.groups
        implied = {
            "in_channels": shape[inputs],
            "out_channels": shape[outputs],
            "kernel_size": tuple(shape[2:]),
        }
        yield from denied(layer, implied, weight)
    else:
        allowed = f"{2 + geometry.ndim} dimensions"
        yield Refusal(type(layer).__name__, "weight.shape", tuple(shape), allowed)
    yield from denied_bias(layer, geometry.out_channels, bias)


def denied(layer: Any, implied: dict[str, Any], weight: Tensor) -> Iterator[Refusal]:
    """Yield a refusal for every attribute that the weight's shape denies."""
    for name, value in implied.items():
        says = getattr(layer, name)
        if (tuple(says) if isinstance(value, tuple) else says) != value:
            groups = f" and groups = {layer.groups}" if isinstance(layer, ConvBase) else ""
            yield Refusal(type(layer).__name__, name, says, str(value),
                          f"weight.shape = {tuple(weight.shape)}{groups}")  # fmt: skip


def denied_bias(layer: nn.Module, outputs: int, bias: Tensor | None) -> Iterator[Refusal]:
    """Yield a refusal for a bias that is not one number an output."""
    if bias is not None and bias.shape != (outputs,):
        yield Refusal(type(layer).__name__, "bias.shape", tuple(bias.shape), f"({outputs},)")


def rows_differ(
    layer: nn.Module, base: type[nn.Module], in_first: bool = False, **sizes: int
) -> Iterator[Refusal]:
    """Yield a refusal unless a fully connected layer's class computes x·weightᵀ + bias.

    `in_first`: of a weight (in, out), x·weight + bias. `sizes` are the layer's attributes of size,
    for `IN` inputs and `OUT` outputs.
    """
    weight, bias, x = _whole(OUT, IN), _whole(OUT), _whole(GROUPS, IN)
    twin = _stand_in(layer, base, weight.T if in_first else weight, bias, **sizes)
    if does := _unlike(base, twin, x, torch.addmm(bias, x, weight.T)):
        computed = "x·weight + bias" if in_first else "x·weightᵀ + bias"
        yield Refusal(type(layer).__name__, "forward", does, SAYS.format(computed))


def _conv_differs(
    layer: ConvBase, base: type[nn.Module], geometry: ConvGeometry
) -> Iterator[Refusal]:
    g = geometry
    groups = min(GROUPS, g.groups)
    size = _distinguishing_size(g)
    area = max(math.prod(size), math.prod(g.output_size(size)), g.taps)
    if area * max(IN, OUT) * groups > LARGEST:
        return
    weight = _whole(*((IN * groups, OUT) if g.transposed else (OUT * groups, IN)), *g.kernel)
    bias, x = _whole(OUT * groups), _whole(1, IN * groups, *size)
    run = CONV[g.ndim, g.transposed]
    if g.transposed:
        before = tuple(side for side, _ in g.padding)
        y = run(x, weight, bias, g.stride, before, g.output_padding, groups, g.dilation)
    else:
        y = run(sliding.pad(x, g.padding, g.padding_mode), weight, bias, g.stride, 0, g.dilation,
                groups)  # fmt: skip
    twin = _stand_in(
        layer, base, weight, bias,
        in_channels=IN * groups, out_channels=OUT * groups, groups=groups,
    )  # fmt: skip
    does = _unlike(base, twin, x, y)
    if not does:
        return
    noted = noted_padding(layer)
    if g.padding_mode != "zeros" and noted not in (None, g.padding):
        reason = f"what the layer pads {g.padding_mode}: it was set when the layer was made"
        yield Refusal(type(layer).__name__, "padding", layer.padding, str(noted), reason)
    else:
        described = SAYS.format(f"{g.kind} {short(g)}")
        yield Refusal(type(layer).__name__, "forward", does, described)


def _distinguishing_size(g: ConvGeometry) -> tuple[int, ...]:
    """Return a small input size at which every attribute shows.

    Two outputs show the stride, and two pixels more than the padding tell the padding modes apart;
    no two dimensions are alike.
    """
    if g.transposed:
        return tuple(max(n, 2) + dim for dim, n in enumerate(g.smallest_input))
    return tuple(
        max(least, extent + stride - sum(pads), max(pads) + 2) + dim
        for dim, (least, extent, stride, pads) in enumerate(
            zip(g.smallest_input, g.extent, g.stride, g.padding, strict=True)
        )
    )


def _stand_in(
    layer: nn.Module, base: type[nn.Module], weight: Tensor, bias: Tensor, **sizes: int
) -> nn.Module:
    """Return a module of class `base` with the layer's attributes, but these parameters."""
    twin = base.__new__(base)
    own = {"_parameters": {"weight": weight, "bias": bias}, "_buffers": {}, "_modules": {}}
    computed = ("weight", "bias")  # by hooks, which set them as plain attributes
    attributes = {name: value for name, value in vars(layer).items() if name not in computed}
    vars(twin).update(attributes, **own, **sizes)
    return twin


def _unlike(base: type[nn.Module], twin: nn.Module, x: Tensor, y: Tensor) -> Description | None:
    """Return what the class's code computes of `x` if that is not `y`."""
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            outputs = base.forward(twin, x)
    except Exception as error:
        return Description(one_line(error))
    if isinstance(outputs, Tensor) and torch.equal(outputs, y):
        return None
    shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    return Description(f"other outputs, of shape {shape} where {tuple(y.shape)} were due")


def _whole(*shape: int) -> Tensor:
    """Return small whole numbers in float64 on the CPU, without order or symmetry.

    Not drawn: a random operation would be one more thing for a watching proof to doubt.
    """
    n = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64, device="cpu")
    return torch.remainder(n * n * 7 + n * 3, 23).sub(11).view(shape)
