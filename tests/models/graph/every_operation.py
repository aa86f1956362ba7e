"""For every operation that has a rule, the smallest model that runs it, by ATen's own name.

Each takes a map `y` of 6 channels and 7 × 6 cells, behind a convolution and in front of a Linear.
`m` holds the model's own tensors.
"""

import torch
from torch.nn import functional

aten = torch.ops.aten

OF_ELEMENTS = [
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "sigmoid",
    "tanh",
    "softplus",
    "hardshrink",
    "softshrink",
    "log_sigmoid",
    "exp",
    "expm1",
    "exp2",
    "abs",
    "neg",
    "square",
    "sin",
    "cos",
    "erf",
    "sign",
    "floor",
    "ceil",
    "round",
    "nan_to_num",
    "zeros_like",
    "ones_like",
    "zero",
    "rrelu",
    "alias",
    "detach",
    "clone",
    "contiguous",
]
OF_POSITIVE = ["log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal"]
OF_TWO = [
    "add",
    "sub",
    "mul",
    "maximum",
    "minimum",
    "rsub",
    "fmax",
    "fmin",
    "atan2",
    "gt",
    "ge",
    "lt",
    "le",
    "eq",
    "ne",
    "logical_and",
    "logical_or",
    "logical_xor",
]
OF_POSITIVES = ["div", "true_divide", "pow", "float_power", "remainder", "fmod", "floor_divide"]


def cells(m, y):
    """Return the cells, each a row of channels."""
    return y.flatten(2).transpose(1, 2)


def of(names, given):
    """Return models that call an operation on what `given` makes of `m` and `y`."""
    return {name: lambda m, y, name=name: getattr(aten, name)(*given(m, y)) for name in names}


