"""`unroll`: the matrix of a convolution layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from convlin.errors import Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.layers.conv_result import ConvResult
from convlin.layers.stock_layer import CONVOLUTIONS, Conv, weight_of
from convlin.matrix import MEMORY_LIMIT, ConvMatrix
from convlin.structure import NearestConv, Recognized

__all__ = ["unroll"]


def unroll(
    conv: Conv | ConvResult | Recognized | NearestConv,
    input_size: SupportsIndex | Sequence[SupportsIndex] | None = None,
    *,
    memory_limit: int = MEMORY_LIMIT,
) -> ConvMatrix:
    """Return the exact matrix of `conv` for inputs of `input_size` pixels, bias apart.

    Any nn.Conv1d/2d/3d or nn.ConvTranspose1d/2d/3d, or what `recognize` and `nearest_conv` found,
    which bring their input size: stride, padding and its mode, dilation,
    groups. Rows are outputs (out, *output_size), columns inputs (in, *input_size), in C order:
    conv(x).flatten() = A @ x.flatten() + bias. The result is an operator that shares the
    layer's weight, or holds the one that its next call computes (parametrizations, weight_norm,
    spectral_norm, pruning). `tocsr()`, `tocoo()`, `toarray()` and `to_torch()` build the matrix,
    up to `memory_limit` bytes. For geometries that no layer has (padding that differs by side),
    make a `ConvMatrix` from the geometry and a weight.

    Raises `Refused` for layers that compute more than their class says, and `GeometryError` where
    the input is too small.

    Identity: A(w) = Σ_t w_t ⊗ P_t (Dumoulin and Visin, "A guide to convolution arithmetic for deep
    learning", 2016, section 4.1).

    >>> import torch
    >>> A = unroll(torch.nn.Conv2d(1, 1, 3, bias=False), (6, 6))
    >>> A
    <16×36 ConvMatrix, 144 stored: Conv2d 1→1 k3 on (6, 6)>
    >>> [1 + 6 * y + x for (_, y, x), _, _ in A.wires((0, 0, 0))]
    [1, 2, 3, 7, 8, 9, 13, 14, 15]
    """
    if isinstance(conv, ConvResult | Recognized | NearestConv):
        size: Any = conv.input_size if input_size is None else input_size
        return ConvMatrix(conv.geometry, conv.weight, size, memory_limit=memory_limit)
    weight = weight_of(conv, *CONVOLUTIONS.values())
    geometry = ConvGeometry.of(conv)
    if input_size is None:
        allowed = "the size of the inputs, in pixels"
        raise Refused(Refusal(geometry.kind, "input_size", None, allowed))
    return ConvMatrix(geometry, weight, input_size, memory_limit=memory_limit)
