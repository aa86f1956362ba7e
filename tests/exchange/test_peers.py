"""Faults of other converters, as cases that must be right here."""

import pytest
import torch
from torch import nn

from convlin import GeometryError, Refused, to_conv, to_linear
from geometry_strategies import conv, integers


def test_a_dilated_kernel_equal_to_its_stride_is_no_patch_embedding():
    layer = conv(2, 3, 5, 2, stride=2, dilation=2)
    with pytest.raises(Refused, match=r"dilation is \(2, 2\), expected \(1, 1\)"):
        to_linear(layer)
    x = integers(1, 3, 7, 7)
    form = to_linear(layer, exchange="windows")
    assert form(x).shape == (1, 5, 3, 3)
    assert torch.equal(form(x), layer(x))


@pytest.mark.parametrize(
    "fields",
    [{"stride": 2}, {"padding": 1}, {"groups": 3}, {"stride": 2, "padding": 1, "groups": 3}],
    ids=str,
)
def test_pointwise_is_more_than_a_kernel_of_one(fields):
    layer = conv(2, 6, 9, 1, **fields)
    x = integers(2, 6, 8, 7)
    assert torch.equal(to_linear(layer)(x), layer(x))


@pytest.mark.parametrize("ndim, last", [(2, torch.channels_last), (3, torch.channels_last_3d)])
def test_a_channels_last_patch_embedding_is_shared(ndim, last):
    layer = conv(ndim, 3, 5, (2, 4, 3)[:ndim], stride=(2, 4, 3)[:ndim]).to(memory_format=last)
    with pytest.raises(RuntimeError):
        layer.weight.view(5, -1)
    form = to_linear(layer)
    x = integers(2, 3, *(5, 9, 7)[:ndim])
    assert torch.equal(form(x), layer(x))
    assert form.linear.weight.data_ptr() == layer.weight.data_ptr()


def test_a_video_patch_embedding_takes_flat_patches_as_its_model_passes_them():
    layer = conv(3, 3, 7, (2, 4, 4), stride=(2, 4, 4), bias=False)
    patches = integers(11, 3 * 2 * 4 * 4)
    expected = layer(patches.view(-1, 3, 2, 4, 4)).view(-1, 7)
    form = to_linear(layer)
    assert torch.equal(form(patches.view(-1, 3, 2, 4, 4)).view(-1, 7), expected)
    assert torch.equal(form.linear(patches), expected)


def test_a_size_mismatch_is_no_reason_to_tile():
    with pytest.raises(
        Refused, match=r"feature_size is \(4, 3, 3\), expected sizes whose product is 72"
    ):
        to_conv(nn.Linear(72, 5), (4, 3, 3))


def test_a_wrong_flatten_order_gives_other_scores():
    linear = nn.Linear(30, 5, dtype=torch.float64)
    linear.weight.data.copy_(integers(5, 30))
    maps = integers(2, 3, 2, 5)
    right, wrong = (to_conv(linear, (3, 2, 5), order=order) for order in ("HWC", "CHW"))
    expected = linear(maps.permute(0, 2, 3, 1).flatten(1))
    assert torch.equal(right(maps).flatten(1), expected)
    assert not torch.equal(wrong(maps).flatten(1), expected)


def test_dtype_and_shared_parameters_survive():
    linear = nn.Linear(6, 5).bfloat16()
    form = to_conv(linear)
    assert form.conv.weight.dtype == torch.bfloat16
    assert form.conv.bias is linear.bias
    assert form.conv.weight.data_ptr() == linear.weight.data_ptr()


def test_a_form_fixed_at_a_size_takes_no_other():
    form = to_linear(conv(2, 3, 5, 3, padding=1), (5, 6))
    with pytest.raises(GeometryError, match=r"shape is \(1, 3, 6, 5\), expected \(N, 3, 5, 6\)"):
        form(integers(1, 3, 6, 5))
