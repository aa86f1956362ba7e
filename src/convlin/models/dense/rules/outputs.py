"""What the model returns: every (N, …) becomes (N, …, *cells), one cell for each window.

A vector of one cell is there already. Of a map of several cells, a window's are neighbours on the
grid, and another window's some of the same: they are laid out behind each other as a view.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from convlin.models.dense import grid
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import BatchSecond, FeatureMap, NoElements
from convlin.models.dense.rules.alignment import coarsened
from convlin.models.graph.value import Constant
from convlin.models.graph.varying import mapped


def output(call: DenseCall, result: Any) -> tuple[Any, list[FeatureMap], tuple[int, ...]]:
    """Return what the network returns, its values, and the pixels from window to window."""
    values: list[FeatureMap] = []
    mapped(result, lambda value: values.append(_checked(call, value)) if isinstance(
        value, FeatureMap | Constant | BatchSecond | NoElements) else None)  # fmt: skip
    if not values:
        raise call.refused("output", result, "at least one tensor computed from the images")
    stride = tuple(math.lcm(*(p.axes[d].stride for p in values)) for d in range(call.ndim))

    def written(value: Any) -> Any:
        return _windows(call, value, stride) if isinstance(value, FeatureMap) else value

    return call.closed(mapped(result, written)), values, stride


def _windows(call: DenseCall, value: FeatureMap, stride: tuple[int, ...]) -> fx.Node:
    """Write the value of every window."""
    if not value.is_single:
        return _shaped(call, value, _unfolded(call, value, stride))
    coarse = coarsened(call, value, stride)
    slack = tuple(step - size for step, size in zip(stride, call.pixels, strict=True))
    node = coarse.node
    if tuple(axis.slack for axis in coarse.axes) != slack:
        node = call.function(grid.window_cells, coarse.node, call.images, call.pixels, stride)
    # (N, C), and (N, C, 1, 1), one cell of a map
    plain = value.roles is not None and value.roles[:1] in ((), (0,))
    return node if plain else _shaped(call, value, node)


def _unfolded(call: DenseCall, value: FeatureMap, stride: tuple[int, ...]) -> fx.Node:
    """Write the cells of every window, the windows behind them."""
    every = tuple(s // axis.stride for s, axis in zip(stride, value.axes, strict=True))
    return call.function(
        grid.cells_of_windows, value.node, call.images, call.pixels, stride, value.size,
        value.step, every,
    )  # fmt: skip


def _shaped(call: DenseCall, value: FeatureMap, node: fx.Node) -> fx.Node:
    """Write what the elements are in front of the cells in the model's own shape and order."""
    numbers = value.elements.flatten()
    whole = torch.equal(numbers, torch.arange(math.prod(value.map_shape), device="cpu"))
    order = None if whole else call.literal("order", numbers)
    return call.function(grid.shaped, node, value.shape, call.ndim, order)


def _checked(call: DenseCall, output: Any) -> FeatureMap:
    value = call.value(output)
    if value.is_whole:
        raise call.refused("output", value.shape, "one cell per window", "it was pooled over the "
                           "whole image")  # fmt: skip
    return value
