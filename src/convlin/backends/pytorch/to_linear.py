"""`to_linear`: a convolution as a fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, SupportsIndex

from torch import nn

from convlin.backends.pytorch.linear_forms import (
    BatchedLinear,
    BlockDiagonalLinear,
    LinearForm,
    SlidingLinear,
)
from convlin.backends.pytorch.parameters import alias, holding, same_bias
from convlin.backends.pytorch.reading import CONVOLUTIONS, require_plain
from convlin.errors import Refusal, Refused
from convlin.exchange import block_diagonal, columns
from convlin.exchange.table import choose
from convlin.geometry import ConvGeometry

__all__ = ["to_linear"]


def to_linear(
    conv: nn.Module,
    input_size: Sequence[SupportsIndex] | None = None,
    *,
    exchange: str | None = None,
    groups: Literal["batched", "block_diagonal"] = "batched",
    copy: bool = False,
    memory_limit: int = 2 * 2**30,
) -> LinearForm:
    """Return `conv` as a fully connected layer."""
    require_plain(conv, *CONVOLUTIONS.values())
    geometry = ConvGeometry.of(conv)
    name = choose(geometry, input_size, exchange, memory_limit, conv.weight.element_size())
    if name == "fixed_size":
        raise NotImplementedError
    order = columns.column_order(conv.weight)
    if order is None:
        if not copy and not (geometry.groups > 1 and groups == "block_diagonal"):
            raise Refused(
                Refusal(type(conv).__name__, "weight.stride()", conv.weight.stride(), "copy=True",
                        "no view of this storage holds the kernel as a matrix")
            )  # fmt: skip
        order = tuple(range(geometry.ndim + 1))
    form = (geometry, conv.padding, order, conv.weight.stride())
    bias = same_bias(conv.bias, copy)
    if geometry.groups == 1:
        weight = alias(conv.weight, lambda kernel: columns.to_rows(kernel, order), copy)
        linear = holding(nn.Linear, weight.shape[1], weight.shape[0], weight=weight, bias=bias)
        module = SlidingLinear(linear, *form)
    elif groups == "batched":
        weight = alias(
            conv.weight, lambda kernel: columns.to_rows(kernel, order, geometry.groups), copy
        )
        module = BatchedLinear(weight, bias, *form)
    else:
        raise NotImplementedError
    return module.train(conv.training)
