"""`reorder_linear`: a Linear on a flattened map, for the same map flattened in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from torch import Tensor, nn

from convlin.exchange.flatten_order import element_order, reordered
from convlin.layers.map_size import map_size
from convlin.layers.parameters import alias, layer_with
from convlin.layers.stock_layer import require_stock_layer
from convlin.matrix.tensors import to_numpy

__all__ = ["reorder_linear"]


def reorder_linear(
    linear: nn.Linear, feature_size: Sequence[SupportsIndex], order: Any, to: Any = None
) -> nn.Linear:
    """Return the Linear that gives the same outputs for maps flattened in the order `to`.

    `linear` reads maps of `feature_size` = (C, *spatial) that were flattened in `order`, as a
    classifier trained channels-last reads "HWC"; the new one reads them in `to`, by default C
    order, which is what PyTorch's Flatten gives. Orders are as in `to_conv`: a permutation of "CL",
    "CHW" or "CDHW", or whole numbers: vector element j is map element order[j] in C order.

    The weight and bias are copies: no view has its columns permuted so. The way back is the same
    call with `order` and `to` changed over, bit for bit.

    Raises `Refused`: the Linear is none (hooks, a subclass's own forward …), `feature_size` does
    not multiply to in_features, or an order is none.

    Identity: Σ_j W[o, j]·x[order[j]] = Σ_k W'[o, k]·x[to[k]], where W'[o, k] = W[o, j] for the j
    with order[j] = to[k].

    >>> import torch
    >>> last = torch.nn.Linear(2 * 3 * 4, 5)  # trained on maps (H, W, C) = (3, 4, 2), flattened
    >>> first = reorder_linear(last, (2, 3, 4), "HWC")
    >>> maps = torch.randn(7, 2, 3, 4)
    >>> outputs = last(maps.permute(0, 2, 3, 1).flatten(1))
    >>> torch.allclose(first(maps.flatten(1)), outputs, atol=1e-5)
    True
    """
    require_stock_layer(linear, nn.Linear)
    site = "reorder_linear"
    size = map_size(site, feature_size, linear.in_features)
    given, due = (
        element_order(
            to_numpy(asked, name) if isinstance(asked, Tensor) else asked, size, site, name
        )
        for name, asked in (("order", order), ("to", to))
    )
    weight = alias(linear.weight, lambda rows: reordered(rows, given, due))
    bias = None if linear.bias is None else alias(linear.bias, lambda whole: whole, copy=True)
    new = layer_with(nn.Linear, linear.in_features, linear.out_features, weight=weight, bias=bias)
    return new.train(linear.training)
