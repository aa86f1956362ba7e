"""Fully connected layers as a 1×1 convolution: of all rows, or of images (B, C, 1, S)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, compiler, fx, nn
from torch.nn import functional

from convlin.layers import lines
from convlin.layers.reclassed.reclassed import Reclassed, parameters_of

__all__ = ["LinearAsConv", "LinearAsConv2d", "RowsAsConv"]


class RowsAsConv(Reclassed):
    """A layer on rows (..., in) → (..., out) that computes as a convolution of kernel 1.

    `_matrix` gives the weight as (out, in).
    """

    def forward(self, input: Any) -> Any:  # noqa: A002 (PyTorch's name)
        """Take and return what the layer does."""
        layer: Any = self
        found = parameters_of(layer, input)
        if found is None or not _fits(input, self._matrix(found[0])):
            return super().forward(input)  # type: ignore[misc]
        matrix = self._matrix(layer.weight)
        pixels = lines.as_lines if self.target == "conv2d" else one_line
        y = functional.conv2d(pixels(input, matrix.shape[1]), matrix[:, :, None, None], layer.bias)
        return lines.as_rows(y, input)

    @staticmethod
    def _matrix(weight: Tensor) -> Tensor:
        return weight


class LinearAsConv(RowsAsConv, nn.Linear):
    """An nn.Linear that computes as a 1×1 convolution."""

    base_class, target = nn.Linear, "conv"


class LinearAsConv2d(RowsAsConv, nn.Linear):
    """An nn.Linear that computes as a 1×1 convolution on images (B, C, 1, S)."""

    base_class, target = nn.Linear, "conv2d"


@fx.wrap
def one_line(x: Tensor, channels: int) -> Tensor:
    """Return all rows as one line of pixels."""
    return lines.as_line(x, channels, 2)


def _fits(x: Any, matrix: Tensor) -> bool:
    """Whether `x` is rows of as many numbers as the matrix has columns, and there are any."""
    if matrix.ndim != 2 or isinstance(x, fx.Proxy):
        return matrix.ndim == 2
    if x.ndim < 1 or x.shape[-1] != matrix.shape[1]:
        return False
    return compiler.is_compiling() or x.numel() > 0
