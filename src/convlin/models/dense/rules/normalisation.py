"""Normalisation: what is fixed per channel stays; statistics over space break equality.

| statistics | |
|---|---|
| running, per channel (BatchNorm in eval mode) | stays |
| of the batch | refused: the classifier itself is then no function of one image |
| over channels of one cell (LayerNorm on the last axis, local response, unit length) | stays |
| over space (GroupNorm, InstanceNorm) | breaks equality |
| over space, a weight per cell (LayerNorm of maps) | refused: a larger map has more cells |
"""

# ruff: noqa: A002 - PyTorch calls it `input`

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from convlin.models.dense import grid, proofs
from convlin.models.dense.call import Call
from convlin.models.dense.registry import function, layer
from convlin.models.dense.value import MapValue

BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


@layer(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
def batch_norm_layer(call: Call, input: Any) -> MapValue:
    """Keep a BatchNorm; one of another rank is replaced, with the same parameters and buffers."""
    norm, value = call.module, _channels_first(call, input)
    if norm.running_mean is None:
        raise call.refused("track_running_stats", False, "True", "it would use the statistics of "
                           "whatever batch there is")  # fmt: skip
    kind = BATCH_NORMS[call.ndim]
    if isinstance(norm, kind | nn.SyncBatchNorm):
        return _per_channel(call, value, call.keep())
    same = kind(norm.num_features, norm.eps, norm.momentum, affine=norm.affine, device="meta")
    same._parameters.update(norm._parameters)
    same._buffers.update(norm._buffers)
    same.train(norm.training)
    call.exchanged(f"{call.operation} ⇒ {kind.__name__}", proofs.of_norm(norm, same, call.ndim))
    return _per_channel(call, value, call.walk.module(call.site, same, value.node))


@function("batch_norm")
def batch_norm(
    call: Call,
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    *rest: Any,
    **more: Any,
) -> MapValue:
    """Keep a functional BatchNorm with running statistics."""
    value = _channels_first(call, input)
    if training or running_mean is None:
        raise call.refused("training", training, "False, with running statistics")
    return _per_channel(call, value, call.keep())


@layer(nn.LayerNorm, nn.RMSNorm)
def layer_norm_layer(call: Call, input: Any) -> MapValue:
    """Keep a LayerNorm over channels, channels brought to the end around it."""
    value = _channels_last(call, input, call.module.normalized_shape)
    last = call.walk.function(grid.channels_last, value.node)
    node = call.walk.module(call.site, call.module, last)
    return _per_channel(call, value, call.walk.function(grid.channels_first, node))


@function("layer_norm", "rms_norm")
def layer_norm(call: Call, input: Any, normalized_shape: Sequence[int], weight: Any = None,
               bias: Any = None, eps: float | None = 1e-5) -> MapValue:  # fmt: skip
    """Keep a functional LayerNorm over channels."""
    value = _channels_last(call, input, normalized_shape)
    last = call.walk.function(grid.channels_last, value.node)
    node = call.keep({call.node.all_input_nodes[0]: last})
    return _per_channel(call, value, call.walk.function(grid.channels_first, node))


@layer(nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
def space_norm_layer(call: Call, input: Any) -> MapValue:
    """Keep statistics over space, which break equality; running ones do not."""
    norm = call.module  # an InstanceNorm asks its flag, whatever statistics it holds
    running = getattr(norm, "track_running_stats", False) and norm.running_mean is not None
    return _over_space(call, input, running)


@function("group_norm", "instance_norm")
def space_norm(call: Call, input: Any, *args: Any, **kwargs: Any) -> MapValue:
    """Keep statistics over space, which break equality."""
    return _over_space(call, input, running=False)


@layer(nn.LocalResponseNorm, nn.CrossMapLRN2d)
@function("local_response_norm")
def local_response(call: Call, input: Any, *args: Any, **kwargs: Any) -> MapValue:
    """Keep a normalisation over neighbouring channels."""
    value = call.map(input)
    return call.mapped(value, call.keep(), value.axes)


def _over_space(call: Call, input: Any, running: bool) -> MapValue:
    value = call.map(input)
    if running:
        return call.mapped(value, call.keep(), value.axes)
    if value.is_single or value.is_spread:
        raise call.refused(
            "input",
            (value.channels, *value.size),
            "a map of several cells, in front of any pooling",
            "statistics of one window's cells are lost",
        )
    call.breaks("statistics", "over space", "running statistics, or over channels alone",
                "they are the window's here, and the whole of a larger image's there")  # fmt: skip
    site = frozenset({call.site}) | value.culprits
    return call.mapped(value, call.keep(), tuple(axis.breaking(site) for axis in value.axes))


def _channels_first(call: Call, input: Any) -> MapValue:
    """Return the operand if the axis behind the batch is its channels."""
    value = call.value(input)
    if value.roles is None or not value.roles or value.roles[0] != 0:
        raise call.refused(
            "input",
            value.shape,
            "(N, channels, …)",
            f"every element of the map {value.map_shape} has weights of its own",
        )
    return value


def _channels_last(call: Call, input: Any, normalized_shape: Any) -> MapValue:
    """Return the operand if its last axis, and all that is normalised, is its channels."""
    value = call.value(input)
    if value.roles is None and tuple(normalized_shape) == (value.channels,):
        tokens = f"its tokens are the cells of a map {value.map_shape} in one line"
        raise call.refused("input", value.shape, "a map, its axes kept apart: (N, …, channels)",
                           f"it normalises over channels alone, but {tokens}")  # fmt: skip
    if value.roles is None or value.roles[-1:] != (0,) or len(normalized_shape) != 1:
        raise call.refused("normalized_shape", tuple(normalized_shape), "the channels alone, as "
                           "the last axis", "it normalises over space")  # fmt: skip
    return value


def _per_channel(call: Call, value: MapValue, node: fx.Node) -> MapValue:
    return value.moved(node, source=call.node)
