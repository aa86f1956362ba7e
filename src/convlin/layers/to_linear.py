"""`to_linear`: a convolution as a fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, SupportsIndex, TypeAlias

from torch import nn

from convlin.arguments import choice, flag, shown, whole
from convlin.errors import Refusal, Refused
from convlin.exchange import Exchange, choose
from convlin.exchange.dense_at_size import DenseAtSize
from convlin.exchange.dense_groups import DenseGroups
from convlin.exchange.in_out import InOut
from convlin.exchange.kernel_matrix import KernelMatrix, column_order
from convlin.exchange.unpatchify import Unpatchify
from convlin.geometry import ConvGeometry
from convlin.layers.forms.dense_linear import BatchedDense, DenseLinear
from convlin.layers.forms.gpt2_linear import GPT2Linear
from convlin.layers.forms.linear_forms import (
    BatchedLinear,
    LinearForm,
    SlidingLinear,
)
from convlin.layers.forms.scattering_forms import BatchedScattering, ScatteringLinear
from convlin.layers.gpt2_layer import is_gpt2_layer, require_gpt2_layer
from convlin.layers.parameters import alias, same_bias
from convlin.layers.stock_layer import CONVOLUTIONS, Conv, require_stock_layer

__all__ = ["to_linear"]

Sliding: TypeAlias = SlidingLinear | BatchedLinear | ScatteringLinear | BatchedScattering

FORMS: dict[tuple[bool, bool], type[Sliding]] = {  # by (transposed, one matrix a group)
    (False, False): SlidingLinear, (False, True): BatchedLinear,
    (True, False): ScatteringLinear, (True, True): BatchedScattering,
}  # fmt: skip


def to_linear(
    conv: nn.Module,
    input_size: SupportsIndex | Sequence[SupportsIndex] | None = None,
    *,
    exchange: str | None = None,
    groups: Literal["batched", "block_diagonal"] = "batched",
    copy: bool = False,
    memory_limit: int = 2 * 2**30,
) -> LinearForm:
    """Return `conv` as a fully connected layer, drop-in: (N, C, *size) → (N, O, *out).

    The module has `.geometry`, `.exchange` (which of those below it is), `.to_conv()`, and one true
    `nn.Linear`, `.linear`; a convolution with groups has instead the parameter `.matrices`
    (G, O/G, columns), one matrix a group, unless `groups="block_diagonal"` asks for one Linear that
    holds them as blocks (a copy).

    The first of these that fits is taken, or the one that `exchange` names:

    - "pointwise": kernel 1; any stride, padding, groups.
    - "patchify": windows that do not overlap, as with kernel = stride.
    - "unpatchify": a transposed convolution whose outputs do not overlap, as with kernel = stride;
      the Linear then has no bias, which is added once a channel and stays `.bias` of the module.
    - "covering_kernel": a kernel that covers the whole input; needs `input_size`, in pixels.
    - "dense_at_size": any convolution, also any transposed one, at `input_size` as one dense Linear
      or, with groups, one dense matrix a group (copies); refused, with the number of bytes, above
      `memory_limit` bytes.
    - "windows": any convolution but transposed ones, at any size. Only when named, as overlapping
      windows are copied at every call.

    Weights share `conv`'s storage but where a copy is named above, and the bias is the same
    parameter but in "dense_at_size"; `copy=True` copies both. A channels_last weight is shared too:
    the Linear's columns then run over (*kernel, in) instead of (in, *kernel). Outputs are
    contiguous, or channels_last if the image is.

    GPT-2's layers (`Conv1D` of transformers, weight (in, out)) are taken too: `.linear.weight` is
    theirs, transposed, and `.to_conv()` gives a `Conv1D`.

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
    choice("to_linear", "groups", groups, ("batched", "block_diagonal"))
    copy = flag("to_linear", "copy", copy)
    memory_limit = whole("to_linear", "memory_limit", memory_limit)
    if is_gpt2_layer(conv):
        return _of_gpt2(conv, copy, input_size=input_size, exchange=exchange)
    require_stock_layer(conv, *CONVOLUTIONS.values())
    assert isinstance(conv, Conv)
    geometry = ConvGeometry.of(conv)
    chosen = choose(geometry, input_size, exchange)
    blocks = groups == "block_diagonal" and geometry.groups > 1
    if isinstance(chosen, DenseAtSize) and geometry.groups > 1 and not blocks:
        chosen = DenseGroups(geometry, chosen.size)
    _require_memory(conv, chosen, blocks, memory_limit)
    form: LinearForm
    if isinstance(chosen, DenseGroups):
        form = BatchedDense(conv, chosen)
    elif isinstance(chosen, DenseAtSize):
        form = DenseLinear(conv, chosen)
    else:
        assert isinstance(chosen, KernelMatrix)
        chosen = replace(chosen, order=_order(conv, copy or blocks), blocks=blocks)
        weight = alias(conv.weight, chosen.weight, copy and not blocks)  # blocks are a copy
        layer = FORMS[isinstance(chosen, Unpatchify), weight.ndim == 3]
        form = layer(weight, same_bias(conv.bias, copy), chosen, conv.weight.stride(), conv.padding)
    return form.stand_for(conv).train(conv.training)


def _of_gpt2(layer: Any, copy: bool, **unused: Any) -> GPT2Linear:
    """Return a layer of weight (in, out) as a Linear; what is said of pixels says nothing here."""
    require_gpt2_layer(layer)
    given = {name: value for name, value in unused.items() if value is not None}
    if given:
        raise Refused(
            Refusal("to_linear", name, shown(value), "None", f"{type(layer).__name__} is on rows")
            for name, value in given.items()
        )
    inputs, outputs = layer.weight.shape
    exchange = InOut(ConvGeometry(inputs, outputs, (1,)))
    weight = alias(layer.weight, exchange.weight, copy)
    form = GPT2Linear(weight, same_bias(layer.bias, copy), exchange)
    return form.stand_for(layer).train(layer.training)


def _order(conv: Conv, copies: bool) -> tuple[int, ...]:
    """Return the columns' order: one that the weight's storage has, else C order for a copy."""
    order = column_order(conv.weight)
    if order is not None:
        return order
    if not copies:
        reason = "no view of this storage holds the kernel as a matrix"
        raise Refused(
            Refusal(type(conv).__name__, "weight.stride()", conv.weight.stride(), "copy=True",
                    reason)
        )  # fmt: skip
    return tuple(range(conv.weight.ndim - 1))


def _require_memory(conv: Conv, exchange: Exchange, blocks: bool, limit: int) -> None:
    """Raise unless what the exchange copies is within the limit."""
    geometry, item = exchange.geometry, conv.weight.element_size()
    if isinstance(exchange, DenseAtSize):
        needed = exchange.needed_bytes(conv.bias is not None, item)
        each = " a group" if isinstance(exchange, DenseGroups) else ""
        what = f"a dense Linear{each} at {exchange.size}"
    elif blocks:
        needed = conv.weight.numel() * geometry.groups * item
        what = f"{geometry.groups} groups as blocks of one Linear"
    else:
        return
    if needed > limit:
        raise Refused(
            Refusal(geometry.kind, "memory_limit", limit, f"≥ {needed} bytes", f"{what} takes that")
        )
