"""What treats every element alike, or every cell's channels: stays, wherever elements lie."""

# ruff: noqa: A002 - PyTorch calls it `input`

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import fx, nn

from convlin.models.dense.call import Call
from convlin.models.dense.registry import function, layer
from convlin.models.dense.value import Constant, MapValue


@layer(
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
    nn.Tanhshrink,
    nn.Hardshrink,
    nn.Softshrink,
    nn.LogSigmoid,
    nn.Threshold,
    nn.RReLU,
)
def activation_layer(call: Call, input: Any) -> MapValue:
    """Keep an activation."""
    return elementwise(call, call.value(input), getattr(call.module, "inplace", False))


@function("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
          "hardsigmoid", "hardtanh", "sigmoid", "tanh", "softplus", "softsign", "tanhshrink",
          "hardshrink", "softshrink", "logsigmoid", "threshold", "exp", "expm1", "log", "log1p",
          "log2", "log10", "abs", "neg", "sqrt", "rsqrt", "square", "reciprocal", "sin", "cos",
          "erf", "sign", "floor", "ceil", "round", "clamp", "clamp_min", "clamp_max", "clip",
          "logit", "nan_to_num")  # fmt: skip
def activation(call: Call, input: Any, *args: Any, **kwargs: Any) -> MapValue:
    """Keep a function of every element."""
    if any(isinstance(arg, MapValue | Constant) for arg in (*args, *kwargs.values())):
        raise call.refused("arguments", "a tensor", "numbers")
    in_place = (call.name or "").endswith("_") or kwargs.get("inplace") or any(
        value is True for value in args
    )  # fmt: skip
    return elementwise(call, call.value(input), bool(in_place))


@layer(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
       nn.FeatureAlphaDropout)  # fmt: skip
def dropout_layer(call: Call, input: Any) -> Any:
    """Keep what does nothing in eval mode."""
    if not isinstance(input, MapValue):
        return input
    return elementwise(call, input, in_place=False, same=True)


@function("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
          "feature_alpha_dropout")  # fmt: skip
