"""Normalisation: what is fixed per channel stays; statistics over space break equality.

| statistics | |
|---|---|
| running, per channel (BatchNorm in eval mode) | stays |
| of the batch | refused: the classifier itself is then no function of one image |
| over channels of one cell (LayerNorm on the last axis, local response, unit length) | stays |
| over space (GroupNorm, InstanceNorm) | breaks equality |
| over space, a weight per cell (LayerNorm of maps) | refused: a larger map has more cells |
"""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from convlin.models.dense import grid, layout, proofs
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import FeatureMap
from convlin.models.graph.rule import Rule

BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def batch_norm(
    call: DenseCall, input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any,
    training: bool, *rest: Any,
) -> FeatureMap:  # fmt: skip
    """Keep a BatchNorm; one of another rank is replaced, with the same parameters and buffers."""
    value, norm = _channels_first(call, input), call.layer
    if norm is not None and norm.running_mean is None:
        raise call.refused("track_running_stats", False, "True", "it would use the statistics of "
                           "whatever batch there is")  # fmt: skip
    if training or running_mean is None:
        raise call.refused("training", training, "False, with running statistics")
    kind = BATCH_NORMS[call.ndim]
    if norm is None or isinstance(norm, kind | nn.SyncBatchNorm):
        return _per_channel(call, value, call.keep())
    same = kind(norm.num_features, norm.eps, norm.momentum, affine=norm.affine, device="meta")
    same._parameters.update(norm._parameters)
    same._buffers.update(norm._buffers)
    same.train(norm.training)
    call.exchanged(f"{call.operation} ⇒ {kind.__name__}", proofs.of_norm(norm, same, call.ndim))
    return _per_channel(call, value, call.module(same, value.node))


def layer_norm(
    call: DenseCall, input: Any, normalized_shape: Sequence[int], *rest: Any, **more: Any
) -> FeatureMap:
    """Keep a LayerNorm over channels, channels brought to the end around it."""
    value = call.value(input)
    lying = value.roles is not None and value.roles[-1:] == (0,) and len(normalized_shape) == 1
    tokens = value.roles is None and tuple(normalized_shape) == (value.channels,)
    if tokens:
        tokens = layout.cells_of_tokens(value.elements, value.map_shape) is not None
    if not lying and not tokens:
        raise call.refused("normalized_shape", tuple(normalized_shape), "the channels alone, as "
                           "the last axis", "it normalises over space")  # fmt: skip
    last = call.function(grid.channels_last, value.node)
    node = call.keep({call.operands[0]: last})
    return _per_channel(call, value, call.function(grid.channels_first, node))


def space_norm(call: DenseCall, input: Any, *args: Any) -> FeatureMap:
    """Keep statistics over space, which break equality; running ones do not."""
    value = call.map(input)
    if call.name == "instance_norm" and not args[4]:  # use_input_stats
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


def local_response(call: DenseCall, input: Any) -> FeatureMap:
    """Keep a normalisation over neighbouring channels."""
    value = call.map(input)
    return call.mapped(value, call.keep(), value.axes)


def _channels_first(call: DenseCall, input: Any) -> FeatureMap:
    """Return the operand if the axis behind the batch is its channels."""
    value = call.value(input)
    if value.channel_axis != 0:
        raise call.refused(
            "input",
            value.shape,
            "(N, channels, …)",
            f"every element of the map {value.map_shape} has weights of its own",
        )
    return value


def _per_channel(call: DenseCall, value: FeatureMap, node: fx.Node) -> FeatureMap:
    return value.moved(node, source=call.node if value.roles is not None else value.source)


RULES = (
    Rule(batch_norm, "one number per channel, whatever the image", ("batch_norm",)),
    Rule(layer_norm, "statistics of the channels of one cell", ("layer_norm", "rms_norm")),
    Rule(space_norm, "equal at the window alone: statistics are of all cells there are",
         ("group_norm", "instance_norm")),
    Rule(local_response, "statistics of the channels of one cell",
         layers=(nn.LocalResponseNorm, nn.CrossMapLRN2d)),
)  # fmt: skip
