"""The kernel as a matrix: the weight map, and its inverse, of every exchange that slides.

A convolution's output at position p is a fully connected layer applied to the window of p::

    y[o, p] = Σ_c Σ_t  w[o, c, t] · x[c, p·stride + t·dilation - before]  + b[o]
            = Σ_k  M[o, k] · window(p)[k]  + b[o]          with k = (c, t), flattened

M is w with all axes but the first flattened, so it costs nothing: it is the same storage seen
as a matrix. In which *order* the axes (c, t₁, t₂, …) are flattened is free as long as windows
are flattened alike. A kernel in C order takes (c, t₁, t₂); a channels_last kernel has no such
view, but has one in the order (t₁, t₂, c): the axes sorted by stride. So weights stay shared.

The same map, read backwards, turns the matrix of a fully connected layer into a kernel. With
groups there is one matrix a group, or all are blocks of one (`block_diagonal.py`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.exchange import block_diagonal
from convlin.exchange.array_functions import array_namespace
from convlin.exchange.exchange import Exchange
from convlin.geometry import ConvGeometry

__all__ = ["KernelMatrix", "column_order", "flattens", "kernel_matrix", "to_kernel"]


@dataclass(frozen=True, repr=False)
class KernelMatrix(Exchange):
    """An exchange whose weight is the kernel seen as a matrix: (out, columns), a view.

    `order` is that of the columns, the axes (c, *kernel) counted from 0 = c; None is C order. With
    groups the weight is (G, out/G, columns), or with `blocks` (out, G·columns), which copies.
    """

    order: tuple[int, ...] | None = None
    blocks: bool = False

    @staticmethod
    def refusals(
        geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
    ) -> tuple[Refusal, ...]:
        """Return a refusal if this convolution is transposed: it has no windows then."""
        return (Refusal(geometry.kind, "transposed", True, "False"),) * geometry.transposed

    @property
    def axes(self) -> tuple[int, ...]:
        """The order of the columns, also where it is not said."""
        return tuple(range(1 + self.geometry.ndim)) if self.order is None else self.order

    @property
    def views(self) -> bool:
        """Whether there are no blocks, whose zeros no kernel has."""
        return not self.blocks

    def weight(self, kernel: Shaped[Any, "o c *kernel"]) -> Shaped[Any, "*rows columns"]:
        """Return M[o, k] = w[o, c, t], k = (c, t) flattened in `order`."""
        groups = self.geometry.groups
        rows = kernel_matrix(kernel, self.axes, groups if groups > 1 or self.blocks else None)
        return block_diagonal.to_blocks(rows) if self.blocks else rows

    def kernel(self, weight: Shaped[Any, "*rows columns"]) -> Shaped[Any, "o c *kernel"]:
        """Return w[o, c, t] = M[o, k], a view but of blocks."""
        rows = block_diagonal.to_rows(weight, self.geometry.groups) if self.blocks else weight
        return to_kernel(rows, self.geometry.weight_shape, self.axes)

    def unfit(self, weight: Shaped[Any, "*rows columns"]) -> tuple[Refusal, ...]:
        """Return a refusal for every weight off the blocks that is not 0."""
        return block_diagonal.leaks(weight, self.geometry.groups) if self.blocks else ()


def column_order(weight: Shaped[Any, "o c *kernel"]) -> tuple[int, ...] | None:
    """Return the order in which a view can flatten the axes (c, *kernel); None if no view can.

    Axes count from 0 = c. C order wins wherever it is possible.

    >>> import numpy as np
    >>> column_order(np.zeros((7, 3, 2, 5)))
    (0, 1, 2)
    >>> column_order(np.zeros((7, 2, 5, 3)).transpose(0, 3, 1, 2))  # channels_last
    (1, 2, 0)
    >>> column_order(np.zeros((7, 3, 2, 5))[:, :, :, ::2]) is None
    True
    """
    sizes, strides = weight.shape[1:], _strides(weight)[1:]
    natural = tuple(range(len(sizes)))
    by_stride = tuple(sorted(natural, key=lambda axis: -strides[axis]))
    return next((o for o in (natural, by_stride) if _flattens(sizes, strides, o)), None)


def flattens(array: Shaped[Any, "*size"], first: int, last: int) -> bool:
    """Return whether a view can hold the axes from `first` to `last` as one.

    >>> import numpy as np
    >>> weight = np.zeros((7, 3, 2, 5))
    >>> flattens(weight, 1, 2), flattens(weight.transpose(0, 2, 1, 3), 1, 2)
    (True, False)
    """
    axes = slice(first, last + 1)
    sizes = array.shape[axes]
    return _flattens(sizes, _strides(array)[axes], range(len(sizes)))


def kernel_matrix(
    weight: Shaped[Any, "o c *kernel"], order: Sequence[int], groups: int | None = None
) -> Shaped[Any, "*rows columns"]:
    """Return the kernel as the matrix (out, columns); with `groups`, as (G, out/G, columns).

    `columns` runs over (in/groups, *kernel) in `order`. A view wherever a view is possible.
    """
    xp = array_namespace(weight)
    outputs, columns = weight.shape[0], math.prod(weight.shape[1:])
    permuted = xp.permute_dims(weight, (0, *(axis + 1 for axis in order)))
    rows = (outputs,) if groups is None else (groups, outputs // groups)
    return xp.reshape(permuted, (*rows, columns))


def to_kernel(
    matrix: Shaped[Any, "*rows columns"], weight_shape: Sequence[int], order: Sequence[int]
) -> Shaped[Any, "o c *kernel"]:
    """Return the kernel that `kernel_matrix` made into `matrix`: its inverse, and always a view."""
    xp = array_namespace(matrix)
    outputs, *sizes = weight_shape
    unflat = xp.reshape(matrix, (outputs, *(sizes[axis] for axis in order)))
    back = [0] * len(order)
    for position, axis in enumerate(order):
        back[axis] = position + 1
    return xp.permute_dims(unflat, (0, *back))


def _strides(array: Any) -> tuple[int, ...]:
    """Return the steps of each axis in memory; only their ratios matter here."""
    return tuple(array.stride() if callable(getattr(array, "stride", None)) else array.strides)


def _flattens(sizes: Sequence[int], strides: Sequence[int], order: Sequence[int]) -> bool:
    """Return whether the axes in this order are one evenly spaced run of memory."""
    axes = [axis for axis in order if sizes[axis] != 1]
    return all(
        strides[outer] == strides[inner] * sizes[inner] for outer, inner in itertools.pairwise(axes)
    )
