"""The shape of one sample: channels and sizes, from what a user gives as the input size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

from torch import nn

from convlin.arguments import elements, wholes
from convlin.errors import GeometryError, Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.layers.forms.conv_forms import PointwiseConv
from convlin.layers.forms.linear_forms import LinearForm
from convlin.layers.forms.local import LocallyConnected
from convlin.layers.stock_layer import CONVOLUTIONS, Conv

__all__ = ["geometry_of", "sample_shape"]


def _sizes(
    input_size: SupportsIndex | Sequence[SupportsIndex],
) -> int | tuple[int, ...]:
    """Return an input size as one whole number or items, all at least 1."""
    items = elements(input_size)
    allowed = "whole numbers, such as (3, 224, 224)"
    sizes = wholes("cost", "input_size", (input_size,) if items is None else items, allowed=allowed)
    if min(sizes, default=1) < 1:
        raise Refused(Refusal("cost", "input_size", sizes, "numbers ≥ 1"))
    return sizes[0] if items is None else sizes


def sample_shape(
    model: nn.Module, input_size: SupportsIndex | Sequence[SupportsIndex]
) -> tuple[int, ...]:
    """Return the shape of one sample, without a batch, from its size in the user's words.

    >>> sample_shape(nn.Conv2d(3, 8, 3), 16)
    (3, 16, 16)
    """
    sizes = _sizes(input_size)
    listed = sizes if isinstance(sizes, tuple) else (sizes,)
    features = None
    if isinstance(model, nn.Linear):
        features = model.in_features
    elif isinstance(model, PointwiseConv):
        features = model.conv.in_channels
    if features is not None:
        return listed if listed[-1:] == (features,) else (*listed, features)
    geometry = next(filter(None, map(geometry_of, model.modules())), None)
    if geometry is not None:
        spatial = geometry.sizes(sizes) if isinstance(sizes, int) else sizes
        shape = spatial
        if len(spatial) == geometry.ndim:
            shape = (geometry.in_channels, *spatial)
        if geometry_of(model) == geometry and type(model) in CONVOLUTIONS.values():
            _require_fit(type(model).__name__, geometry, shape)
        return shape
    first = next((layer for layer in model.modules() if isinstance(layer, nn.Linear)), None)
    if not listed and first is not None:
        return (first.in_features,)
    if not listed:
        allowed = "the shape of a sample, such as (3, 224, 224)"
        raise Refused(Refusal(type(model).__name__, "input_size", listed, allowed))
    return listed


def _require_fit(name: str, geometry: ConvGeometry, shape: tuple[int, ...]) -> None:
    """Refuse what a convolution does not take, before it says so in its own words."""
    channels, spatial = shape[:1], shape[1:]
    if channels != (geometry.in_channels,) or len(spatial) != geometry.ndim:
        one = f"{geometry.ndim} numbers"
        allowed = f"{one}, or (C, {one}) with C = {geometry.in_channels}"
        raise GeometryError(Refusal(name, "input_size", shape, allowed))
    geometry.output_size(spatial)


def geometry_of(layer: nn.Module) -> ConvGeometry | None:
    """Return the geometry of a convolution or one of its other forms; None of anything else."""
    if isinstance(layer, Conv):
        return ConvGeometry.of(layer)
    return layer.geometry if isinstance(layer, LinearForm | LocallyConnected) else None
