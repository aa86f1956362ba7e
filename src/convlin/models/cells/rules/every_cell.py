"""What treats every cell alike: functions of elements, of channels, and other shapes of those.

An operation is here only if it leaves the axes of space alone; it then runs on stored cells as it
does on a window's.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from convlin.models.cells.cell_call import SAME, CellCall
from convlin.models.cells.cell_map import CellMap, Numbers, Source
from convlin.models.graph.traced import shape_of

Rule = Callable[[CellCall], CellMap | None]
Roles = tuple[int | None, ...]


def element(call: CellCall) -> CellMap | None:
    """Share a function of every element."""
    value = _only(call)
    return value and call.alike(value.roles)


def switched_off(call: CellCall) -> CellMap | None:
    """Share what does nothing in eval mode."""
    value = _only(call)
    return None if value is None or True in call.args else call.alike(value.roles)


def batch_norm(call: CellCall) -> CellMap | None:
    """Share a BatchNorm by its running statistics."""
    value = _only(call)
    return value and (call.alike(value.roles) if value.roles[0] is None else None)


def over_channels(call: CellCall) -> CellMap | None:
    """Share a layer that mixes the channels of every cell."""
    value = _only(call)
    return value and (call.alike(value.roles) if value.is_plain else None)


def prelu(call: CellCall) -> CellMap | None:
    """Share a PReLU of one slope, or of one for each channel."""
    value = _only(call)
    if value is None:
        return None
    one = shape_of(call.arg(1)) in ((), (1,))
    return call.alike(value.roles) if one or value.roles[0] is None else None


def over_dimension(place: int, default: int = -1, name: str = "dim") -> Rule:
    """Return the rule of what mixes the numbers along one dimension."""

    def rule(call: CellCall) -> CellMap | None:
        value = _only(call)
        if value is None:
            return None
        dim = call.arg(place, default, name)
        if dim is None or _axes(value, [dim]):
            return None
        return call.alike(value.roles)

    return rule


def layer_norm(call: CellCall) -> CellMap | None:
    """Share a LayerNorm over channels that lie last."""
    value = _only(call)
    last = len(call.arg(1))
    if value is None or any(role is not None for role in value.roles[-last:]):
        return None
    return call.alike(value.roles)


def linear(call: CellCall) -> CellMap | None:
    """Share a product with a matrix of the model's, of channels that lie last."""
    value = call.map(call.arg(0))
    if value is None or len(call.maps) > 1 or value.roles[-1] is not None:
        return None
    if len(shape_of(call.arg(1))) != 2 or len(call.shape) != len(value.roles):
        return None
    return call.alike(value.roles)


def reduction(place: int = 1) -> Rule:
    """Return the rule of a reduction over dimensions that are no axis."""

    def rule(call: CellCall) -> CellMap | None:
        value = _only(call)
        dims = call.arg(place, None, "dim")
        if value is None or dims is None or dims == []:
            return None
        listed = dims if isinstance(dims, list | tuple) else [dims]
        if _axes(value, listed):
            return None
        over = {dim % (len(value.roles) + 1) - 1 for dim in listed}
        kept = len(call.shape) == len(value.roles)
        roles = value.roles if kept else tuple(
            role for place, role in enumerate(value.roles) if place not in over)  # fmt: skip
        return call.alike(roles)

    return rule


def turned(call: CellCall) -> CellMap | None:
    """Share a map whose dimensions come in another order."""
    value = _only(call)
    if value is None:
        return None
    rank = len(value.roles) + 1
    order = list(range(rank))
    if call.name == "permute":
        order = [dim % rank for dim in call.arg(1, name="dims")]
    else:
        a, b = (call.arg(place) % rank for place in (1, 2))
        order[a], order[b] = order[b], order[a]
    if order[0] != 0:
        return None
    return call.alike(tuple(value.roles[dim - 1] for dim in order[1:]))


def reshaped(call: CellCall) -> CellMap | None:
    """Share another shape of the dimensions that are no axis."""
    value = _only(call)
    roles = None if value is None else _roles_in(value, call.shape)
    if value is None or roles is None:
        return None
    before, shape = value.roles, call.shape

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        (block,) = blocks
        pairs = zip(before, block.shape[1:], strict=True)
        lengths = {role: length for role, length in pairs if role is not None}
        sizes = (n if role is None else lengths[role]
                 for n, role in zip(shape, roles, strict=True))  # fmt: skip
        return block.reshape(len(block), *sizes)

    source = Source(value, (SAME,) * len(value.axes))
    return call.made([source], value.axes, roles, compute)


