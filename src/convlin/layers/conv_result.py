"""A convolution that `structure` found in arrays, and the layer that computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from convlin import structure
from convlin.geometry import ConvGeometry
from convlin.layers.layer_of import layer_of
from convlin.matrix import ConvMatrix

__all__ = ["ConvResult"]


@dataclass(frozen=True, eq=False, repr=False)
class ConvResult:
    """What `structure` found, as `on_arrays`, and the layer that computes it.

    weight, bias: of the kind and dtype of the matrix or layer that was given; bias None for none.
    """

    on_arrays: structure.Recognized | structure.NearestConv
    weight: Any
    bias: Any

    @property
    def geometry(self) -> ConvGeometry:
        """The convolution's geometry."""
        return self.on_arrays.geometry

    @property
    def input_size(self) -> tuple[int, ...]:
        """Spatial size of the input, in pixels."""
        return self.on_arrays.input_size

    def matrix(self) -> ConvMatrix:
        """Return the convolution's matrix."""
        return ConvMatrix(self.geometry, self.weight, self.input_size)

    def to_conv(self) -> nn.Module:
        """Return the convolution as a layer, for inputs of `input_size`.

        An nn.Conv, behind a padding layer where the sides must differ; or an nn.ConvTranspose,
        before one that crops.
        """
        return layer_of(self.geometry, self.weight, self.bias, self.input_size)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        return str(self.on_arrays)
