"""Values that meet cell by cell must lie on one grid.

Equal grids have equal stride and step; one may have more cells than the other for some image
sizes (⌊(H + slack)/stride⌋), and is then cut to the smaller. A finer grid is thinned out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from convlin.models.dense import grid
from convlin.models.dense.axis import Axis
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import FeatureMap

__all__ = ["aligned", "coarsened", "mixed_axes"]


def aligned(call: DenseCall, values: Sequence[FeatureMap]) -> list[FeatureMap]:
    """Return the values on one and the same grid, thinned out or cut where they were not."""
    fine = [value for value in values if not value.is_whole]
    if len(fine) < 2:
        return list(values)
    stride = tuple(math.lcm(*(p.axes[d].stride for p in fine)) for d in range(call.ndim))
    thinned = {id(value): coarsened(call, value, stride) for value in fine}
    fine = [thinned[id(value)] for value in fine]
    if any(axis.step != a.step for p in fine for axis, a in zip(p.axes, fine[0].axes, strict=True)):
        raise call.refused("distance of cells", [value.step for value in fine], "the same",
                           "behind different adaptive pools")  # fmt: skip
    cut = {id(value): _cut(call, value, fine) for value in fine}
    return [value if value.is_whole else cut[id(thinned[id(value)])] for value in values]


def coarsened(call: DenseCall, value: FeatureMap, stride: tuple[int, ...]) -> FeatureMap:
    """Return the value on a grid of this stride."""
    thinned = [axis.coarsened(s) for axis, s in zip(value.axes, stride, strict=True)]
    axes = tuple(axis for axis in thinned if axis is not None)
    if len(axes) < len(thinned):
        raise call.refused("stride", [axis.stride for axis in value.axes], f"{stride}",
                           "its cells do not lie on the other's grid")  # fmt: skip
    every = tuple(s // axis.stride for axis, s in zip(value.axes, stride, strict=True))
    if all(n == 1 for n in every):
        return value
    ranges = tuple((0, 0, n) for n in every)
    node = call.function(grid.take_cells, value.node, ranges)
    return replace(value, axes=axes, node=node)


def _cut(call: DenseCall, value: FeatureMap, values: Sequence[FeatureMap]) -> FeatureMap:
    """Return the value with the cells that all of them have, for every image size."""
    node, axes = value.node, []
    for dim, axis in enumerate(value.axes):
        least = min(values, key=lambda other: other.axes[dim].slack)
        if axis.slack > least.axes[dim].slack:
            node = call.function(grid.shorten, node, dim + 2, least.node)
        axes.append(axis.at_most(least.axes[dim].slack))
    return replace(value, node=node, axes=tuple(axes))


def mixed_axes(values: Sequence[FeatureMap]) -> tuple[Axis, ...]:
    """Return the axes of a value computed cell by cell from all of them."""
    maps = [value for value in values if not value.is_whole] or list(values)
    axes = list(maps[0].axes)
    for value in maps[1:]:
        axes = [axis.mixed(other) for axis, other in zip(axes, value.axes, strict=True)]
    whole = frozenset().union(*(value.culprits for value in values if value.is_whole))
    return tuple(axis.breaking(whole) for axis in axes)
