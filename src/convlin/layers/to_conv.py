"""`to_conv`: a fully connected layer as a convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, SupportsIndex

import torch
from torch import Tensor, nn

from convlin.arguments import flag, shown, whole, wholes
from convlin.errors import Description, Refusal, Refused
from convlin.exchange.columns import to_kernel
from convlin.exchange.flatten_order import AXIS_LETTERS, axes_of, element_order, to_map_order
from convlin.layers.forms.conv_forms import FullSizeConv, PointwiseConv
from convlin.layers.parameters import alias, holding, same_bias
from convlin.layers.stock_layer import CONVOLUTIONS, Conv, require_stock_layer
from convlin.matrix.tensors import to_numpy

__all__ = ["to_conv"]


def to_conv(
    linear: nn.Linear,
    feature_size: Sequence[SupportsIndex] | None = None,
    *,
    order: Any = None,
    ndim: int = 2,
    copy: bool = False,
) -> PointwiseConv | FullSizeConv:
    """Return `linear` as a convolution, drop-in: it takes what the Linear took.

    Without `feature_size`: a convolution of kernel 1 in `ndim` dimensions on every row,
    (..., in) → (..., out). With `feature_size` = (C, *spatial), in pixels: a kernel as large as
    the map, for vectors (..., C·H·W) and for maps of at least that size. Child `conv` is the
    convolution itself; `.to_linear()` gives the Linear back.

    `order` says how the map was flattened: a permutation of "CL", "CHW" or "CDHW" (default: just
    that), or whole numbers: vector element j is map element order[j] in C order. That is what
    comes out when arange(C·H·W).reshape(C, H, W) takes the model's own way to the Linear.

    Weights alias the Linear's, and the bias is the same parameter. `copy=True` copies both.

    Raises `Refused`: the Linear is none (hooks, parametrizations, a subclass's own forward …),
    `feature_size` does not multiply to in_features, or no view of the Linear's storage has this
    `order` and `copy` is False.

    Identity: Σ_j W[o, j]·x[j] = Σ_c Σ_t w[o, c, t]·x[c, t], where j runs through (c, t) (Long,
    Shelhamer and Darrell, "Fully convolutional networks", 2015, section 3.1).

    >>> import torch
    >>> linear = torch.nn.Linear(3 * 4 * 5, 7)
    >>> form = to_conv(linear, feature_size=(3, 4, 5), order="HWC")
    >>> form.conv.weight.shape, form.conv.weight.data_ptr() == linear.weight.data_ptr()
    (torch.Size([7, 3, 4, 5]), True)
    """
    require_stock_layer(linear, nn.Linear)
    copy, allowed = flag("to_conv", "copy", copy), "1, 2 or 3"
    ndim = whole("to_conv", "ndim", ndim, allowed=allowed)
    if ndim not in AXIS_LETTERS:
        raise Refused(Refusal("to_conv", "ndim", ndim, allowed))
    form: PointwiseConv | FullSizeConv
    if feature_size is None:
        if order is not None:
            raise Refused(Refusal("to_conv", "order", shown(order), "None without feature_size"))
        size = (linear.in_features, *(1,) * ndim)
        form = PointwiseConv(_conv(linear, size, tuple(range(ndim + 1)), None, copy))
    else:
        size = _feature_size(feature_size, linear.in_features)
        elements = element_order(_held(order), size)
        axes = axes_of(elements, size)
        if axes is None and not copy:
            raise Refused(
                Refusal("to_conv", "order", Description("an array that is no order of axes"),
                        "copy=True",
                        "no view of the Linear's storage holds the kernel in this order")
            )  # fmt: skip
        gathered = None if axes else torch.tensor(elements, device=linear.weight.device)
        axes = axes or tuple(range(len(size)))
        form = FullSizeConv(_conv(linear, size, axes, gathered, copy), axes, gathered)
    return form.train(linear.training)


def _feature_size(feature_size: Sequence[SupportsIndex], features: int) -> tuple[int, ...]:
    """Return (C, *spatial) as integers that multiply to the number of features."""
    allowed = "(C, L), (C, H, W) or (C, D, H, W)"
    size = wholes("to_conv", "feature_size", feature_size, allowed=allowed)
    if len(size) - 1 not in AXIS_LETTERS or min(size) < 1:
        raise Refused(Refusal("to_conv", "feature_size", size, allowed))
    if math.prod(size) != features:
        raise Refused(
            Refusal("to_conv", "feature_size", size, f"sizes whose product is {features}",
                    f"in_features, and not {math.prod(size)}")
        )  # fmt: skip
    return size


def _held(order: Any) -> Any:
    """Return an order that is a tensor as a NumPy array, anything else as it is."""
    return to_numpy(order, "order") if isinstance(order, Tensor) else order


def _conv(
    linear: nn.Linear,
    size: tuple[int, ...],
    axes: tuple[int, ...],
    elements: Tensor | None,
    copy: bool,
) -> Conv:
    """Return the convolution with kernel `size`; columns run over the map by axes or elements."""
    shape = (linear.out_features, *size)

    def kernel(rows: Tensor) -> Tensor:
        if elements is not None:
            rows = to_map_order(rows, elements)
        view: Tensor = to_kernel(rows, shape, axes)
        return view

    weight, bias = alias(linear.weight, kernel, copy), same_bias(linear.bias, copy)
    cls = CONVOLUTIONS[len(size) - 1, False]
    conv = holding(cls, size[0], linear.out_features, size[1:], weight=weight, bias=bias)
    return conv.train(linear.training)
