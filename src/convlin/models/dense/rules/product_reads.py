"""What a product reads of a map, and what is known of its result: cells, or a map at once."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx, nn

from convlin.models.dense import layout
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import DeferredPool, FeatureMap

__all__ = ["behind_cells", "behind_map", "exchanged_text", "is_of_cells", "require_whole_map"]


def is_of_cells(value: FeatureMap) -> bool:
    """Whether the last axis is the channels of one cell."""
    if isinstance(value, DeferredPool):
        return False
    if value.roles is not None:
        return value.roles[-1:] == (0,)
    cells = layout.cells_of_tokens(value.elements, value.map_shape)
    return cells is not None and cells.ndim > 0


def require_whole_map(call: DenseCall, value: FeatureMap) -> None:
    """Refuse what is not every element of a map, once."""
    whole = torch.arange(math.prod(value.map_shape), device="cpu")
    alone = math.prod(value.shape[:-1]) == 1
    if not alone or not torch.equal(value.elements.flatten().sort().values, whole):
        raise call.refused("input", value.shape, "the channels of a cell, or all of the map once",
                           f"the map is {value.map_shape}")  # fmt: skip


def behind_cells(call: DenseCall, value: FeatureMap, node: fx.Node, channels: int) -> FeatureMap:
    """Return the value behind other channels in every cell, lying as it did."""
    if value.roles is not None:
        return value.moved(node, channels=channels, source=call.node)
    cells = layout.cells_of_tokens(value.elements, value.map_shape)
    assert cells is not None
    count = math.prod(value.size)
    numbers = cells[..., None] + count * torch.arange(channels, device="cpu")
    return value.moved(node, channels=channels, numbers=numbers, source=value.source)


def behind_map(call: DenseCall, value: FeatureMap, node: fx.Node, channels: int) -> FeatureMap:
    """Return the one cell of every window that a kernel over the whole map makes."""
    read = value.unpooled if isinstance(value, DeferredPool) else value.axes
    axes = tuple(axis.windowed(axis.size) for axis in read)
    roles = (*(None for _ in value.shape[1:]), 0)
    return FeatureMap(node, channels, axes, roles, call.node)


def exchanged_text(call: DenseCall, linear: nn.Linear, conv: Any, note: str) -> str:
    """Return the exchange in a line."""
    kernel = conv.kernel_size
    if call.head == "linear" and "computed" not in note:
        note += ", run as a Linear at every cell"
    taps = str(kernel[0]) if len(set(kernel)) == 1 else "×".join(map(str, kernel))
    apart = f" d{'×'.join(map(str, conv.dilation))}" if max(conv.dilation) > 1 else ""
    return (
        f"Linear {linear.in_features}→{linear.out_features} ⇒ {type(conv).__name__} "
        f"{conv.in_channels}→{conv.out_channels} k{taps}{apart}{note}"
    )
