"""The kernel seen by its taps, in the order that the matrix has: output channels, then input.

PyTorch keeps a convolution's weight as (out, in/groups, *kernel) and a transposed one's as
(in, out/groups, *kernel). Everything about matrices needs both as (groups, out/groups, in/groups,
*kernel), and often as one matrix a tap.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace
from jaxtyping import Shaped

from convlin.geometry import ConvGeometry

__all__ = ["by_group", "by_tap"]


def by_group(
    geometry: ConvGeometry, weight: Shaped[Any, "a b *kernel"]
) -> Shaped[Any, "groups out in *kernel"]:
    """Return the kernel as (groups, out/groups, in/groups, *kernel), a view."""
    xp = array_namespace(weight)
    groups, (first, second, *kernel) = geometry.groups, geometry.weight_shape
    split = xp.reshape(weight, (groups, first // groups, second, *kernel))
    if not geometry.transposed:
        return split
    return xp.permute_dims(split, (0, 2, 1, *range(3, split.ndim)))


def by_tap(
    geometry: ConvGeometry, weight: Shaped[Any, "a b *kernel"]
) -> Shaped[Any, "taps groups out in"]:
    """Return the kernel as one (out/groups, in/groups) matrix per tap and group."""
    xp = array_namespace(weight)
    kernel = by_group(geometry, weight)
    flat = xp.reshape(kernel, (*kernel.shape[:3], geometry.taps))
    return xp.permute_dims(flat, (3, 0, 1, 2))
