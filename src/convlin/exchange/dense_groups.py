"""Groups of a convolution at one input size: one dense matrix a group, zeros between them left out.

::

    flat(y)_g = A_g · flat(x)_g        A_g = the dense matrix of group g alone

The dense matrix of `dense_at_size.py` is these along its diagonal and zeros elsewhere: G times as
many numbers. A depthwise 3×3 convolution of 384 channels on 7×7 pixels is 384 matrices of 49×49,
3.7 MB in float32, where the one matrix is 1.4 GB.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from array_api_compat import array_namespace
from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.exchange.dense_at_size import DenseAtSize
from convlin.geometry import ConvGeometry
from convlin.matrix import dense_shape

__all__ = ["DenseGroups"]


class DenseGroups(DenseAtSize):
    """One input size, and A_g(w) a group: the weight is (G, rows/G, columns/G).

    >>> depthwise = ConvGeometry(384, 384, (3, 3), padding=1, groups=384)
    >>> [row(depthwise, (7, 7)).needed_bytes(False, 4) for row in (DenseAtSize, DenseGroups)]
    [1416167424, 3687936]
    """

    @property
    def one(self) -> DenseAtSize:
        """The exchange of one group alone."""
        g = self.geometry
        alone = ConvGeometry(
            g.in_channels // g.groups, g.out_channels // g.groups, g.kernel, g.stride, g.padding,
            g.dilation, 1, g.padding_mode, g.transposed, g.output_padding,
        )  # fmt: skip
        return DenseAtSize(alone, self.size)

    def weight(self, kernel: Shaped[Any, "o c *kernel"]) -> Shaped[Any, "groups rows columns"]:
        """Return A_g(w) of every group, as a new array."""
        one, xp = self.one, array_namespace(kernel)
        # Outputs come group after group, and so do a transposed convolution's inputs.
        parts = xp.reshape(kernel, (self.geometry.groups, *one.geometry.weight_shape))
        return xp.stack([one.weight(parts[g, ...]) for g in range(self.geometry.groups)], axis=0)

    def kernel(self, weight: Shaped[Any, "groups rows columns"]) -> Shaped[Any, "o c *kernel"]:
        """Return the kernels of all groups, one after the other."""
        one, xp = self.one, array_namespace(weight)
        return xp.concat([one.kernel(weight[g, ...]) for g in range(self.geometry.groups)], axis=0)

    def unfit(self, weight: Shaped[Any, "groups rows columns"]) -> tuple[Refusal, ...]:
        """Return a refusal for the first entry of each group that differs from others of its taps.

        >>> import numpy as np
        >>> two = DenseGroups(ConvGeometry(2, 2, (1,), groups=2), (2,))
        >>> print(*two.unfit(np.array([[[3, 0], [0, 3]], [[5, 0], [0, 7]]])))
        matrices: weight[1, 1, 1] is 7, expected 5 (as its tap weighs elsewhere)
        """
        shape = (self.geometry.groups, *dense_shape(self.one.geometry, self.size))
        if tuple(weight.shape) != shape:
            return (Refusal("matrices", "weight.shape", tuple(weight.shape), str(shape)),)
        return tuple(
            replace(odd, site="matrices", field=odd.field.replace("[", f"[{group}, ", 1))
            for group in range(shape[0])
            for odd in self.one.unfit(weight[group, ...])
        )

    def bias(self, bias: Shaped[Any, " o"]) -> Shaped[Any, " o"]:
        """Return the bias as it is: it is added once a channel."""
        return bias

    def needed_bytes(self, bias: bool, itemsize: int) -> int:
        """Return the bytes that the matrices and the bias take."""
        one = self.one.needed_bytes(False, itemsize)
        return one * self.geometry.groups + self.geometry.out_channels * bias * itemsize
