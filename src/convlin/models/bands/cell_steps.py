"""What treats every row alike, what puts maps together, and what takes some of their cells.

All that a row-wise operation reads lies in the same row: it is called as it is, on rows that are
there of all values it reads. Values that meet wait for each other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from convlin.models.bands.band_step import Asked, Compute, Limit, Sizes, Span, Step
from convlin.models.bands.row_flow import ALONE, Neighbours
from convlin.models.bands.row_queue import Chunk
from convlin.models.cells.running import OVERWRITES
from convlin.models.dense import grid
from convlin.models.graph.varying import mapped

__all__ = ["FUNCTIONS", "MODULES"]

Constants = Mapping[fx.Node, Any]


def every_row(asked: Asked) -> Step:
    """Return the step of an operation that treats every row alike."""
    node = asked.node
    reads = tuple(n for n in node.all_input_nodes if n in asked.rows)
    for read in node.all_input_nodes:
        shape = tuple(getattr(asked.values[read], "shape", ()))
        if read not in reads and any(n > 1 for n in shape[len(shape) - asked.ndim :]) and (
            len(shape) > asked.ndim
        ):  # fmt: skip
            raise asked.refused("weights", shape, "one number per channel")
    compute = _module(asked) if asked.module is not None else _function(asked, reads)
    twins = TWINS.get(type(asked.module), TWINS.get(asked.name, 0))
    return asked.step(reads, (ALONE,) * asked.ndim, compute, twins=twins)


def _module(asked: Asked) -> Compute:
    """Return a layer's call; where it may, it writes over what it reads."""
    module = asked.module
    calls = [module, module]
    if hasattr(module, "inplace"):
        calls = [copy.copy(module), copy.copy(module)]
        for inplace, call in enumerate(calls):
            call.inplace = bool(inplace)

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        (chunk,) = chunks
        made: Tensor = calls[chunk.own](chunk.rows)
        return made

    return compute


def _function(asked: Asked, reads: Sequence[fx.Node]) -> Compute:
    node, name = asked.node, asked.name
    function: Any = node.target
    over: Any = overwriting_function(function, name)
    sums = name == "add" and len(node.args) == len(reads) == 2 and not node.kwargs

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        given = dict(zip(reads, chunks, strict=True))

        def real(arg: Any) -> Any:
            if not isinstance(arg, fx.Node):
                return arg
            return given[arg].rows if arg in given else constants[arg]

        args, kwargs = mapped((node.args, dict(node.kwargs)), real)
        made: Tensor
        if sums and chunks[0].own and _alike(chunks[0].rows, chunks[1].rows):
            made = args[0].add_(args[1])
        elif over is not None and chunks[0].own:
            made = over(*args, **kwargs)
        else:
            made = function(*args, **kwargs)
        return made

    return compute


def overwriting_function(function: Any, name: str) -> Any:
    """Return the function that writes over its first argument, if that is safe."""
    return getattr(torch.ops.aten, f"{name}_") if name in OVERWRITES else None


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype


def over_channels(asked: Asked) -> Step:
    """Return the step of what mixes the channels of a cell; refuse it along any other axis."""
    node, module = asked.node, asked.module
    dim: Any
    if module is not None:
        dim = getattr(module, "dim", 1)
    else:
        place = DIM.get(asked.name, 1)
        dim = node.kwargs["dim"] if "dim" in node.kwargs else next(iter(asked.args[place:]), None)
    dims = [dim] if isinstance(dim, int) else list(dim or ())
    rank = asked.values[node.all_input_nodes[0]].ndim
    if [d % rank for d in dims] != [1]:
        raise asked.refused("dim", dim, "the channels, 1", OVER_ALL)
    return every_row(asked)


def batch_statistics(asked: Asked) -> Step:
    """Return the step of an InstanceNorm with running statistics; refuse those of the image."""
    module, args = asked.module, asked.args
    running = module.running_mean is not None if module is not None else args[5:6] == (False,)
    if not running:
        raise asked.refused("statistics", "over space", "running ones", OVER_ALL)
    return every_row(asked)


def never(asked: Asked) -> Step:
    """Refuse what reads the whole map."""
    allowed = "a layer whose outputs read some rows alone"
    raise asked.refused("operation", asked.operation, allowed, OVER_ALL)


def turned(asked: Asked) -> Step:
    """Return the step of bringing channels to the end, or back."""
    return every_row(asked)


def taken(asked: Asked) -> Step:
    """Return the step of a slice of cells: padding that is negative."""
    source, ranges = asked.args
    axes = tuple(Neighbours(1, step, 1, -start, -tail) for start, tail, step in ranges)
    (_, _, every), *others = ranges

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        return grid.take_cells(chunks[0].rows, ((0, 0, every), *others))

    return asked.step([source], axes, compute)


def shortened(asked: Asked) -> Step:
    """Return the step of leaving off cells that another value has not."""
    source, dim, like = asked.args

    def limit(image: Sizes, known: Mapping[fx.Node, Sizes]) -> Sizes:
        return tuple(known[like][d] if d + 2 == dim else n for d, n in enumerate(known[source]))

    return asked.step([source], (ALONE,) * asked.ndim, _narrowed, limit=limit)


