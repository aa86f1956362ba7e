"""Parameters that share storage, and layers made to hold them without allocating any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from convlin.geometry import ConvGeometry
from convlin.layers.stock_layer import CONVOLUTIONS, Conv
from convlin.matrix import require_own_memory

__all__ = ["alias", "conv_with", "layer_with", "same_bias"]

Layer = TypeVar("Layer", bound=nn.Module)


def alias(parameter: Tensor, view: Callable[[Tensor], Tensor], copy: bool = False) -> nn.Parameter:
    """Return a parameter on `view` of this one's storage (a copy of it, if asked).

    It asks for a gradient iff the given one does; that gradient is its own.
    """
    if copy:
        require_own_memory("copy=True", "parameter", parameter)
    seen = view(parameter.detach())
    return nn.Parameter(seen.clone() if copy else seen, requires_grad=parameter.requires_grad)


def same_bias(bias: Tensor | None, copy: bool = False) -> nn.Parameter | None:
    """Return the very same parameter, so that ties stay ties (a copy of it, if asked)."""
    if copy and bias is not None:
        return alias(bias, lambda whole: whole, copy=True)
    return cast("nn.Parameter | None", bias)  # torch declares biases as Tensor


def layer_with(
    cls: type[Layer], *sizes: Any, weight: nn.Parameter, bias: nn.Parameter | None, **options: Any
) -> Layer:
    """Return a `cls` (nn.Linear, nn.Conv2d, …) around these parameters; nothing is allocated."""
    layer = cls(*sizes, bias=bias is not None, device="meta", dtype=weight.dtype, **options)
    layer.weight = weight
    layer.register_parameter("bias", bias)
    return layer


def conv_with(
    geometry: ConvGeometry,
    spelling: Any,
    weight: nn.Parameter,
    bias: nn.Parameter | None,
    strides: tuple[int, ...] | None = None,
) -> Conv:
    """Return the convolution of a geometry around these parameters, its padding spelled so.

    The step of an axis of size 1 addresses nothing, yet tells memory formats apart: such steps are
    taken from `strides`.
    """
    g = geometry
    if strides is not None:
        steps = zip(weight.shape, weight.stride(), strides, strict=True)
        weight = alias(
            weight,
            lambda w: w.as_strided(w.shape, [old if n == 1 else now for n, now, old in steps]),
        )
    extra = {"output_padding": g.output_padding} if g.transposed else {}
    return layer_with(
        CONVOLUTIONS[g.ndim, g.transposed], g.in_channels, g.out_channels, g.kernel,
        stride=g.stride, padding=spelling, dilation=g.dilation, groups=g.groups,
        padding_mode=g.padding_mode, weight=weight, bias=bias, **extra,
    )  # fmt: skip
