"""Products with the matrix of a convolution and its adjoint, and their gradient, by PyTorch.

With x padded to the cells that are read, whatever the padding mode::

    gather:   y = W ⋆ pad(x)                pixels to cells, PyTorch's convolution
    scatter:  x = padᴴ(W ⋆ᴴ y)              cells to pixels, the gradient of that by its input
    weigh:    Σ over cells of ȳ·pad(x)      the gradient of ⟨y, W ⋆ pad(x)⟩ by W

A convolution gathers and its adjoint scatters; a transposed convolution scatters and its adjoint
gathers. `pad` makes the map just as long as the windows reach, so that stride and output padding
need no case of their own. PyTorch's convolutions sum in one matrix product what
`convlin.matrix.correlate`, which needs no PyTorch, sums tap by tap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from scipy.sparse.linalg import LinearOperator
from torch import Tensor
from torch.nn import functional, grad

from convlin.geometry import ConvGeometry
from convlin.matrix import ConvMatrix
from convlin.matrix.taps import folded

__all__ = ["Correlation", "products"]

CONVOLVE = (functional.conv1d, functional.conv2d, functional.conv3d)
BY_INPUT = (grad.conv1d_input, grad.conv2d_input, grad.conv3d_input)
BY_WEIGHT = (grad.conv1d_weight, grad.conv2d_weight, grad.conv3d_weight)


class Correlation:
    """A convolution at one input size, from `pixels`, which windows read, to `cells`."""

    def __init__(self, geometry: ConvGeometry, input_size: tuple[int, ...]) -> None:
        inputs = (geometry.in_channels, *input_size)
        outputs = (geometry.out_channels, *geometry.output_size(input_size))
        self.pixels, self.cells = (outputs, inputs) if geometry.transposed else (inputs, outputs)
        self._geometry, self._which = geometry, geometry.ndim - 1
        self._how = (geometry.stride, 0, geometry.dilation, geometry.groups)
        reach = zip(self.cells[1:], geometry.stride, geometry.extent, strict=True)
        self._lengths = [(m - 1) * stride + extent for m, stride, extent in reach]
        self._pad = (_Zeros if geometry.padding_mode == "zeros" else _Copies)(
            geometry, self.pixels[1:], self._lengths
        )

    def gather(self, weight: Tensor, x: Shaped[Tensor, "k of *n"]) -> Shaped[Tensor, "k to *m"]:
        """Return the cells of `k` maps of pixels."""
        return CONVOLVE[self._which](self._pad(x), weight, None, *self._how)

    def scatter(self, weight: Tensor, y: Shaped[Tensor, "k to *m"]) -> Shaped[Tensor, "k of *n"]:
        """Return the pixels that `k` maps of cells send to, by the adjoint of `gather`."""
        by_input: Any = BY_INPUT[self._which]
        shape = (len(y), self.pixels[0], *self._lengths)
        return self._pad.adjoint(by_input(shape, weight, y, *self._how))

    def weigh(
        self, x: Shaped[Tensor, "k of *n"], y: Shaped[Tensor, "k to *m"]
    ) -> Shaped[Tensor, "a b *kernel"]:
        """Return the gradient of Re⟨y, gather(W, x)⟩ by W."""
        by_weight: Any = BY_WEIGHT[self._which]
        gradient: Tensor = by_weight(self._pad(x), self._geometry.weight_shape, y, *self._how)
        return gradient


class _Zeros:
    """Zeros around the pixels, and without the pixels that no window reaches."""

    def __init__(
        self, geometry: ConvGeometry, pixels: Sequence[int], lengths: Sequence[int]
    ) -> None:
        sides = zip(geometry.padding, pixels, lengths, strict=True)
        spans = [(min(lo, end), min(lo + n, end), n, end) for (lo, _), n, end in sides]
        self._read: tuple[Any, ...] = (..., *(slice(stop - start) for start, stop, _, _ in spans))
        self._inside: tuple[Any, ...] = (..., *(slice(start, stop) for start, stop, _, _ in spans))
        # Of the last dimension first, as PyTorch wants them.
        self._around = [a for start, stop, _, end in spans[::-1] for a in (start, end - stop)]
        self._behind = [a for start, stop, n, _ in spans[::-1] for a in (0, n - (stop - start))]

    def __call__(self, x: Shaped[Tensor, "k c *n"]) -> Shaped[Tensor, "k c *lengths"]:
        return functional.pad(x[self._read], self._around)

    def adjoint(self, x: Shaped[Tensor, "k c *lengths"]) -> Shaped[Tensor, "k c *n"]:
        return functional.pad(x[self._inside], self._behind)


class _Copies:
    """Copies of pixels around them, along one dimension after the other."""

    def __init__(
        self, geometry: ConvGeometry, pixels: Sequence[int], lengths: Sequence[int]
    ) -> None:
        sides = zip(geometry.padding, pixels, lengths, strict=True)
        tables = [folded(geometry, n, np.arange(end) - lo) for (lo, _), n, end in sides]
        self._index = [torch.from_numpy(table) for table in tables]
        self._pixels = pixels

    def __call__(self, x: Shaped[Tensor, "k c *n"]) -> Shaped[Tensor, "k c *lengths"]:
        for axis, index in enumerate(self._index, 2):
            x = x.index_select(axis, index)
        return x

    def adjoint(self, x: Shaped[Tensor, "k c *lengths"]) -> Shaped[Tensor, "k c *n"]:
        for axis, (index, n) in enumerate(zip(self._index, self._pixels, strict=True), 2):
            pixels = x.new_zeros(*x.shape[:axis], n, *x.shape[axis + 1 :])
            x = pixels.index_add_(axis, index, x)
        return x


class _Products(LinearOperator):  # type: ignore[misc]
    """A ConvMatrix of NumPy numbers whose products PyTorch computes."""

    def __init__(self, matrix: ConvMatrix) -> None:
        super().__init__(matrix.dtype, matrix.shape)
        self._run = Correlation(matrix.geometry, matrix.input_size)
        self._weight = torch.from_numpy(np.ascontiguousarray(matrix.weight))
        self._transposed = matrix.geometry.transposed

    def _matmat(self, x: np.ndarray) -> np.ndarray:
        return self._scattered(x) if self._transposed else self._gathered(x)

    def _rmatmat(self, y: np.ndarray) -> np.ndarray:
        return self._gathered(y) if self._transposed else self._scattered(y)

    def _gathered(self, x: Shaped[np.ndarray, "pixels k"]) -> Shaped[np.ndarray, "cells k"]:
        return _columns(self._run.gather(self._weight, self._maps(x, self._run.pixels)))

    def _scattered(self, y: Shaped[np.ndarray, "cells k"]) -> Shaped[np.ndarray, "pixels k"]:
        return _columns(self._run.scatter(self._weight, self._maps(y, self._run.cells)))

    def _maps(self, x: np.ndarray, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x.T, self.dtype)).reshape(-1, *shape)


def _columns(maps: Shaped[Tensor, "k c *n"]) -> Shaped[np.ndarray, "numbers k"]:
    columns: np.ndarray = maps.flatten(1).numpy().T
    return columns


def products(matrix: ConvMatrix) -> LinearOperator:
    """Return a matrix whose weight is a NumPy array as an operator on NumPy arrays.

    One of complex numbers as it is: PyTorch has no gradient by the input for them.

    >>> geometry = ConvGeometry(1, 1, kernel=(2,), padding=1)
    >>> A = products(ConvMatrix(geometry, np.array([[[5.0, 7.0]]]), (2,)))
    >>> (A @ np.array([1.0, 10.0])).tolist(), (A.H @ np.array([1.0, 0.0, 0.0])).tolist()
    ([7.0, 75.0, 50.0], [7.0, 0.0])
    """
    return matrix if np.iscomplexobj(matrix.weight) else _Products(matrix)
