"""What treats every element alike, or every cell's channels: stays, wherever elements lie."""

# ruff: noqa: A002 - PyTorch calls it `input`

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import fx, nn

from convlin.models.dense.call import Call
from convlin.models.dense.place import Constant, Place
from convlin.models.dense.registry import function, layer


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
def activation_layer(call: Call, input: Any) -> Place:
    """Keep an activation."""
    return elementwise(call, call.place(input), getattr(call.module, "inplace", False))


@function("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
          "hardsigmoid", "hardtanh", "sigmoid", "tanh", "softplus", "softsign", "tanhshrink",
          "hardshrink", "softshrink", "logsigmoid", "threshold", "exp", "expm1", "log", "log1p",
          "log2", "log10", "abs", "neg", "sqrt", "rsqrt", "square", "reciprocal", "sin", "cos",
          "erf", "sign", "floor", "ceil", "round", "clamp", "clamp_min", "clamp_max", "clip",
          "logit", "nan_to_num")  # fmt: skip
def activation(call: Call, input: Any, *args: Any, **kwargs: Any) -> Place:
    """Keep a function of every element."""
    others = [value for value in (*args, *kwargs.values()) if isinstance(value, Place | Constant)]
    if others:
        raise call.refused("arguments", "a tensor", "numbers")
    in_place = (call.name or "").endswith("_") or kwargs.get("inplace") or any(
        value is True for value in args
    )  # fmt: skip
    return elementwise(call, call.place(input), bool(in_place))


@layer(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
       nn.FeatureAlphaDropout)  # fmt: skip
def dropout_layer(call: Call, input: Any) -> Any:
    """Keep what does nothing in eval mode."""
    if not isinstance(input, Place):
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
def cast(call: Call, input: Any, *args: Any, **kwargs: Any) -> Place:
    """Keep a cast; leave out one to the type of another value, where it has that already."""
    place = call.place(input)
    first, *others = call.node.all_input_nodes
    if others and call.node.meta["dtype"] == first.meta["dtype"]:
        return place
    return elementwise(call, place, in_place=False, same=True)


@layer(nn.PReLU)
def prelu_layer(call: Call, input: Any) -> Place:
    """Keep a PReLU: one slope, or one per channel."""
    place = call.place(input)
    if call.module.num_parameters > 1 and (place.roles or (None,))[0] != 0:
        raise call.refused("num_parameters", call.module.num_parameters, "1, or one per channel "
                           "behind the batch")  # fmt: skip
    return elementwise(call, place, in_place=False)


@function("prelu")
def prelu(call: Call, input: Any, weight: Any) -> Place:
    """Keep a functional PReLU."""
    place = call.place(input)
    if not isinstance(weight, Constant):
        raise call.refused("weight", "computed", "a tensor of the model")
    if weight.shape[:1] != (1,) and (place.roles or (None,))[0] != 0:
        raise call.refused("weight", weight.shape, "one slope, or one per channel")
    return elementwise(call, place, in_place=False)


@layer(nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.GLU)
def channel_layer(call: Call, input: Any) -> Place:
    """Keep what mixes the channels of a cell, its dimension turned to 1."""
    place = _over_channels(call, input, call.module.dim)
    if call.module.dim == 1:
        return _mixed(call, place, call.keep())
    turned = type(call.module)(dim=1).train(call.module.training)
    call.exchanged(f"dim {call.module.dim} ⇒ 1")
    return _mixed(call, place, call.walk.module(call.site, turned, place.node))


@layer(nn.Softmax2d)
def softmax_2d(call: Call, input: Any) -> Place:
    """Keep a softmax over channels."""
    place = call.map(input)
    return call.mapped(place, call.keep(), place.axes)


@function("softmax", "log_softmax", "softmin", "glu")
def over_channels(call: Call, input: Any, dim: int | None = -1, *rest: Any, **more: Any) -> Place:
    """Keep what mixes the channels of a cell, its dimension turned to 1."""
    place = _over_channels(call, input, dim)
    return _mixed(call, place, _turned(call, place))


@function("normalize")
def normalize(call: Call, input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Place:
    """Keep the division by the length of a cell's channels."""
    place = _over_channels(call, input, dim)
    node = call.walk.function(call.node.target, place.node, p=p, dim=1, eps=eps)
    return _mixed(call, place, node)


def elementwise(call: Call, place: Place, in_place: bool, same: bool = False) -> Place:
    """Return the place behind a function of every element, kept; `same`: it returns its operand."""
    if in_place:
        require_private(call, place)
    node = call.keep()
    flattened = place.roles is None or place.unpooled is not None
    result = place.moved(node, source=place.source if flattened else call.node)
    if in_place or same:
        result = replace(result, base=place.base, tensor=place.tensor)
    if in_place:
        overwrite(call, place, result)
    return result


def require_private(call: Call, place: Place) -> None:
    """Refuse to change memory that another tensor, read later, may or may not share."""
    for node, value in call.walk.values.items():
        values = value if isinstance(value, tuple | list) else (value,)
        sharing = [v for v in values if isinstance(v, Place) and v.base is place.base]
        certain = isinstance(value, Place) and value.tensor is place.tensor
        if sharing and not certain and call.walk.later_users(node, call.node):
            raise call.refused("inplace", True, "False", f"{node.name} may be a view of its input, "
                               "or a copy")  # fmt: skip


def overwrite(call: Call, place: Place, result: Place) -> None:
    """Let whoever reads this tensor from here on, by whatever name, read the result."""
    for node, value in call.walk.values.items():
        if isinstance(value, Place) and value.tensor is place.tensor:
            # the way back from a Linear comes by this name, and may never meet the operation
            is_map = result.roles is not None and result.unpooled is None
            call.walk.values[node] = replace(result, source=node) if is_map else result


def _over_channels(call: Call, value: Any, dim: int | None) -> Place:
    place = call.place(value)
    rank = len(place.shape) + 1
    axis = ((0 if rank in (1, 3) else 1) if dim is None else dim) % rank - 1
    if axis < 0 or place.roles is None or place.roles[axis] != 0:
        what = "the batch" if axis < 0 else "space"
        raise call.refused("dim", dim, "the channels", f"it runs over {what}")
    return place


def _turned(call: Call, place: Place) -> fx.Node:
    """Write the function with its dimension turned to the channels of the grid."""
    args = list(call.node.args[1:])
    kwargs = {k: v for k, v in call.node.kwargs.items() if k not in ("input", "dim")}
    rest = args[1:]
    if rest:
        raise call.refused("arguments", tuple(rest), "dim, others by name")
    kwargs.pop("_stacklevel", None)
    if call.node.op == "call_method":
        return call.walk.graph.call_method(
            str(call.node.target), (place.node,), {**kwargs, "dim": 1}
        )
    return call.walk.function(call.node.target, place.node, **{**kwargs, "dim": 1})


def _mixed(call: Call, place: Place, node: fx.Node) -> Place:
    assert place.roles is not None
    return place.moved(node, channels=call.shape[place.roles.index(0)], source=call.node)