def expanded(call: CellCall) -> CellMap | None:
    """Share a map of which one cell, or one channel, is repeated."""
    value, shape = call.map(call.arg(0)), call.shape
    if value is None or len(shape) != len(value.roles):
        return None
    axes = list(value.axes)
    sizes = []
    for role, old, size in zip(value.roles, value.shape, shape, strict=True):
        sizes.append(size if role is None else -1)
        if role is not None and old != size:
            axes[role] *= size

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Tensor:
        return blocks[0].expand(-1, *sizes)

    source = Source(value.named(tuple(axes)), (SAME,) * len(axes))
    return call.made([source], tuple(axes), value.roles, compute)


def part(call: CellCall) -> CellMap | None:
    """Share some of the channels: `x[:, 2:5]`, `x[:, 3]`."""
    value = _only(call)
    dim = call.arg(1, 0, "dim")
    if value is None or _axes(value, [dim]):
        return None
    place = dim % (len(value.roles) + 1) - 1
    gone = call.name == "select"
    roles = (*value.roles[:place], *value.roles[place + 1 :]) if gone else value.roles
    return call.alike(roles)


def parts_over(call: CellCall) -> int | None:
    """Return the dimension along which an operation gives several parts, if it is no axis."""
    value = _only(call)
    unbinds = call.name == "unbind"
    dim = call.arg(1 if unbinds else 2, 0, "dim")
    if value is None or _axes(value, [dim]):
        return None
    return int(dim % (len(value.roles) + 1) - 1)


def one_of_several(call: CellCall) -> CellMap | None:
    """Share one of the parts that an operation has given."""
    whole, index = call.args
    (operand,) = [node for node in whole.all_input_nodes if call.map(node) is not None]
    inner = CellCall(whole, call.values, call.names, 0)
    place = parts_over(inner)
    value = call.map(operand)
    if place is None or value is None:
        return None
    gone = inner.name == "unbind"
    roles = (*value.roles[:place], *value.roles[place + 1 :]) if gone else value.roles

    def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Any:
        return operator.getitem(numbers.run(whole, {operand: blocks[0]}, len(blocks[0])), index)

    source = Source(value, (SAME,) * len(value.axes))
    return call.made([source], value.axes, roles, compute)


def _only(call: CellCall) -> CellMap | None:
    """Return the one map that the operation reads, if it is its first argument."""
    maps = call.maps
    return maps[0][1] if len(maps) == 1 and call.map(call.arg(0)) is maps[0][1] else None


def _axes(value: CellMap, dims: Sequence[int]) -> bool:
    """Whether any of these dimensions is the batch, or an axis."""
    places = [dim % (len(value.roles) + 1) - 1 for dim in dims]
    return any(place < 0 or value.roles[place] is not None for place in places)


def _roles_in(value: CellMap, shape: tuple[int, ...]) -> Roles | None:
    """Return which dimension of another shape is which axis; None if one is not among them."""
    roles: list[int | None] = []
    rest = list(shape)
    waiting = 1  # how many numbers of the dimensions before an axis are not matched yet

    def matched() -> bool:
        """Take dimensions that are no axis until they hold as many numbers."""
        held = 1
        while held < waiting and rest:
            held *= rest.pop(0)
            roles.append(None)
        return held == waiting

    for size, role in zip(value.shape, value.roles, strict=True):
        if role is None:
            waiting *= size
            continue
        if not matched():
            return None
        while rest and rest[0] == 1 and size != 1:
            rest.pop(0)
            roles.append(None)
        if not rest or rest.pop(0) != size:
            return None
        roles.append(role)
        waiting = 1
    if not matched() or math.prod(rest) != 1:
        return None
    return (*roles, *(None for _ in rest))


SEVERAL = ("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split",
           "unbind")  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
         "hardsigmoid", "hardtanh", "sigmoid", "tanh", "softplus", "hardshrink", "softshrink",
         "log_sigmoid", "threshold", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10",
         "abs", "neg", "sqrt", "rsqrt", "square", "reciprocal", "sin", "cos", "erf", "sign",
         "floor", "ceil", "round", "logit", "nan_to_num", "zeros_like", "ones_like", "full_like",
         "contiguous", "clone", "detach", "alias", "to", "_to_copy", "type_as", "logical_not",
         "_autocast_to_reduced_precision", "_autocast_to_full_precision", "positive", "isnan"),
        element,
    ),
    **dict.fromkeys(
        ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "rrelu"),
        switched_off,
    ),
    **dict.fromkeys(("softmax", "log_softmax", "glu", "cumsum"), over_dimension(1)),
    **dict.fromkeys(("std", "var"), reduction()),
    "linalg_vector_norm": reduction(2),
    **dict.fromkeys(("permute", "transpose", "swapaxes", "swapdims"), turned),
    **dict.fromkeys(
        ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze"),
        reshaped,
    ),
    **dict.fromkeys(("linear", "matmul"), linear),
    "expand": expanded,
    "select": part,
    "batch_norm": batch_norm,
    "prelu": prelu,
    "layer_norm": layer_norm,
    "getitem": one_of_several,
}  # fmt: skip