def windows_cells(asked: Asked) -> Step:
    """Return the step of the cells that are windows of the image."""
    source, _, window, stride = asked.args
    return asked.step([source], (ALONE,) * asked.ndim, _narrowed, limit=_windows(window, stride))


def unfolded(asked: Asked) -> Step:
    """Return the step of the cells of every window, behind the windows' own."""
    source, _, window, stride, size, step, every = asked.args
    axes = tuple(Neighbours(n, s, apart) for n, s, apart in zip(size, every, step, strict=True))
    ndim = asked.ndim

    def compute(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
        x = chunks[0].rows
        for dim, axis in enumerate(axes, 2):
            x = x.unfold(dim, axis.extent, axis.stride)[..., :: axis.dilation]
        x = _narrow(x, span)
        return x.permute(0, 1, *range(2 + ndim, 2 + 2 * ndim), *range(2, 2 + ndim))

    return asked.step([source], axes, compute, limit=_windows(window, stride))


def _windows(window: Sequence[int], stride: Sequence[int]) -> Limit:
    def limit(image: Sizes, known: Mapping[fx.Node, Sizes]) -> Sizes:
        # window w starts at pixel w·step, so the last one has w·step + size ≤ pixels
        return tuple(
            (n - size) // step + 1 for n, size, step in zip(image, window, stride, strict=True)
        )

    return limit


def _narrowed(chunks: Sequence[Chunk], constants: Constants, span: Span) -> Tensor:
    return _narrow(chunks[0].rows, span)


def _narrow(x: Tensor, span: Span) -> Tensor:
    """Return the cells there are along the axes that are no rows."""
    for dim, n in enumerate(span.made[1:], 3):
        if x.shape[dim] != n:
            x = x.narrow(dim, 0, n)
    return x


# values as large as the result that some make on the way
TWINS: dict[Any, int] = {
    nn.LocalResponseNorm: 5, nn.CrossMapLRN2d: 5, nn.Softmax: 1, nn.LogSoftmax: 1, nn.Softmin: 2,
    nn.Softmax2d: 1, nn.Tanhshrink: 1, nn.Softsign: 2, nn.RMSNorm: 3, "softmax": 1,
    "log_softmax": 1, "softmax_of_groups": 3, "reduced_channels": 2, "rms_norm": 3, "spread": 2,
    "linalg_vector_norm": 1, "shaped": 2,
}  # fmt: skip
OVER_ALL = "it reads the whole map, of which a band has some rows"
DIM = {"linalg_vector_norm": 2}
_EVERY_ROW = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish",
    "hardsigmoid", "hardtanh", "sigmoid", "tanh", "softplus", "hardshrink", "softshrink",
    "log_sigmoid", "threshold", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "abs",
    "neg", "sqrt", "rsqrt", "square", "reciprocal", "sin", "cos", "erf", "sign", "floor", "ceil",
    "round", "logit", "nan_to_num", "zeros_like", "ones_like", "full_like", "zero", "dropout",
    "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "rrelu", "to", "_to_copy",
    "type_as", "_autocast_to_reduced_precision", "_autocast_to_full_precision", "prelu", "add",
    "sub", "mul", "div", "pow", "maximum", "minimum", "rsub", "true_divide", "fmax", "fmin",
    "float_power", "fill", "clamp", "clamp_min", "clamp_max", "clip", "where", "addcmul",
    "addcdiv", "lerp", "masked_fill", "remainder", "fmod", "floor_divide", "atan2", "gt", "ge",
    "lt", "le", "eq", "ne", "logical_and", "logical_or", "logical_not", "logical_xor",
    "expand_as", "batch_norm", "layer_norm", "rms_norm", "detach", "spread", "select_channels",
    "reduced_channels", "softmax_of_groups", "shaped",
)  # fmt: skip
_LAYERS: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Hardshrink,
    nn.Softshrink, nn.LogSigmoid, nn.Threshold, nn.Softsign, nn.Tanhshrink, nn.Dropout,
    nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU,
    nn.PReLU, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LayerNorm,
    nn.RMSNorm, nn.LocalResponseNorm, nn.CrossMapLRN2d, nn.Softmax2d, nn.Identity,
)  # fmt: skip
MODULES: dict[type[nn.Module], Callable[[Asked], Step]] = {
    **dict.fromkeys(_LAYERS, every_row),
    **dict.fromkeys((nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.GLU), over_channels),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), batch_statistics),
    nn.GroupNorm: never,
}
FUNCTIONS: dict[str, Callable[[Asked], Step]] = {
    **dict.fromkeys(_EVERY_ROW, every_row),
    **dict.fromkeys(("softmax", "log_softmax", "glu", "mean", "amax", "amin", "sum",
                     "linalg_vector_norm", "cat"), over_channels),
    **dict.fromkeys(("channels_last", "channels_first"), turned),
    "instance_norm": batch_statistics,
    "group_norm": never,
    "take_cells": taken, "shorten": shortened, "window_cells": windows_cells,
    "cells_of_windows": unfolded,
}  # fmt: skip
