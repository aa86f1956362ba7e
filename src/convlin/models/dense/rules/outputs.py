"""What the model returns: every (N, C) becomes (N, C, *cells), one cell per window."""

from __future__ import annotations

import math
from typing import Any

from torch.fx.node import map_aggregate

from convlin.models.dense import grid
from convlin.models.dense.call import Call
from convlin.models.dense.registry import function
from convlin.models.dense.rules.joins import coarsened
from convlin.models.dense.value import Constant, MapValue


@function("output", kind="output")
def output(call: Call, result: Any) -> None:
    """Write the outputs, all on one grid, cut to the cells that are windows."""
    values: list[MapValue] = []
    map_aggregate(result, lambda value: values.append(_checked(call, value)) if isinstance(
        value, MapValue | Constant) else None)  # fmt: skip
    if not values:
        raise call.refused("output", result, "at least one tensor computed from the images")
    call.walk.outputs = values
    stride = tuple(math.lcm(*(p.axes[d].stride for p in values)) for d in range(call.ndim))
    call.walk.stride = stride

    def written(value: Any) -> Any:
        if not isinstance(value, MapValue):
            return value
        coarse = coarsened(call, value, stride)
        pixels = call.walk.window[1:]
        slack = tuple(step - size for step, size in zip(stride, pixels, strict=True))
        if tuple(axis.slack for axis in coarse.axes) == slack:
            return coarse.node
        return call.walk.function(grid.window_cells, coarse.node, call.walk.images, pixels, stride)

    call.walk.graph.output(map_aggregate(result, written))


def _checked(call: Call, output: Any) -> MapValue:
    value = call.value(output)
    if value.is_whole:
        raise call.refused("output", value.shape, "one cell per window", "it was pooled over the "
                           "whole image")  # fmt: skip
    if not value.is_single or value.roles is None:
        raise call.refused(
            "output",
            ("N", *value.shape),
            "(N, C), one cell per window",
            f"it is made of a map {value.map_shape}; another window may fit",
        )
    return value
