"""`nearest_conv`: how far any matrix or layer is from a convolution, and from which one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Float

from convlin import structure
from convlin.geometry import ConvGeometry
from convlin.layers.conv_result import ConvResult
from convlin.layers.matrices import read_matrix
from convlin.layers.stock_layer import CONVOLUTIONS, Conv, weight_of

__all__ = ["NearestLayer", "nearest_conv"]


@dataclass(frozen=True, eq=False, repr=False)
class NearestLayer(ConvResult):
    """The convolution nearest to a matrix or layer; `bias` is the mean over each channel's."""

    on_arrays: structure.NearestConv

    @property
    def energy(self) -> structure.Energy:
        """The matrix's squared norm in three parts."""
        return self.on_arrays.energy

    @property
    def distance(self) -> float:
        """Frobenius norm of the matrix minus the convolution's."""
        return self.on_arrays.distance

    @property
    def free(self) -> tuple[Float[np.ndarray, "directions taps"], ...]:
        """Combinations of taps, along each dimension, that may be added."""
        return self.on_arrays.free

    @property
    def unique(self) -> bool:
        """Whether no other kernel is as near."""
        return self.on_arrays.unique

    def _repr_html_(self) -> str:
        return self.on_arrays._repr_html_()


def nearest_conv(
    matrix: Any,
    geometry: ConvGeometry | Conv,
    input_size: SupportsIndex | Sequence[SupportsIndex],
) -> NearestLayer:
    """Return the convolution of a geometry whose matrix is nearest, and the energy in three parts.

    matrix: (out·output_size, in·input_size), dense or sparse, NumPy, SciPy or PyTorch; an
    nn.Linear or a locally connected layer (their bias is averaged over positions). geometry: a
    `ConvGeometry`, or a convolution for its geometry. Computed in float64, at any scale.

    The energy splits ‖W‖² into what is *shared* (the convolution), *local* but not shared, and
    *off* the support; `distance` is the square root of the last two. Where taps cannot be told
    apart the kernel is that of least norm, and `free` holds what may be added.

    Raises `Refused` where the matrix has another shape, the kernel is beyond float64, or an entry
    loses digits beside the largest (2^1900 of it), and `GeometryError` for the size.

    Identity: w* = G⁺b, G_st = ⟨P_s, P_t⟩, b_t = ⟨P_t, W⟩, the normal equations; an average over
    each tap's entries only where no padding mode repeats pixels.

    >>> import torch
    >>> from torch import nn
    >>> linear = nn.Linear(12, 12, bias=False)
    >>> linear.weight.data = torch.diag(torch.arange(1.0, 13))
    >>> found = nearest_conv(linear, nn.Conv2d(1, 1, 3, padding=1), (3, 4))
    >>> print(found)
    nearest Conv2d: distance 11.96; 78.0% shared, 22.0% local but not shared, 0.0% off the support
    >>> found.to_conv().weight[0, 0, 1]
    tensor([0.0000, 6.5000, 0.0000], grad_fn=<SelectBackward0>)
    """
    if not isinstance(geometry, ConvGeometry):
        weight_of(geometry, *CONVOLUTIONS.values())
        geometry = ConvGeometry.of(geometry)
    source = read_matrix(matrix)
    near = structure.nearest(source.matrix, geometry, input_size)
    bias = source.bias
    if bias is not None:
        bias = source.back(bias.reshape(geometry.out_channels, -1).mean(axis=1))
    return NearestLayer(near, source.back(near.weight), bias)
