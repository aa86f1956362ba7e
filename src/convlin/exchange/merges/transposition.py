"""A layer as the convolution whose matrix, transposed, is its own.

A transposed convolution is Aᵀ for a convolution A of the very same weight, and A after B transposed
is Bᵀ Aᵀ: transposed convolutions merge as their convolutions do, in the other order. A convolution
of kernel 1 at every pixel is the transpose of another such, of the transposed weight.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Shaped

from convlin.exchange.array_functions import array_namespace
from convlin.geometry import ConvGeometry

__all__ = ["adjoint_geometry", "adjoint_weight", "is_pixelwise", "transposed_again"]


def is_pixelwise(geometry: ConvGeometry) -> bool:
    """Return whether every output pixel reads the input pixel at its own position, and no other.

    >>> is_pixelwise(ConvGeometry(3, 5, (1, 1))), is_pixelwise(ConvGeometry(3, 5, (1,), stride=2))
    (True, False)
    """
    return (
        geometry.taps == 1
        and max(geometry.stride) == 1
        and not any(map(any, geometry.padding))
        and not any(geometry.output_padding)
    )


def adjoint_geometry(geometry: ConvGeometry) -> ConvGeometry:
    """Return the convolution whose matrix is the transpose; of a convolution, if pixelwise."""
    if geometry.transposed:
        return geometry.adjoint
    return ConvGeometry(
        geometry.out_channels, geometry.in_channels, geometry.kernel, groups=geometry.groups
    )


def adjoint_weight(
    geometry: ConvGeometry, weight: Shaped[Any, "o c *kernel"]
) -> Shaped[Any, "c o *kernel"]:
    """Return the weight of that convolution, (c, o) for (o, c); the very same of a transposed one.

    >>> import numpy as np
    >>> adjoint_weight(ConvGeometry(2, 3, (1,)), np.arange(6).reshape(3, 2, 1))[..., 0]
    array([[0, 2, 4],
           [1, 3, 5]])
    """
    if geometry.transposed:
        return weight
    xp, g = array_namespace(weight), geometry
    parts = xp.reshape(weight, (g.groups, g.out_channels // g.groups, weight.shape[1], -1))
    shape = (g.in_channels, g.out_channels // g.groups, *g.kernel)
    return xp.reshape(xp.permute_dims(parts, (0, 2, 1, 3)), shape)


def transposed_again(geometry: ConvGeometry, output_padding: tuple[int, ...]) -> ConvGeometry:
    """Return the transposed convolution whose `.adjoint` this is."""
    g = geometry
    return ConvGeometry(
        g.out_channels, g.in_channels, g.kernel, g.stride, g.padding, g.dilation, g.groups,
        transposed=True, output_padding=output_padding,
    )  # fmt: skip
