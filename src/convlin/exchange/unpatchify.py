"""Outputs that do not overlap: a transposed convolution is a Linear on every pixel.

::

    patch(y, p)[o, t] = Σ_c w[c, o, t] · x[c, p]        y[o, p·stride + t·dilation - before] += b[o]

Pixel p writes the outputs p·stride … p·stride + extent - 1. Where the extent is at most the stride
no two pixels write the same one, so there is nothing to add up: the patches lie side by side, with
zeros where the stride leaves gaps. The bias is added after that, once a channel, gaps included, so
it stays what it was. Padding only cuts the border off, and output_padding adds zeros behind.

The weight (in, out/groups, *kernel) is a matrix with its inputs first: the kernel matrix of
`kernel_matrix.py`, transposed. Kernel = stride is 1×1 and depth-to-space (pixel shuffle), as in
the decoders of U-Nets (Shi et al., "Is the deconvolution layer the same as a convolutional
layer?", 2016).
"""

from __future__ import annotations

import operator
from typing import Any, ClassVar

from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.exchange import block_diagonal
from convlin.exchange.array_functions import array_namespace
from convlin.exchange.kernel_matrix import KernelMatrix, kernel_matrix, to_kernel
from convlin.geometry import ConvGeometry

__all__ = ["Unpatchify"]


class Unpatchify(KernelMatrix):
    """Disjoint outputs: the kernel matrix, transposed, applied to every pixel.

    The weight is (rows, in), with groups (G, rows, in/G); its rows run over (out/groups, *kernel)
    in `order`.
    """

    name: ClassVar[str] = "unpatchify"

    @staticmethod
    def refusals(
        geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
    ) -> tuple[Refusal, ...]:
        """Return everything that makes this one's outputs overlap; nothing if none do.

        >>> layer = ConvGeometry(3, 8, kernel=(2, 3), stride=(2, 2), transposed=True)
        >>> print(*Unpatchify.refusals(layer))
        ConvTranspose2d: stride is (2, 2), expected (2, 3), at least the extent (2, 3) (outputs overlap)
        """  # noqa: E501
        if not geometry.transposed:
            return (Refusal(geometry.kind, "transposed", False, "True"),)
        if all(map(operator.le, geometry.extent, geometry.stride)):
            return ()
        apart = tuple(map(max, geometry.extent, geometry.stride))
        allowed = f"{apart}, at least the extent {geometry.extent}"
        return (Refusal(geometry.kind, "stride", geometry.stride, allowed, "outputs overlap"),)

    @property
    def sides(self) -> tuple[tuple[int, int], ...]:
        """What to pad (before, after) around the patches that lie side by side; < 0 cuts off.

        They are n·stride outputs; the layer's are those from `before` on, and the last patch is
        extent + output_padding - after long.

        >>> Unpatchify(ConvGeometry(1, 1, (2,), stride=5, padding=1, transposed=True)).sides
        ((-1, -4),)
        """
        g = self.geometry
        dims = zip(g.padding, g.extent, g.output_padding, g.stride, strict=True)
        return tuple(
            (-before, extent + extra - after - step)
            for (before, after), extent, extra, step in dims
        )

    def weight(self, kernel: Shaped[Any, "c o *kernel"]) -> Shaped[Any, "*rows c"]:
        """Return M[(o, t), c] = w[c, o, t], a view but of blocks."""
        groups = self.geometry.groups
        columns = kernel_matrix(kernel, self.axes, groups if groups > 1 or self.blocks else None)
        rows = _swapped(columns)
        return block_diagonal.to_blocks(rows) if self.blocks else rows

    def kernel(self, weight: Shaped[Any, "*rows c"]) -> Shaped[Any, "c o *kernel"]:
        """Return w[c, o, t] = M[(o, t), c], a view but of blocks."""
        rows = block_diagonal.to_rows(weight, self.geometry.groups) if self.blocks else weight
        return to_kernel(_swapped(rows), self.geometry.weight_shape, self.axes)


def _swapped(matrices: Shaped[Any, "*groups a b"]) -> Shaped[Any, "*groups b a"]:
    return array_namespace(matrices).moveaxis(matrices, -1, -2)
