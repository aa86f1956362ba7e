"""`to_conv`: a fully connected layer as a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from torch import Tensor, nn

from convlin.arguments import elements, flag, shown, whole, wholes
from convlin.errors import Description, Refusal, Refused
from convlin.exchange import choose_conv
from convlin.exchange.covering_kernel import CoveringKernel
from convlin.exchange.flatten_order import AXIS_LETTERS
from convlin.exchange.in_out import in_out
from convlin.exchange.kernel_matrix import KernelMatrix
from convlin.layers.forms.conv_forms import CoveringConv, PointwiseConv
from convlin.layers.gpt2_layer import is_gpt2_layer, require_gpt2_layer
from convlin.layers.map_size import map_size
from convlin.layers.parameters import alias, conv_with, same_bias
from convlin.layers.stock_layer import Conv, require_stock_layer
from convlin.matrix.tensors import to_numpy

__all__ = ["to_conv"]


def to_conv(
    linear: nn.Module,
    feature_size: Sequence[SupportsIndex] | None = None,
    *,
    order: Any = None,
    stride: SupportsIndex | Sequence[SupportsIndex] | None = None,
    ndim: int = 2,
    copy: bool = False,
) -> PointwiseConv | CoveringConv:
    """Return `linear` as a convolution, drop-in: it takes what the Linear took.

    Without `feature_size`: a convolution of kernel 1 in `ndim` dimensions on every row,
    (..., in) → (..., out). With `feature_size` = (C, *spatial), in pixels: a kernel as large as
    the map, for vectors (..., C·H·W) and for maps of at least that size. Child `conv` is the
    convolution itself; `.to_linear()` gives the Linear back. Read, initialised, saved and loaded,
    the form is the Linear: it has its attributes, its `.weight` and `.bias` (views) and its keys.

    `order` says how the map was flattened: a permutation of "CL", "CHW" or "CDHW" (default: just
    that), or whole numbers: vector element j is map element order[j] in C order. That is what
    comes out when arange(C·H·W).reshape(C, H, W) takes the model's own way to the Linear.

    `stride` is the convolution's on larger maps (default 1), in pixels: the map's own size for a
    Linear on patches that do not overlap, as in patch embeddings and Swin's patch merging.

    GPT-2's layers (`Conv1D` of transformers, weight (in, out)) are taken too: `.to_linear()` gives
    an nn.Linear and `.to_original()` a `Conv1D`.

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
    gpt2 = is_gpt2_layer(linear)
    if gpt2:
        require_gpt2_layer(linear)
    else:
        require_stock_layer(linear, nn.Linear)
    copy, allowed = flag("to_conv", "copy", copy), "1, 2 or 3"
    ndim = whole("to_conv", "ndim", ndim, allowed=allowed)
    if ndim not in AXIS_LETTERS:
        raise Refused(Refusal("to_conv", "ndim", ndim, allowed))
    given: Any = linear.weight
    outputs, features = reversed(given.shape) if gpt2 else given.shape
    if feature_size is None:
        said = {"order": order, "stride": stride}
        if odd := [name for name, value in said.items() if value is not None]:
            raise Refused(
                Refusal("to_conv", name, shown(said[name]), "None without feature_size")
                for name in odd
            )
        exchange = choose_conv(features, outputs, ndim=ndim)
    else:
        size = map_size("to_conv", feature_size, features)
        read = to_numpy(order, "order") if isinstance(order, Tensor) else order
        exchange = choose_conv(features, outputs, size, read, stride=_stride(stride, size[1:]))
    if gpt2:
        exchange = in_out(exchange)
    if not isinstance(exchange, CoveringKernel):
        rows = PointwiseConv(_conv(linear, exchange, copy), exchange)
        return rows.stand_for(linear).train(linear.training)
    if exchange.elements is not None and not copy:
        raise Refused(
            Refusal("to_conv", "order", Description("an array that is no order of axes"),
                    "copy=True",
                    "no view of the Linear's storage holds the kernel in this order")
        )  # fmt: skip
    maps = CoveringConv(_conv(linear, exchange, copy), exchange)
    return maps.stand_for(linear).train(linear.training)


def _stride(stride: Any, size: tuple[int, ...]) -> tuple[int, ...]:
    """Return the stride as one whole number ≥ 1 per dimension; 1 if it is not said."""
    if stride is None:
        return (1,) * len(size)
    allowed = f"a whole number ≥ 1, or one for each of {len(size)} dimensions"
    if elements(stride) is None:
        return (whole("to_conv", "stride", stride, 1, allowed=allowed),) * len(size)
    steps = wholes("to_conv", "stride", stride, 1, allowed=allowed)
    if len(steps) != len(size):
        raise Refused(Refusal("to_conv", "stride", steps, allowed))
    return steps


def _conv(linear: Any, exchange: KernelMatrix, copy: bool) -> Conv:
    """Return the convolution whose kernel the Linear's weight is."""
    weight = alias(linear.weight, exchange.kernel, copy)
    conv = conv_with(
        exchange.geometry, (0,) * exchange.geometry.ndim, weight, same_bias(linear.bias, copy)
    )
    return conv.train(linear.training)
