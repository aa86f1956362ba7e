"""The `Conv1D` of GPT-2, a Linear with its weight transposed, as a Linear and as convolutions.

transformers is imported here alone, and this file only where a model holds such a layer.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from convlin.layers.reclassed.linears_as_conv import RowsAsConv
from convlin.layers.reclassed.reclassed import Reclassed, parameters_of

__all__ = ["Conv1DAsConv", "Conv1DAsConv2d", "Conv1DAsLinear"]


class Conv1DAsLinear(Reclassed, Conv1D):
    """A `Conv1D` that computes as an nn.Linear does."""

    base_class, target = Conv1D, "linear"

    def forward(self, x: Any) -> Any:
        """Take and return what the layer does."""
        layer: Any = self
        if parameters_of(layer, x) is None or not (isinstance(x, fx.Proxy) or x.ndim):
            return super().forward(x)  # type: ignore[no-untyped-call]
        return functional.linear(x, layer.weight.t(), layer.bias)


class TransposedRows(RowsAsConv):
    """Rows through the weight of a `Conv1D`, which is (in, out)."""

    @staticmethod
    def _matrix(weight: Tensor) -> Tensor:
        return weight.t()


class Conv1DAsConv(TransposedRows, Conv1D):
    """A `Conv1D` that computes as a 1×1 convolution."""

    base_class, target = Conv1D, "conv"


class Conv1DAsConv2d(TransposedRows, Conv1D):
    """A `Conv1D` that computes as a 1×1 convolution on images (B, C, 1, S)."""

    base_class, target = Conv1D, "conv2d"
