"""Right conversions pass: convlin's own verbs, and what people write by hand with care."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import convlin
from convlin.testing import check
from mutants.enrol import Form

PLAIN = ((0, 0), "valid")


def pointwise(conv):
    """Take 1×1 convolutions without padding, whatever their stride."""
    fits = type(conv) is nn.Conv2d and conv.kernel_size == (1, 1) and conv.groups == 1
    if not fits or conv.padding not in (*PLAIN, "same"):
        raise ValueError("not pointwise")
    down, right = conv.stride

    def rule(x, w, b):
        y = functional.linear(x[..., ::down, ::right].movedim(-3, -1), w.flatten(1), b)
        return y.movedim(-1, -3)

    return Form(conv, rule)


def patches(conv):
    """Cut into patches, and drop what is left over as a convolution does."""
    fits = type(conv) is nn.Conv2d and conv.kernel_size == conv.stride and conv.groups == 1
    if not fits or conv.padding not in PLAIN or conv.dilation != (1, 1):
        return conv
    rows, columns = conv.kernel_size

    def rule(x, w, b):
        cut = x.unfold(-2, rows, rows).unfold(-2, columns, columns)
        y = functional.linear(cut.movedim(-5, -3).flatten(-3), w.flatten(1), b)
        return y.movedim(-1, -3)

    return Form(conv, rule)


def full_size(conv, size):
    """Take kernels as large as the input, which is said."""
    fits = type(conv) is nn.Conv2d and conv.kernel_size == size and conv.groups == 1
    if not fits or conv.padding not in PLAIN or conv.dilation != (1, 1):
        return None
    return Form(
        conv,
        lambda x, w, b: functional.linear(x.flatten(-3), w.flatten(1), b)[..., None, None],
    )


def padded_outside(conv):
    """Pad with zeros in a layer of its own, as exporters do."""
    if type(conv) is not nn.Conv2d or conv.padding_mode != "zeros" or conv.padding == "same":
        raise NotImplementedError(f"padding {conv.padding} {conv.padding_mode}")
    rows, columns = (0, 0) if conv.padding == "valid" else conv.padding
    bare = copy.copy(conv)
    bare.padding = (0, 0)
    return nn.Sequential(nn.ZeroPad2d((columns, columns, rows, rows)), bare).train(conv.training)


def without_groups(conv):
    """Convolve every group for itself; any other convolution stays as it is."""
    if type(conv) is not nn.Conv2d or conv.groups == 1 or conv.padding_mode != "zeros":
        return conv
    options = conv.stride, conv.padding, conv.dilation
    groups = conv.groups

    def rule(x, w, b):
        biases = (None,) * groups if b is None else b.chunk(groups)
        parts = zip(x.chunk(groups, -3), w.chunk(groups), biases, strict=True)
        return torch.cat([functional.conv2d(*part, *options) for part in parts], -3)

    return Form(conv, rule)


def by_output(conv):
    """Convolve for two halves of the output channels apart: takes all there are, subclasses not."""
    if type(conv) is not nn.Conv2d:
        raise ValueError(type(conv))

    def rule(x, w, b):
        def part(outputs):
            return conv_forward(x, w[outputs], None if b is None else b[outputs])

        if groups > 1:
            return conv_forward(x, w, b)
        return torch.cat([part(slice(2)), part(slice(2, None))], -3)

    conv_forward, groups = copy.copy(conv)._conv_forward, conv.groups
    return Form(conv, rule)


def linear_as_conv(linear):
    """Run a fully connected layer as a 1×1 convolution, whatever stands before the features."""
    if type(linear) is not nn.Linear:
        return linear

    def rule(x, w, b):
        y = functional.conv1d(x.reshape(-1, x.shape[-1], 1), w[..., None], b)
        return y.reshape(*x.shape[:-1], len(w))

    return Form(linear, rule)


def flipped(conv):
    """Run a transposed convolution of stride 1 as a convolution with the kernel turned round."""
    if type(conv) is not nn.ConvTranspose1d or conv.stride != (1,) or conv.groups > 1:
        return conv
    padding = conv.dilation[0] * (conv.kernel_size[0] - 1) - conv.padding[0]
    if padding < 0 or conv.output_padding != (0,):
        return conv
    return Form(
        conv,
        lambda x, w, b: functional.conv1d(
            x, w.transpose(0, 1).flip(-1), b, padding=padding, dilation=conv.dilation
        ),
    )


RIGHT = {
    "to_linear": (convlin.to_linear, nn.Conv2d, {}),
    "to_linear-transposed": (convlin.to_linear, nn.ConvTranspose1d, {}),
    "to_linear-copy": (
        lambda conv: convlin.to_linear(conv, copy=True),
        nn.Conv1d,
        {"copies": True},
    ),
    "to_linear-sized": (convlin.to_linear, nn.Conv1d, {"sized": True}),
    "to_conv2d": (convlin.to_conv2d, (nn.Conv1d, nn.Linear), {}),
    "to_conv1d": (convlin.to_conv1d, nn.Conv2d, {}),
    "to_pointwise": (convlin.to_pointwise, nn.Conv2d, {}),
    "pointwise": (pointwise, nn.Conv2d, {"copies": False}),
    "patches": (patches, nn.Conv2d, {}),
    "full-size": (full_size, nn.Conv2d, {"sized": True}),
    "padded-outside": (padded_outside, nn.Conv2d, {}),
    "without-groups": (without_groups, nn.Conv2d, {}),
    "by-output": (by_output, nn.Conv2d, {}),
    "linear-as-conv": (linear_as_conv, nn.Linear, {}),
    "flipped": (flipped, nn.ConvTranspose1d, {}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_conversion_is_not_flagged(name):
    convert, kinds, options = RIGHT[name]
    checked = check(convert, kinds, **options)
    assert checked.count("right") >= 4
    assert checked.count("right") + checked.count("refused") == len(checked.answers)
