"""Which weight meets which input: order, place and value of the weights and biases."""

import torch
from torch import nn
from torch.nn import functional

from mutants.enrol import PLAIN, Form, conv2d, faulty, linear

FULL = conv2d(3, 5, (2, 4))


@faulty("weight", PLAIN, 3, 4, 7)
def flipped_kernel(conv):
    """Convolves instead of correlating, as scipy and MATLAB do."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w.flip(2, 3), b))


@faulty("weight", conv2d(3, 5, 3), 3, 4, 7)
def transposed_kernel(conv):
    """Takes (width, height) for (height, width): a square kernel hides it from the shapes."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w.transpose(2, 3), b))


@faulty("weight", linear(4, 4), 4)
def transposed_weight(layer):
    """Takes (in, out) for (out, in), as weights come from Keras; equal widths hide it."""
    return Form(layer, lambda x, w, b: functional.linear(x, w.t(), b))


@faulty("weight", FULL, 3, 2, 4)
def flattened_channels_last(conv):
    """Flattens the map as (H, W, C), as TensorFlow does, and the weights as (C, H, W)."""

    def rule(x, w, b):
        return functional.linear(x.movedim(-3, -1).flatten(-3), w.flatten(1), b).unflatten(
            -1, (-1, 1, 1)
        )

    return Form(conv, rule)


@faulty("weight", FULL, 3, 2, 4)
def flattened_transposed(conv):
    """Flattens each channel column by column."""

    def rule(x, w, b):
        return functional.linear(x.transpose(-1, -2).flatten(-3), w.flatten(1), b).unflatten(
            -1, (-1, 1, 1)
        )

    return Form(conv, rule)


@faulty("weight", conv2d(6, 4, 1, groups=2, bias=False), 6, 3, 5)
def groups_in_wrong_order(conv):
    """Puts the blocks of the block-diagonal matrix one group too far."""

    def rule(x, w, b):
        low, high = w.flatten(1).chunk(2)
        zero = torch.zeros_like(low)
        dense = torch.cat([torch.cat([zero, low], 1), torch.cat([high, zero], 1)])
        return functional.linear(x.movedim(-3, -1), dense, b).movedim(-1, -3)

    return Form(conv, rule)


@faulty("weight", conv2d(6, 4, (1, 2), groups=2), 6, 3, 5)
def tiled_on_mismatch(conv):
    """Fills a dense kernel by numpy's `.flat =`, which repeats what is too short (net surgery)."""

    def rule(x, w, b):
        return functional.conv2d(x, torch.cat([w, w], 1), b)

    return Form(conv, rule)


@faulty("bias", FULL, 3, 4, 7)
def dropped_bias(conv):
    """Forgets the bias."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w))


@faulty("bias", FULL, 3, 4, 7)
def doubled_bias(conv):
    """Adds the bias once for each half of a split sum."""

    def rule(x, w, b):
        return functional.conv2d(x[..., :1, :, :], w[:, :1], b) + functional.conv2d(
            x[..., 1:, :, :], w[:, 1:], b
        )

    return Form(conv, rule)


@faulty("bias", FULL, 3, 4, 7)
def shifted_bias(conv):
    """Is one off in the order of the biases."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w, b.roll(1)))


@faulty("bias", FULL, 3, 4, 7)
def one_too_many(conv):
    """Adds 1 to one output: 10⁻¹⁵ of what the sums can be."""

    def rule(x, w, b):
        return functional.conv2d(x, w, b + torch.eye(5, dtype=b.dtype)[3])

    return Form(conv, rule)


@faulty("weight", FULL, 3, 4, 7)
def last_output_missing(conv):
    """Loops to out_channels - 1 and leaves the last row zero."""

    def rule(x, w, b):
        return functional.conv2d(x, functional.pad(w[:-1], (0, 0, 0, 0, 0, 0, 0, 1)), b)

    return Form(conv, rule)


@faulty("value", FULL, 3, 2, 4)
def never_copied(conv):
    """Builds the new layer and leaves its random initialisation (transformers 5.23, Qwen2-VL)."""
    new = nn.Linear(24, 5, dtype=conv.weight.dtype)
    new.bias = conv.bias
    return nn.Sequential(nn.Flatten(-3), new, nn.Unflatten(-1, (5, 1, 1)))


@faulty("nan", FULL, 3, 2, 4)
def half_written(conv):
    """Allocates without filling, and copies all columns but the last."""

    def rule(x, w, b):
        dense = torch.empty_like(w.flatten(1))
        dense[:, :-1] = w.flatten(1)[:, :-1]
        return functional.linear(x.flatten(-3), dense, b).unflatten(-1, (-1, 1, 1))

    return Form(conv, rule)


@faulty("value", FULL, 3, 4, 7)
def through_bfloat16(conv):
    """Stores the weights in 16 bits on the way."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w.bfloat16().to(w.dtype), b))


@faulty("measured", FULL, 3, 4, 7)
def tiny_weights_flushed(conv):
    """Sets weights below 10⁻³ to zero; whole numbers never show it."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, functional.hardshrink(w, 1e-3), b))