def dropout(
    call: Call, input: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Any:
    """Leave out a functional dropout that is switched off."""
    if training and p > 0:
        raise call.refused("training", True, "False, or self.training", "it is on in eval mode too")
    call.exchanged("off ⇒ nothing")
    return input


@function("torchvision stochastic_depth")
def stochastic_depth(call: Call, input: Any, p: float, mode: str, training: bool = True) -> Any:
    """Leave out a stochastic depth that is switched off."""
    return dropout(call, input, p, training)


@function("to", "type", "type_as", "float", "double", "half", "bfloat16")
def cast(call: Call, input: Any, *args: Any, **kwargs: Any) -> MapValue:
    """Keep a cast; leave out one to the type of another value, where it has that already."""
    value = call.value(input)
    first, *second = call.node.all_input_nodes
    if second and call.node.meta["dtype"] == first.meta["dtype"]:
        return value
    return elementwise(call, value, in_place=False, same=True)


@layer(nn.PReLU)
def prelu_layer(call: Call, input: Any) -> MapValue:
    """Keep a PReLU: one slope, or one per channel."""
    value = call.value(input)
    if call.module.num_parameters > 1 and (value.roles or (None,))[0] != 0:
        raise call.refused("num_parameters", call.module.num_parameters, "1, or one per channel "
                           "behind the batch")  # fmt: skip
    return elementwise(call, value, in_place=False)


@function("prelu")
def prelu(call: Call, input: Any, weight: Any) -> MapValue:
    """Keep a functional PReLU."""
    value = call.value(input)
    if not isinstance(weight, Constant):
        raise call.refused("weight", "computed in forward", "a tensor of the model")
    if weight.shape[:1] != (1,) and (value.roles or (None,))[0] != 0:
        raise call.refused("weight", weight.shape, "one slope, or one per channel")
    return elementwise(call, value, in_place=False)


@layer(nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.GLU)
def channel_layer(call: Call, input: Any) -> MapValue:
    """Keep what mixes the channels of a cell, its dimension turned to 1."""
    value = _over_channels(call, input, call.module.dim)
    if call.module.dim == 1:
        return _mixed(call, value, call.keep())
    turned = type(call.module)(dim=1).train(call.module.training)
    call.exchanged(f"dim {call.module.dim} ⇒ 1")
    return _mixed(call, value, call.walk.module(call.site, turned, value.node))


@layer(nn.Softmax2d)
def softmax_2d(call: Call, input: Any) -> MapValue:
    """Keep a softmax over channels."""
    value = call.map(input)
    return call.mapped(value, call.keep(), value.axes)


@function("softmax", "log_softmax", "softmin", "glu")
def over_channels(
    call: Call, input: Any, dim: int | None = -1, *rest: Any, **more: Any
) -> MapValue:
    """Keep what mixes the channels of a cell, its dimension turned to 1."""
    value = _over_channels(call, input, dim)
    return _mixed(call, value, _turned(call, value))


@function("normalize")
def normalize(call: Call, input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> MapValue:
    """Keep the division by the length of a cell's channels."""
    value = _over_channels(call, input, dim)
    node = call.walk.function(call.node.target, value.node, p=p, dim=1, eps=eps)
    return _mixed(call, value, node)


def elementwise(call: Call, value: MapValue, in_place: bool, same: bool = False) -> MapValue:
    """Return the value behind a function of every element, kept; `same`: it returns its operand."""
    if in_place:
        require_private(call, value)
    node = call.keep()
    flattened = value.roles is None or value.unpooled is not None
    result = value.moved(node, source=value.source if flattened else call.node)
    if in_place or same:
        result = replace(result, base=value.base, tensor=value.tensor)
    if in_place:
        overwrite(call, value, result)
    return result


def require_private(call: Call, value: MapValue) -> None:
    """Refuse to change memory that another tensor, read later, may or may not share."""
    for node, other in call.walk.values.items():
        parts = other if isinstance(other, tuple | list) else (other,)
        sharing = [part for part in parts if isinstance(part, MapValue) and part.base is value.base]
        certain = isinstance(other, MapValue) and other.tensor is value.tensor
        if sharing and not certain and call.walk.later_users(node, call.node):
            raise call.refused("inplace", True, "False", f"{node.name} may be a view of its input, "
                               "or a copy")  # fmt: skip


def overwrite(call: Call, value: MapValue, result: MapValue) -> None:
    """Let whoever reads this tensor from here on, by whatever name, read the result."""
    for node, other in call.walk.values.items():
        if isinstance(other, MapValue) and other.tensor is value.tensor:
            # the way back from a Linear comes by this name, and may never meet the operation
            is_map = result.roles is not None and result.unpooled is None
            call.walk.values[node] = replace(result, source=node) if is_map else result


def _over_channels(call: Call, input: Any, dim: int | None) -> MapValue:
    value = call.value(input)
    rank = len(value.shape) + 1
    axis = ((0 if rank in (1, 3) else 1) if dim is None else dim) % rank - 1
    if axis < 0 or value.roles is None or value.roles[axis] != 0:
        what = "the batch" if axis < 0 else "space"
        raise call.refused("dim", dim, "the channels", f"it runs over {what}")
    return value


def _turned(call: Call, value: MapValue) -> fx.Node:
    """Write the function with its dimension turned to the channels of the grid."""
    args = list(call.node.args[1:])
    kwargs = {k: v for k, v in call.node.kwargs.items() if k not in ("input", "dim")}
    rest = args[1:]
    if rest:
        raise call.refused("arguments", tuple(rest), "dim alone, others by name")
    kwargs.pop("_stacklevel", None)
    if call.node.op == "call_method":
        return call.walk.graph.call_method(
            str(call.node.target), (value.node,), {**kwargs, "dim": 1}
        )
    return call.walk.function(call.node.target, value.node, **{**kwargs, "dim": 1})


def _mixed(call: Call, value: MapValue, node: fx.Node) -> MapValue:
    assert value.roles is not None
    return value.moved(node, channels=call.shape[value.roles.index(0)], source=call.node)
