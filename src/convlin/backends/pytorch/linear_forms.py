"""The modules that `to_linear` returns: convolutions written as fully connected layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from convlin.backends.pytorch.parameters import alias, holding, same_bias
from convlin.backends.pytorch.reading import CONVOLUTIONS, require_plain
from convlin.backends.pytorch.sliding import channels_first, cut_windows, pad, require_map
from convlin.errors import Refused
from convlin.exchange import block_diagonal, columns
from convlin.geometry import ConvGeometry

__all__ = ["BatchedLinear", "BlockDiagonalLinear", "LinearForm", "SlidingLinear"]


class LinearForm(nn.Module):
    """A convolution written as a fully connected layer: drop-in, with its geometry and way back.

    `spelling` is the padding as the convolution had it ("same", numbers), so that the way back
    gives the same words.
    """

    def __init__(self, geometry: ConvGeometry, spelling: Any) -> None:
        super().__init__()
        self.geometry = geometry
        self.spelling = spelling

    def extra_repr(self) -> str:
        """Return the geometry, which the child layer does not show."""
        return str(self.geometry)

    def to_conv(self) -> nn.Module:
        """Return the convolution again."""
        raise NotImplementedError

    def _conv(self, weight: nn.Parameter, bias: nn.Parameter | None) -> nn.Module:
        """Return the convolution of this geometry around these parameters."""
        g = self.geometry
        conv = holding(
            CONVOLUTIONS[g.ndim, g.transposed], g.in_channels, g.out_channels, g.kernel,
            stride=g.stride, padding=self.spelling, dilation=g.dilation, groups=g.groups,
            padding_mode=g.padding_mode, weight=weight, bias=bias,
        )  # fmt: skip
        return conv.train(self.training)


class _Sliding(LinearForm):
    """Windows of the padded image, each sent through one fully connected layer."""

    def __init__(
        self,
        geometry: ConvGeometry,
        spelling: Any,
        order: tuple[int, ...],
        strides: tuple[int, ...],
    ) -> None:
        super().__init__(geometry, spelling)
        self.order = order
        self.strides = strides

    def _windows(self, x: Tensor, groups: int) -> Tensor:
        g = self.geometry
        least = tuple(
            max(1, n - before - after)
            for n, (before, after) in zip(g.extent, g.padding, strict=True)
        )
        image = pad(require_map(x, g.in_channels, least), g.padding, g.padding_mode)
        return cut_windows(image, g.kernel, g.stride, g.dilation, groups, self.order)

    def _image(self, y: Tensor, x: Tensor) -> Tensor:
        permuted = self.order != tuple(range(self.geometry.ndim + 1))
        return channels_first(y, x, self.geometry.ndim, permuted)

    def _kernel(self, matrix: nn.Parameter) -> nn.Parameter:
        """Return the kernel held by the matrix, with the strides the first kernel had.

        Strides of axes of size 1 address nothing, yet tell memory formats apart.
        """

        def view(rows: Tensor) -> Tensor:
            kernel = columns.to_kernel(rows, self.geometry.weight_shape, self.order)
            steps = zip(kernel.shape, kernel.stride(), self.strides, strict=True)
            return kernel.as_strided(kernel.shape, [old if n == 1 else s for n, s, old in steps])

        return alias(matrix, view)


class SlidingLinear(_Sliding):
    """One `linear` applied to every window; its weight is the convolution's, seen as a matrix."""

    def __init__(self, linear: nn.Linear, *form: Any) -> None:
        super().__init__(*form)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """Take what the convolution took, and return what it returned."""
        return self._image(self.linear(self._windows(x, 1).squeeze(-2)), x)

    def to_conv(self) -> nn.Module:
        """Return the convolution again, sharing the Linear's current weights."""
        require_plain(self.linear, nn.Linear)
        return self._conv(self._kernel(self.linear.weight), same_bias(self.linear.bias))


class BlockDiagonalLinear(SlidingLinear):
    """One `linear` over all groups at once: its weight holds the groups as blocks, else zeros."""

    def to_conv(self) -> nn.Module:
        """Return the convolution of the blocks; refused where a weight off the blocks is not 0."""
        require_plain(self.linear, nn.Linear)
        rows = self.linear.weight.detach()
        refusals = block_diagonal.leaks(rows, self.geometry.groups)
        if refusals:
            raise Refused(refusals)
        blocks = alias(self.linear.weight, lambda w: block_diagonal.to_rows(w, self.geometry))
        return self._conv(self._kernel(blocks), same_bias(self.linear.bias))


class BatchedLinear(_Sliding):
    """One fully connected layer a group: `weight` (G, out/G, columns), the convolution's own."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, *form: Any) -> None:
        super().__init__(*form)
        self.weight = weight
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """Take what the convolution took, and return what it returned."""
        windows = self._windows(x, self.geometry.groups)
        y = torch.einsum("...gk,gok->...go", windows, self.weight).flatten(-2)
        return self._image(y if self.bias is None else y + self.bias, x)

    def to_conv(self) -> nn.Module:
        """Return the convolution again, sharing the current weights."""
        return self._conv(self._kernel(self.weight), same_bias(self.bias))
