"""What the model returns: every (N, C) becomes (N, C, *cells), one cell per window."""

from __future__ import annotations

import math
from typing import Any

from torch.fx.node import map_aggregate

from convlin.models.dense import grid
from convlin.models.dense.call import Call
from convlin.models.dense.place import Constant, Place
from convlin.models.dense.registry import function
from convlin.models.dense.rules.joins import coarsened


@function("output", kind="output")
def output(call: Call, result: Any) -> None:
    """Write the outputs, all on one grid, cut to the cells that are windows."""
    places: list[Place] = []
    map_aggregate(result, lambda value: places.append(_checked(call, value)) if isinstance(
        value, Place | Constant) else None)  # fmt: skip
    if not places:
        raise call.refused("output", result, "at least one tensor made of the images")
    call.walk.places = places
    stride = tuple(math.lcm(*(p.axes[d].stride for p in places)) for d in range(call.ndim))
    call.walk.stride = stride

    def written(value: Any) -> Any:
        if not isinstance(value, Place):
            return value
        place = coarsened(call, value, stride)
        pixels = call.walk.window[1:]
        slack = tuple(step - size for step, size in zip(stride, pixels, strict=True))
        if tuple(axis.slack for axis in place.axes) == slack:
            return place.node
        return call.walk.function(grid.window_cells, place.node, call.walk.images, pixels, stride)

    call.walk.graph.output(map_aggregate(result, written))


def _checked(call: Call, value: Any) -> Place:
    place = call.place(value)
    if place.is_whole:
        raise call.refused("output", place.shape, "one cell per window", "it was pooled over the "
                           "whole image")  # fmt: skip
    if not place.is_single or place.roles is None:
        raise call.refused(
            "output",
            ("N", *place.shape),
            "(N, C), one cell per window",
            f"it is made of a map {place.map_shape}; another window may fit",
        )
    return place
