"""What treats every element alike, or every cell's channels: stays, wherever elements lie."""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from convlin.models.dense import grid, layout
from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.feature_map import DeferredPool, FeatureMap
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant


def activation(call: DenseCall, input: Any, *args: Any, **kwargs: Any) -> FeatureMap:
    """Keep a function of every element."""
    if any(isinstance(arg, FeatureMap | Constant) for arg in (*args, *kwargs.values())):
        raise call.refused("arguments", "a tensor", "numbers")
    return elementwise(call, call.value(input))


def dropout(call: DenseCall, input: Any, p: float, train: bool) -> Any:
    """Keep a dropout that is switched off, for training; leave out one that is no layer's."""
    if train and p > 0:
        raise call.refused("training", True, "False, or self.training", "it is on in eval mode too")
    value = call.lying(input)
    if call.layer is not None:
        return elementwise(call, value)
    call.exchanged("off ⇒ nothing")
    return value


def randomised(call: DenseCall, input: Any, lower: Any = 0, upper: Any = 0, training: bool = False,
               generator: Any = None) -> FeatureMap:  # fmt: skip
    """Keep a RReLU, which has one slope in eval mode."""
    if training:
        raise call.refused("training", True, "False, or self.training", "it is on in eval mode too")
    return elementwise(call, call.value(input))


def cast(call: DenseCall, input: Any, *args: Any, **kwargs: Any) -> Any:
    """Keep a cast; leave out one to the dtype that the value has, whatever the model is cast to."""
    if isinstance(input, Constant):
        return call.constant(call.keep())
    value = call.lying(input)
    dtypes = {node.meta["value"].dtype for node in (call.operands[0], call.node)}
    fixed = any(isinstance(arg, torch.dtype) for arg in (*args, *kwargs.values()))
    return value if len(dtypes) == 1 and not fixed else elementwise(call, call.value(value))


def prelu(call: DenseCall, input: Any, weight: Any) -> FeatureMap:
    """Keep a PReLU: one slope, or one per channel."""
    value = call.value(input)
    if not isinstance(weight, Constant):
        raise call.refused("weight", "computed in forward", "a tensor of the model")
    if weight.shape[:1] != (1,) and (value.roles or (None,))[0] != 0:
        raise call.refused("num_parameters", weight.shape[0], "1, or one per channel behind the "
                           "batch")  # fmt: skip
    return elementwise(call, value)


def over_channels(call: DenseCall, input: Any, dim: int = -1, dtype: Any = None) -> FeatureMap:
    """Keep what mixes the channels of a cell, its dimension turned to 1."""
    value = call.value(input)
    rank = len(value.shape) + 1
    axis = dim % rank - 1
    if dtype is not None:
        value = value.moved(call.function(torch.Tensor.to, value.node, call.argument(dtype)))
    if axis >= 0 and value.roles is None and call.name in ("softmax", "log_softmax"):
        groups = layout.channel_groups(value.elements, axis, value.map_shape)
        if groups is not None and sorted(sum(groups[0], ())) == list(range(value.channels)):
            node = call.function(grid.softmax_of_groups, value.node, groups[0], call.name)
            return value.moved(node)
    if axis < 0 or value.roles is None or value.roles[axis] != 0:
        what = "the batch" if axis < 0 else "space"
        raise call.refused("dim", dim, "the channels", f"it runs over {what}")
    channels = call.shape[axis]
    layer = call.layer
    if layer is None:
        node = call.function(FUNCTIONS[call.name], value.node, dim=1)
    elif getattr(layer, "dim", 1) == 1:
        node = call.keep()
    else:
        call.exchanged(f"dim {layer.dim} ⇒ 1")
        node = call.module(type(layer)(dim=1).train(layer.training), value.node)
    return value.moved(node, channels=channels, source=call.node)


def softmin(call: DenseCall, input: Any) -> FeatureMap:
    """Keep a softmin over channels."""
    dim = call.layer.dim
    return over_channels(
        call, input, _softmax_dim(len(call.value(input).shape)) if dim is None else dim
    )


def elementwise(call: DenseCall, value: FeatureMap) -> FeatureMap:
    """Return the value behind a function of every element, kept."""
    return behind(call, value, call.keep())


def behind(call: DenseCall, value: FeatureMap, node: fx.Node) -> FeatureMap:
    """Return the value at a node that did something to every element."""
    flattened = value.roles is None or isinstance(value, DeferredPool)
    return value.moved(node, source=value.source if flattened else call.node)


def _softmax_dim(rank: int) -> int:
    """Return the dimension that PyTorch takes where none is given; `rank` without the batch."""
    return 0 if rank in (0, 2) else 1


FUNCTIONS: dict[str, Any] = {
    "softmax": torch.softmax, "log_softmax": torch.log_softmax, "glu": nn.functional.glu,
}  # fmt: skip

_ALIKE = "every element alike, wherever it lies"
_CELL = "the channels of one cell alone"

RULES = (
    Rule(activation, _ALIKE,
         ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
          "hardsigmoid", "hardtanh", "sigmoid", "tanh", "softplus", "hardshrink", "softshrink",
          "log_sigmoid", "threshold", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10",
          "abs", "neg", "sqrt", "rsqrt", "square", "reciprocal", "sin", "cos", "erf", "sign",
          "floor", "ceil", "round", "logit",
          "nan_to_num", "zeros_like", "ones_like", "full_like", "zero"),
         (nn.Softsign, nn.Tanhshrink)),
    Rule(dropout, "it does nothing in eval mode",
         ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout")),
    Rule(randomised, "one slope in eval mode", ("rrelu",)),
    Rule(cast, _ALIKE, ("to", "_to_copy", "type_as", "_autocast_to_reduced_precision",
                        "_autocast_to_full_precision")),
    Rule(prelu, "one slope, or one per channel", ("prelu",)),
    Rule(over_channels, _CELL, ("softmax", "log_softmax", "glu")),
    Rule(softmin, _CELL, layers=(nn.Softmin,)),
)  # fmt: skip
