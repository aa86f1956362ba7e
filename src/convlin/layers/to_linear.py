"""`to_linear`: a convolution as a fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, SupportsIndex

from torch import nn

from convlin.arguments import choice, flag, whole
from convlin.errors import Refusal, Refused
from convlin.exchange import Exchange, block_diagonal, choose, columns
from convlin.exchange.fixed_size import needed_bytes
from convlin.geometry import ConvGeometry
from convlin.layers.forms.dense_at_size import FixedSizeLinear
from convlin.layers.forms.linear_forms import (
    BatchedLinear,
    BlockDiagonalLinear,
    LinearForm,
    SlidingLinear,
)
from convlin.layers.parameters import alias, holding, same_bias
from convlin.layers.stock_layer import CONVOLUTIONS, Conv, require_stock_layer

__all__ = ["to_linear"]


def to_linear(
    conv: Conv,
    input_size: SupportsIndex | Sequence[SupportsIndex] | None = None,
    *,
    exchange: str | None = None,
    groups: Literal["batched", "block_diagonal"] = "batched",
    copy: bool = False,
    memory_limit: int = 2 * 2**30,
) -> LinearForm:
    """Return `conv` as a fully connected layer, drop-in: (N, C, *size) → (N, O, *out).

    The module has `.geometry`, `.exchange` (which of those below it is), `.to_conv()`, and one true
    `nn.Linear`, `.linear`; a convolution with groups has instead the parameter `.weight`
    (G, O/G, columns), one matrix a group, unless `groups="block_diagonal"` asks for one Linear that
    holds them as blocks (a copy).

    The first of these that fits is taken, or the one that `exchange` names:

    - "pointwise": kernel 1; any stride, padding, groups.
    - "patchify": windows that do not overlap, as with kernel = stride.
    - "full_size": a kernel that covers the whole input; needs `input_size`, in pixels.
    - "fixed_size": any convolution, transposed ones too, at `input_size` as one dense Linear
      (a copy); refused, with the number of bytes, above `memory_limit` bytes.
    - "windows": any convolution but transposed ones, at any size. Only when named, as overlapping
      windows are copied at every call.

    Weights share `conv`'s storage but where a copy is named above, and the bias is the same
    parameter but in "fixed_size"; `copy=True` copies both. A channels_last weight is shared too:
    the Linear's columns then run over (*kernel, in) instead of (in, *kernel). Outputs are
    contiguous, or channels_last if the image is.

    Raises `Refused` with everything that does not fit; also for layers that compute more than
    their class says (hooks, parametrizations, weight_norm, a subclass's own forward), and where
    no view of the weight's storage is a matrix and `copy` is False. Raises `GeometryError` where
    `input_size` is too small.

    Identity: y[o, p] = Σ_c Σ_t w[o, c, t]·x[c, p·stride + t·dilation - before], a sum over the
    window of p (Chellapilla, Puri and Simard, "High performance convolutional neural networks for
    document processing", 2006).

    >>> import torch
    >>> form = to_linear(torch.nn.Conv2d(3, 8, kernel_size=4, stride=4))
    >>> form.linear, form(torch.zeros(2, 3, 9, 13)).shape
    (Linear(in_features=48, out_features=8, bias=True), torch.Size([2, 8, 2, 3]))
    >>> form.to_conv()
    Conv2d(3, 8, kernel_size=(4, 4), stride=(4, 4))
    """
    require_stock_layer(conv, *CONVOLUTIONS.values())
    geometry = ConvGeometry.of(conv)
    choice("to_linear", "groups", groups, ("batched", "block_diagonal"))
    copy = flag("to_linear", "copy", copy)
    memory_limit = whole("to_linear", "memory_limit", memory_limit)
    made_by = choose(geometry, input_size, exchange)
    if made_by.name == "fixed_size" and input_size is not None:
        size = geometry.sizes(input_size)
        needed = needed_bytes(geometry, size, conv.bias is not None, conv.weight.element_size())
        _require_memory(geometry, f"a dense Linear at {size}", needed, memory_limit)
        return FixedSizeLinear(conv, geometry, made_by, size).train(conv.training)
    if geometry.groups > 1 and groups == "batched":
        return _batched(conv, geometry, made_by, copy).train(conv.training)
    return _sliding(conv, geometry, made_by, copy, memory_limit).train(conv.training)


def _batched(conv: Conv, geometry: ConvGeometry, exchange: Exchange, copy: bool) -> BatchedLinear:
    order = _order(conv, copy)
    weight = alias(conv.weight, lambda w: columns.kernel_matrix(w, order, geometry.groups), copy)
    bias = same_bias(conv.bias, copy)
    return BatchedLinear(
        weight, bias, geometry, exchange, order, conv.weight.stride(), conv.padding
    )


def _sliding(
    conv: Conv, geometry: ConvGeometry, exchange: Exchange, copy: bool, memory_limit: int
) -> SlidingLinear:
    """Return the form with one Linear: its weight is the kernel, or the groups' as blocks."""
    g = geometry.groups
    needed = conv.weight.numel() * g * conv.weight.element_size()
    if g > 1:
        _require_memory(geometry, f"{g} groups as blocks of one Linear", needed, memory_limit)
    order = _order(conv, copy or g > 1)
    if g == 1:
        weight = alias(conv.weight, lambda w: columns.kernel_matrix(w, order), copy)
    else:
        weight = alias(
            conv.weight, lambda w: block_diagonal.to_blocks(columns.kernel_matrix(w, order, g))
        )
    linear = holding(
        nn.Linear, weight.shape[1], weight.shape[0], weight=weight, bias=same_bias(conv.bias, copy)
    )
    form = SlidingLinear if g == 1 else BlockDiagonalLinear
    return form(linear, geometry, exchange, order, conv.weight.stride(), conv.padding)


def _order(conv: Conv, copies: bool) -> tuple[int, ...]:
    """Return the columns' order: one that the weight's storage has, else C order for a copy."""
    order = columns.column_order(conv.weight)
    if order is not None:
        return order
    if not copies:
        reason = "no view of this storage holds the kernel as a matrix"
        raise Refused(
            Refusal(type(conv).__name__, "weight.stride()", conv.weight.stride(), "copy=True",
                    reason)
        )  # fmt: skip
    return tuple(range(conv.weight.ndim - 1))


def _require_memory(geometry: ConvGeometry, what: str, needed: int, limit: int) -> None:
    """Raise unless `needed` bytes are within the limit."""
    if needed > limit:
        raise Refused(
            Refusal(geometry.kind, "memory_limit", limit, f"≥ {needed} bytes", f"{what} takes that")
        )