ALONE = {
    **of(OF_ELEMENTS, lambda m, y: (y,)),
    **of(OF_POSITIVE, lambda m, y: (y.abs() + 0.5,)),
    **of(OF_TWO, lambda m, y: (y, m.other(y))),
    **of(OF_POSITIVES, lambda m, y: (y.abs() + 1, m.other(y).abs() + 1)),
    "threshold": lambda m, y: aten.threshold(y, 0.1, -2),
    "logit": lambda m, y: aten.logit(y.sigmoid()),
    "full_like": lambda m, y: y * aten.full_like(y, 3),
    "dropout": lambda m, y: aten.dropout(y, 0.5, False),
    "alpha_dropout": lambda m, y: aten.alpha_dropout(y, 0.5, False),
    "feature_dropout": lambda m, y: aten.feature_dropout(y, 0.5, False),
    "feature_alpha_dropout": lambda m, y: aten.feature_alpha_dropout(y, 0.5, False),
    "to": lambda m, y: y.to(torch.float64) * 2,
    "_to_copy": lambda m, y: aten._to_copy(y, dtype=y.dtype),
    "type_as": lambda m, y: (y > 0).type_as(y),
    "_autocast_to_reduced_precision": lambda m, y: aten._autocast_to_reduced_precision(
        y.float(), False, True, torch.bfloat16, torch.bfloat16
    ),
    "_autocast_to_full_precision": lambda m, y: aten._autocast_to_full_precision(
        y.bfloat16(), False, True
    ),
    "prelu": lambda m, y: aten.prelu(y, m.per_channel),
    "softmax": lambda m, y: y.softmax(1),
    "log_softmax": lambda m, y: y.log_softmax(1),
    "glu": lambda m, y: aten.glu(y, 1),
    "fill": lambda m, y: y + aten.fill(y, 2),
    "clamp": lambda m, y: y.clamp(-0.5, 0.5),
    "clip": lambda m, y: aten.clip(y, -0.5, 0.5),
    "clamp_min": lambda m, y: y.clamp_min(0.1),
    "clamp_max": lambda m, y: y.clamp_max(0.1),
    "where": lambda m, y: torch.where(y > 0, y, m.other(y)),
    "addcmul": lambda m, y: torch.addcmul(y, m.other(y), y, value=0.5),
    "addcdiv": lambda m, y: torch.addcdiv(y, m.other(y), y.abs() + 1),
    "lerp": lambda m, y: torch.lerp(y, m.other(y), 0.25),
    "masked_fill": lambda m, y: y.masked_fill(y > 0, 2.0),
    "logical_not": lambda m, y: aten.logical_not(y > 0),
}
NEIGHBOURS = {
    "conv2d": lambda m, y: aten.conv2d(y, m.kernel),
    "conv1d": lambda m, y: aten.conv1d(y, m.kernel[..., 0]),
    "conv3d": lambda m, y: aten.conv3d(y, m.kernel[..., None]),
    "max_pool1d": lambda m, y: aten.max_pool1d(y, 2),
    "max_pool2d": lambda m, y: aten.max_pool2d(y, 2),
    "max_pool3d": lambda m, y: aten.max_pool3d(y, 2),
    "avg_pool1d": lambda m, y: aten.avg_pool1d(y, 2),
    "avg_pool2d": lambda m, y: aten.avg_pool2d(y, 2),
    "avg_pool3d": lambda m, y: aten.avg_pool3d(y, 2),
    "pad": lambda m, y: aten.pad(y, [-1, -1, -2, 0]),
    "max_pool1d_with_indices": lambda m, y: aten.max_pool1d_with_indices(y, 2)[0],
    "max_pool2d_with_indices": lambda m, y: aten.max_pool2d_with_indices(y, 2)[0],
    "max_pool3d_with_indices": lambda m, y: aten.max_pool3d_with_indices(y, 2)[0],
    "adaptive_avg_pool1d": lambda m, y: aten.adaptive_avg_pool1d(y, 1),
    "adaptive_avg_pool2d": lambda m, y: aten.adaptive_avg_pool2d(y, [1, 1]),
    "adaptive_avg_pool3d": lambda m, y: aten.adaptive_avg_pool3d(y, [1, 1, 1]),
    "adaptive_max_pool1d": lambda m, y: aten.adaptive_max_pool1d(y, 1)[0],
    "adaptive_max_pool2d": lambda m, y: aten.adaptive_max_pool2d(y, [1, 3])[0],
    "adaptive_max_pool3d": lambda m, y: aten.adaptive_max_pool3d(y, [1, 1, 1])[0],
    "batch_norm": lambda m, y: functional.batch_norm(y, m.per_channel, m.per_channel.abs()),
    "layer_norm": lambda m, y: functional.layer_norm(cells(m, y), (6,), m.per_channel),
    "rms_norm": lambda m, y: functional.rms_norm(cells(m, y), (6,), m.per_channel),
    "group_norm": lambda m, y: functional.group_norm(y, 2),
    "instance_norm": lambda m, y: functional.instance_norm(
        y, m.per_channel, m.per_channel.abs(), use_input_stats=False
    ),
}
REDUCED = {
    "mean": lambda m, y: y.mean((2, 3)),
    "sum": lambda m, y: y.sum((2, 3)),
    "amax": lambda m, y: y.amax((2, 3)),
    "amin": lambda m, y: y.amin(1),
    "max": lambda m, y: y.max(1)[0],
    "min": lambda m, y: torch.min(y, m.other(y)),
    "linalg_vector_norm": lambda m, y: y / y.norm(dim=1, keepdim=True),
}
MOVED = {
    "view": lambda m, y: y.view(-1, 3, 2, 7, 6),
    "reshape": lambda m, y: aten.reshape(y, [-1, 2, 3, 42]),
    "_unsafe_view": lambda m, y: aten._unsafe_view(y, [-1, 252]),
    "view_as": lambda m, y: y.view_as(m.other(y)),
    "reshape_as": lambda m, y: y.reshape_as(m.other(y)),
    "permute": lambda m, y: y.permute(0, 3, 1, 2),
    "transpose": lambda m, y: y.transpose(1, 3),
    "t": lambda m, y: y.flatten(1) @ m.square.t(),
    "swapaxes": lambda m, y: aten.swapaxes(y, 1, 2),
    "swapdims": lambda m, y: aten.swapdims(y, 1, 2),
    "movedim": lambda m, y: aten.movedim(y, 1, -1),
    "moveaxis": lambda m, y: aten.moveaxis(y, 1, -1),
    "numpy_T": lambda m, y: aten.numpy_T(aten.numpy_T(y)),
    "adjoint": lambda m, y: aten.adjoint(y),
    "flatten": lambda m, y: y.flatten(2),
    "ravel": lambda m, y: aten.ravel(y).view(-1, 252),
    "unflatten": lambda m, y: y.unflatten(1, (2, 3)),
    "squeeze": lambda m, y: y.amax(1, keepdim=True).squeeze(1),
    "unsqueeze": lambda m, y: y.unsqueeze(2),
    "chunk": lambda m, y: y.chunk(2, 1)[1],
    "split": lambda m, y: aten.split(y, 4, 1)[1],
    "split_with_sizes": lambda m, y: aten.split_with_sizes(y, [1, 5], 1)[1],
    "tensor_split": lambda m, y: torch.tensor_split(y, 4, 1)[1],
    "unsafe_chunk": lambda m, y: aten.unsafe_chunk(y, 2, 1)[0],
    "unsafe_split": lambda m, y: aten.unsafe_split(y, 4, 1)[0],
    "unbind": lambda m, y: y.unbind(1)[2],
    "getitem": lambda m, y: y.unbind(1)[3],
    "narrow": lambda m, y: y.narrow(2, 1, 3),
    "select": lambda m, y: y.select(1, 4),
    "slice": lambda m, y: y[:, 1:, ::2],
    "flip": lambda m, y: y.flip(1),
    "roll": lambda m, y: y.roll(2, 1),
    "channel_shuffle": lambda m, y: aten.channel_shuffle(y, 2),
    "native_channel_shuffle": lambda m, y: aten.native_channel_shuffle(y, 2),
    "pixel_unshuffle": lambda m, y: aten.pixel_unshuffle(y[:, :, :6], 2),
    "index_select": lambda m, y: y.index_select(1, torch.tensor([4, 0, 2])),
    "index": lambda m, y: y[:, [5, 1]],
    "expand": lambda m, y: y.amax(1, keepdim=True).expand(-1, 4, -1, -1) * 2,
    "expand_as": lambda m, y: y.amax(1, keepdim=True).expand_as(y) * y,
    "repeat": lambda m, y: y.repeat(1, 2, 1, 1),
    "copy": lambda m, y: aten.copy(y, m.other(y)),
    "cat": lambda m, y: torch.cat([y, m.other(y)], 1),
    "concat": lambda m, y: aten.concat([y, m.other(y)], 1),
    "concatenate": lambda m, y: aten.concatenate([y, m.other(y)], 1),
    "stack": lambda m, y: torch.stack([y, m.other(y)], 2),
    "slice_scatter": lambda m, y: aten.slice_scatter(y, m.other(y)[:, 2:4], 1, 2, 4),
    "select_scatter": lambda m, y: aten.select_scatter(y, m.other(y)[:, 2], 1, 5),
}
PRODUCTS = {
    "linear": lambda m, y: functional.linear(cells(m, y), m.small),
    "matmul": lambda m, y: aten.matmul(cells(m, y), m.small),
    "mm": lambda m, y: aten.mm(y.flatten(1), m.square),
    "addmm": lambda m, y: aten.addmm(m.square[0], y.flatten(1), m.square),
    "einsum": lambda m, y: torch.einsum("nchw,ck->nkhw", y, m.small),
}
MADE = {
    "zeros": lambda m, y: torch.cat([y, torch.zeros(len(y), 1, 7, 6, dtype=y.dtype)], 1),
    "ones": lambda m, y: torch.cat([y, torch.ones(len(y), 1, 7, 6, dtype=y.dtype)], 1),
    "full": lambda m, y: torch.cat([y, torch.full((len(y), 1, 7, 6), 3.0, dtype=y.dtype)], 1),
    "new_zeros": lambda m, y: y + y.new_zeros(1),
    "new_ones": lambda m, y: y + y.new_ones(1),
    "new_full": lambda m, y: y * y.new_full((1,), 3),
}
NEVER = {
    "scaled_dot_product_attention": lambda m, y: functional.scaled_dot_product_attention(
        cells(m, y), cells(m, y), cells(m, y)
    ),
    "conv_transpose1d": lambda m, y: aten.conv_transpose1d(y[:, 1:], m.kernel[..., 0]),
    "conv_transpose2d": lambda m, y: aten.conv_transpose2d(y[:, 1:], m.kernel),
    "conv_transpose3d": lambda m, y: aten.conv_transpose3d(y[:, 1:], m.kernel[..., None]),
    "pixel_shuffle": lambda m, y: aten.pixel_shuffle(y[:, :4], 2),
    "upsample_nearest1d": lambda m, y: functional.interpolate(y, scale_factor=2),
    "upsample_nearest2d": lambda m, y: functional.interpolate(y, scale_factor=2),
    "upsample_nearest3d": lambda m, y: functional.interpolate(y, scale_factor=2),
    "upsample_linear1d": lambda m, y: functional.interpolate(y, 9, mode="linear"),
    "upsample_bilinear2d": lambda m, y: functional.interpolate(y, 9, mode="bilinear"),
    "upsample_bicubic2d": lambda m, y: functional.interpolate(y, 9, mode="bicubic"),
    "upsample_trilinear3d": lambda m, y: functional.interpolate(y, 9, mode="trilinear"),
    "col2im": lambda m, y: functional.fold(y.flatten(2), (8, 6), (2, 1)),
    "grid_sampler": lambda m, y: functional.grid_sample(
        y, y.flatten(1)[:, :24].view(-1, 3, 4, 2), align_corners=False
    ),
    "max_unpool2d": lambda m, y: functional.max_unpool2d(y, (y > 2).long(), 2),
    "max_unpool3d": lambda m, y: functional.max_unpool3d(y, (y > 2).long(), 2),
    "lstm": lambda m, y: m.recurrent(cells(m, y))[0],
    "gru": lambda m, y: m.recurrent(cells(m, y))[0],
    "rnn_tanh": lambda m, y: m.recurrent(cells(m, y))[0],
    "rnn_relu": lambda m, y: m.recurrent(cells(m, y))[0],
}
EVERY = {**ALONE, **NEIGHBOURS, **REDUCED, **MOVED, **PRODUCTS, **MADE, **NEVER}
