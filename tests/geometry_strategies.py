"""Random convolutions with integer weights, the ids of written cases, and the probing oracle."""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st
from torch import nn

from convlin import ConvGeometry

MODES = ("zeros", "reflect", "replicate", "circular")


def named(mode: str) -> dict[str, str]:
    """Return how `recognize` is told of a padding mode that it does not search by itself."""
    return {"padding_mode": mode} if mode in ("reflect", "replicate") else {}


def integers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Return whole numbers from -9 to 9: sums of products of them are exact in float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-9, 10, shape, generator=generator).to(dtype)


def fill(layer: nn.Module, seed: int = 0) -> nn.Module:
    """Give the layer whole numbers for weights, in float64 unless it is told otherwise."""
    for place, parameter in enumerate(layer.parameters()):
        parameter.data.copy_(integers(*parameter.shape, seed=seed + place))
    return layer


def conv(ndim: int, *sizes: int, transposed: bool = False, **fields: object) -> nn.Module:
    """Return an nn.Conv or nn.ConvTranspose in float64 with whole numbers for weights."""
    name = f"Conv{'Transpose' if transposed else ''}{ndim}d"
    return fill(getattr(nn, name)(*sizes, dtype=torch.float64, **fields))


@st.composite
def convolutions(
    draw: st.DrawFn,
    ndims: tuple[int, ...] = (1, 2, 3),
    modes: tuple[str, ...] = MODES,
    transposed: bool = False,
    max_kernel: int = 4,
) -> tuple[nn.Module, tuple[int, ...]]:
    """Draw a convolution and an input size that it takes: everything that PyTorch can say."""
    ndim = draw(st.sampled_from(ndims))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    groups = draw(st.integers(1, 3))
    channels = [groups * draw(st.integers(1, 3)) for _ in range(2)]
    kernel, stride, dilation = each(1, max_kernel if ndim < 3 else 3), each(1, 3), each(1, 3)
    fields: dict[str, object] = {"bias": draw(st.booleans()), "groups": groups}
    if transposed:
        fields["output_padding"] = tuple(
            draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
        )
        fields["padding"] = each(0, 3)
    else:
        fields["padding_mode"] = draw(st.sampled_from(modes))
        same = draw(st.booleans()) if draw(st.booleans()) else False
        stride = (1,) * ndim if same else stride
        fields["padding"] = "same" if same else each(0, 3)
    layer = conv(
        ndim, *channels, kernel, transposed=transposed, stride=stride, dilation=dilation, **fields
    )
    layer = fill(layer, seed=draw(st.integers(0, 99)))
    smallest = ConvGeometry.of(layer).smallest_input
    extra = each(0, 4 if ndim < 3 else 2)
    return layer, tuple(n + more for n, more in zip(smallest, extra, strict=True))


def probe(layer: nn.Module, input_size: tuple[int, ...]) -> torch.Tensor:
    """Return the layer's matrix, column by column: its outputs for unit vectors, bias removed."""
    shape = (layer.in_channels, *input_size)
    units = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
    with torch.no_grad():
        zero = layer(torch.zeros(1, *shape, dtype=torch.float64))
        return (layer(units) - zero).flatten(1).T


def case_id(layer: nn.Module) -> str:
    """Return a readable id, such as conv2d-k3x2-s2-p1-d2-g4-reflect."""

    def by(values: object) -> str:
        if isinstance(values, str):
            return values
        return "x".join(map(str, values)) if len(set(values)) > 1 else str(values[0])

    parts = [type(layer).__name__.lower(), f"{layer.in_channels}to{layer.out_channels}"]
    parts.append(f"k{by(layer.kernel_size)}")
    for letter, field, usual in (("s", "stride", 1), ("p", "padding", 0), ("d", "dilation", 1)):
        value = getattr(layer, field)
        if value != (usual,) * len(layer.kernel_size):
            parts.append(f"{letter}{by(value)}")
    parts += [f"g{layer.groups}"] * (layer.groups > 1)
    parts += [layer.padding_mode] * (layer.padding_mode != "zeros")
    return "-".join(parts + ["nobias"] * (layer.bias is None))
