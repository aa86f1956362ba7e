"""A layer and its data as arrays, or a refusal that names what does not fit."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.layers.forms.local import LOCAL, LocallyConnected
from convlin.layers.matrices import as_array, known_numbers
from convlin.layers.stock_layer import CONVOLUTIONS, require_stock_layer
from convlin.matrix import MEMORY_LIMIT, require_own_memory
from convlin.numerics.roundoff import UNITS
from convlin.solutions import DesignBlocks

__all__ = [
    "LayerData",
    "geometry_of",
    "read_layer_data",
    "require_finite_parameters",
    "require_layer",
]


# An entry of the table of what outputs read, and what telling its patterns apart takes beside it.
# Half runs out of memory instead of refusing, twice refuses what fits.
TABLE_BYTES = 32


class LayerData(NamedTuple):
    """A layer's blocks of unknowns, the data in its dtype, and the same as rows.

    `noun` is what to call one output channel.
    """

    design: DesignBlocks
    data: Tensor
    rows: Shaped[Tensor, "n channels pixels"]
    noun: str


def read_layer_data(layer: nn.Module, data: Tensor | Shaped[np.ndarray, "*shape"]) -> LayerData:
    """Return a layer and its data as arrays.

    Raises `Refused` for what `require_layer` refuses, and for data of another shape, without
    inputs, not real, or not finite in the layer's dtype.

    >>> read = read_layer_data(nn.Conv1d(2, 3, 2), np.ones((5, 2, 4)))
    >>> read.design
    <DesignBlocks: 1 blocks of 3 outputs, 5 unknowns each; 4 pixels>
    >>> tuple(read.rows.shape), read.noun
    ((5, 2, 4), 'convolution channel')
    """
    require_layer(layer)
    site = type(layer).__name__
    weight: Tensor = layer.weight  # type: ignore[assignment]
    if not isinstance(data, Tensor):
        data = _as_tensor(site, as_array(data))
    _require_numbers(site, "data", data)
    dense = data if data.layout == torch.strided else data.to_dense()
    require_own_memory(site, "data", dense)
    read = _read(layer, dense.detach().to(weight))
    if not len(read.rows):
        raise Refused(Refusal(site, "data.shape", tuple(data.shape), "at least one input"))
    _require_finite(site, "data", read.data)
    return read


def geometry_of(layer: nn.Module) -> ConvGeometry:
    """Return the geometry of a convolution or a locally connected layer."""
    return layer.geometry if isinstance(layer, LocallyConnected) else ConvGeometry.of(layer)


def require_layer(layer: nn.Module) -> None:
    """Raise unless a layer computes what its class says, with finite weights of a usual dtype."""
    require_stock_layer(layer, nn.Linear, *CONVOLUTIONS.values(), *LOCAL.values())
    site = type(layer).__name__
    for name, value in layer.named_parameters():
        _require_numbers(site, name, value)
        if value.layout != torch.strided:
            raise Refused(Refusal(site, f"{name}.layout", value.layout, "plain numbers"))
        require_own_memory(site, name, value)
        if str(value.dtype).removeprefix("torch.") not in UNITS:
            usual = ", ".join(UNITS)
            raise Refused(Refusal(site, f"{name}.dtype", value.dtype, usual))
    require_finite_parameters(layer)


def require_finite_parameters(layer: nn.Module) -> None:
    """Raise, naming the first, where a weight or bias is NaN or infinite."""
    for name, value in layer.named_parameters():
        _require_finite(type(layer).__name__, name, value)


def _read(layer: nn.Module, data: Tensor) -> LayerData:
    """Return the layer's blocks, and the data as they read them; raise for another shape."""
    bias = layer.bias is not None
    shape = tuple(data.shape)
    site = type(layer).__name__
    if isinstance(layer, nn.Linear):
        features = layer.in_features
        if not features:
            raise Refused(Refusal(site, "in_features", features, "≥ 1"))
        if not shape or shape[-1] != features:
            raise Refused(Refusal(site, "data.shape", shape, f"(…, {features})"))
        design = DesignBlocks.of_linear(features, layer.out_features, bias)
        return LayerData(design, data, data.reshape(-1, features, 1), "FC output")
    geometry = geometry_of(layer)
    rank = geometry.ndim + 1
    size = shape[1 - rank :]
    exact = isinstance(layer, LocallyConnected)
    least = layer.input_size if isinstance(layer, LocallyConnected) else geometry.smallest_input
    fits = len(shape) in (rank, rank + 1) and shape[-rank] == geometry.in_channels
    if fits:
        fits = size == least if exact else all(n >= k for n, k in zip(size, least, strict=True))
    if not fits:
        numbers = [str(geometry.in_channels), *(f"{'' if exact else '≥'}{n}" for n in least)]
        sizes = ", ".join(numbers)
        raise Refused(Refusal(site, "data.shape", shape, f"(N, {sizes}) or ({sizes})"))
    needed = TABLE_BYTES * math.prod(geometry.output_size(size)) * geometry.taps
    if needed > MEMORY_LIMIT:
        reason = f"the list of what each output reads takes {needed} bytes"
        raise Refused(
            Refusal(site, "data.shape", shape, f"one that takes ≤ {MEMORY_LIMIT}", reason)
        )
    design = DesignBlocks.of_conv(geometry, size, bias, shared=not exact)
    kind = "transposed convolution" if geometry.transposed else "convolution"
    noun = f"{'locally connected' if exact else kind} channel"
    rows = data if len(shape) > rank else data[None]
    return LayerData(design, data, rows.flatten(2), noun)


def _as_tensor(site: str, data: Shaped[np.ndarray, "*shape"]) -> Tensor:
    """Return an array as a tensor of its own; raise for what is no array of numbers."""
    if data.dtype.kind not in "biufc":
        raise Refused(Refusal(site, "data.dtype", data.dtype, "numbers"))
    require_own_memory(site, "data", data)
    numbers = np.array(known_numbers(data, site, "data.dtype"), order="C")
    return torch.from_numpy(numbers.astype(np.float64) if data.dtype == np.uint64 else numbers)


def _require_numbers(site: str, name: str, value: Tensor) -> None:
    if value.is_meta:
        raise Refused(Refusal(site, f"{name}.device", value.device, "a device that holds numbers"))
    if value.is_quantized or value.is_nested:
        kind = "quantized" if value.is_quantized else "nested"
        raise Refused(Refusal(site, name, Description(f"a {kind} tensor"), "a plain one"))
    if value.is_complex():
        raise Refused(Refusal(site, f"{name}.dtype", value.dtype, "a real dtype"))


def _require_finite(site: str, name: str, value: Tensor) -> None:
    """Raise, naming the first, where a value is NaN or infinite in the layer's dtype."""
    odd = torch.nonzero(~value.isfinite())
    if len(odd):
        at = odd[0].tolist()
        number = value[tuple(at)].item()
        dtype = str(value.dtype).removeprefix("torch.")
        raise Refused(Refusal(site, f"{name}{at}", number, f"a finite number in {dtype}"))
