"""Convolutions as others of the same weight: lines of an image, and patches as pixels."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn import functional

from convlin import ConvGeometry, GeometryError, Refused, to_conv1d, to_pointwise
from convlin.exchange.as_conv2d import Lines
from convlin.exchange.space_to_depth import SpaceToDepth
from geometry_strategies import case_id, conv, convolutions, integers

LINES = [
    conv(2, 3, 5, (1, 4), stride=(1, 2), padding=(0, 3)),
    conv(2, 4, 6, (1, 3), stride=(3, 1), padding=(0, 2), dilation=(5, 2), groups=2, padding_mode="reflect"),
    conv(2, 3, 5, (2, 1), stride=(2, 3), padding=(1, 0), bias=False),
    conv(2, 3, 5, (4, 1), padding="same", padding_mode="circular"),
    conv(2, 4, 6, (1, 4), transposed=True, stride=(1, 3), padding=(0, 1), output_padding=(0, 2), groups=2),
    conv(2, 3, 5, (3, 1), transposed=True, stride=(2, 1)),
    conv(2, 3, 5, 1, stride=(2, 1), padding=(1, 0)),
]  # fmt: skip
PATCHES = [
    conv(1, 3, 5, 4, stride=4, padding=1, padding_mode="replicate"),
    conv(2, 3, 5, 3, stride=3),
    conv(2, 4, 6, 2, stride=2, padding=(1, 0), groups=2, bias=False),
    conv(2, 4, 6, (2, 3), stride=(2, 3), groups=2, padding_mode="reflect", padding=1),
    conv(3, 2, 3, (2, 1, 3), stride=(2, 1, 3), dilation=(1, 7, 1)),
]
SIZE = (7, 6, 8)
ALL = [(to_conv1d, layer) for layer in LINES] + [(to_pointwise, layer) for layer in PATCHES]
TABLE = pytest.mark.parametrize("way, layer", ALL, ids=[case_id(layer) for _, layer in ALL])


def size_of(layer):
    return SIZE[: len(layer.kernel_size)]


@pytest.mark.parametrize("layer", LINES, ids=case_id)
def test_every_line_is_convolved_by_itself(layer):
    form, x = to_conv1d(layer), integers(2, layer.in_channels, *size_of(layer), seed=3)
    across = form.exchange.across
    assert layer.kernel_size[across] == 1
    kind = torch.conv_transpose1d if layer.transposed else torch.conv1d
    assert type(form.conv) is (nn.ConvTranspose1d if layer.transposed else nn.Conv1d)
    lines = []
    for at in range(0, x.shape[2 + across], layer.stride[across]):
        line = x.select(2 + across, at)
        kernel, along = layer.weight.select(2 + across, 0), 1 - across
        pads = ConvGeometry.of(layer).padding[along]
        if layer.transposed:
            y = kind(line, kernel, layer.bias, layer.stride[along], pads[0],
                     layer.output_padding[along], layer.groups, layer.dilation[along])  # fmt: skip
        else:
            mode = {"zeros": "constant"}.get(layer.padding_mode, layer.padding_mode)
            y = kind(functional.pad(line, pads, mode=mode), kernel, layer.bias,
                     layer.stride[along], 0, layer.dilation[along], layer.groups)  # fmt: skip
        lines.append(y)
    assert torch.equal(form(x), torch.stack(lines, 2 + across))


@pytest.mark.parametrize("layer", PATCHES, ids=case_id)
def test_every_patch_is_a_pixel_of_more_channels(layer):
    """Channel c·taps + t is tap t of channel c, index by index."""
    form, x = to_pointwise(layer), integers(2, layer.in_channels, *size_of(layer), seed=3)
    seen = []
    form.conv.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    y = form(x)
    form.conv._forward_pre_hooks.clear()
    (pixels,) = seen
    assert torch.equal(y, layer(x))
    assert form.conv.kernel_size == (1,) * len(layer.kernel_size)
    geometry = ConvGeometry.of(layer)
    pads = [side for pair in reversed(geometry.padding) for side in pair]
    mode = {"zeros": "constant"}.get(layer.padding_mode, layer.padding_mode)
    padded = functional.pad(x, pads, mode=mode)
    assert tuple(pixels.shape[2:]) == geometry.output_size(size_of(layer))
    for c, at in itertools.product(range(layer.in_channels), np.ndindex(*pixels.shape[2:])):
        for t, tap in enumerate(np.ndindex(*layer.kernel_size)):
            place = [p * s + i for p, s, i in zip(at, layer.stride, tap, strict=True)]
            expected = padded[(slice(None), c, *place)]
            assert torch.equal(pixels[(slice(None), c * geometry.taps + t, *at)], expected)


@TABLE
@pytest.mark.parametrize("batch", [(2,), (0,), ()], ids=["two", "empty", "unbatched"])
def test_drop_in_also_in_memory(way, layer, batch):
    x = integers(*batch, layer.in_channels, *size_of(layer), seed=3)
    form, y = way(layer), layer(x)
    assert torch.equal(form(x), y)
    assert form(x).stride() == y.stride()


@TABLE
def test_weights_are_shared_and_the_layer_comes_back_bit_for_bit(way, layer):
    form = way(layer)
    assert form.conv.weight.data_ptr() == layer.weight.data_ptr()
    assert form.conv.bias is layer.bias
    assert form.exchange.target == ConvGeometry.of(form.conv)
    back = form.to_original()
    assert type(back) is type(layer) and repr(back) == repr(layer)
    assert back.weight.data_ptr() == layer.weight.data_ptr()
    assert torch.equal(back.weight, layer.weight) and back.weight.stride() == layer.weight.stride()
    assert back.bias is layer.bias
    assert all(
        torch.equal(form.state_dict()[key], value) for key, value in layer.state_dict().items()
    )
    own = way(layer, copy=True)
    assert not {p.data_ptr() for p in own.parameters()} & {p.data_ptr() for p in layer.parameters()}


@TABLE
def test_the_same_gradients(way, layer):
    form, grads = way(layer, copy=True), []
    for module in (layer, form):
        module.zero_grad()
        x = integers(2, layer.in_channels, *size_of(layer), seed=3).requires_grad_()
        y = module(x)
        y.backward(integers(*y.shape, seed=4))
        grads.append(x.grad)
    assert torch.equal(*grads)
    assert torch.equal(form.exchange.weight(form.conv.weight.grad), layer.weight.grad)


@settings(max_examples=80)
@given(convolutions(max_kernel=2))
def test_any_convolution_is_equal_or_refused(case):
    layer, size = case
    geometry, x = ConvGeometry.of(layer), integers(2, layer.in_channels, *size, seed=3)
    dims = list(zip(geometry.kernel, geometry.padding, strict=True))
    for way, fits in [
        (to_conv1d, len(dims) == 2 and any(k == 1 and not any(pads) for k, pads in dims)),
        (
            to_pointwise,
            geometry.kernel == geometry.stride
            and all(
                k == 1 or d == 1 for k, d in zip(geometry.kernel, geometry.dilation, strict=True)
            ),
        ),
    ]:
        if fits:
            assert torch.equal(way(layer)(x), layer(x))
        else:
            with pytest.raises(Refused):
                way(layer)


def test_a_kernel_in_channels_last_is_refused_or_copied():
    layer = conv(2, 3, 5, 2, stride=2).to(memory_format=torch.channels_last)
    with pytest.raises(Refused, match=r"weight.stride\(\) is \(12, 1, 6, 3\), expected copy=True"):
        to_pointwise(layer)
    x = integers(2, 3, 5, 7, seed=3)
    assert torch.equal(to_pointwise(layer, copy=True)(x), layer(x))


REFUSED = {
    "both-axes": (
        to_conv1d, nn.Conv2d(3, 5, (3, 2), padding=(1, 0)),
        "Conv2d: kernel[1] is 2, expected 1",
    ),
    "padded": (
        to_conv1d, nn.Conv2d(3, 5, (3, 1), padding=2), "Conv2d: padding[1] is (2, 2), expected (0, 0)",
    ),
    "new-lines": (
        to_conv1d, nn.ConvTranspose2d(3, 5, (1, 3), stride=(2, 1), output_padding=(1, 0)),
        "ConvTranspose2d: stride[0] is 2, expected 1 (new lines of bias lie between)\n"
        "ConvTranspose2d: output_padding[0] is 1, expected 0",
    ),
    "one-dimension": (
        to_conv1d, nn.Conv1d(3, 5, 2),
        "Conv1d: type is Conv1d, expected nn.Conv2d, nn.ConvTranspose2d (from torch.nn.modules.conv)",
    ),
    "overlapping": (
        to_pointwise, nn.Conv2d(3, 5, (4, 2), stride=(4, 1), dilation=2),
        "Conv2d: stride is (4, 1), expected (4, 2), the kernel\n"
        "Conv2d: dilation is (2, 2), expected (1, 1)",
    ),
    "transposed": (
        to_pointwise, nn.ConvTranspose2d(3, 5, 2, stride=2),
        "ConvTranspose2d: type is ConvTranspose2d, expected nn.Conv1d, nn.Conv2d, nn.Conv3d "
        "(from torch.nn.modules.conv)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way, layer, words", REFUSED.values(), ids=REFUSED)
def test_refusals_name_every_field(way, layer, words):
    with pytest.raises(Refused) as caught:
        way(layer)
    assert str(caught.value) == words


def test_images_that_do_not_fit_are_named():
    for form in (to_conv1d(LINES[0]), to_pointwise(PATCHES[1])):
        with pytest.raises(GeometryError, match=r"input: shape is \(2, 4, 7, 7\)"):
            form(torch.zeros(2, 4, 7, 7).double())
    with pytest.raises(GeometryError, match=r"expected \(N, 3, ≥3, ≥3\)"):
        to_pointwise(PATCHES[1])(torch.zeros(2, 3, 2, 7).double())


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_weight_maps_on_plain_arrays(kind):
    weight = integers(6, 2, 3, 5, seed=5)
    weight = weight.numpy() if kind == "numpy" else weight
    exchange = SpaceToDepth(ConvGeometry(4, 6, (3, 5), stride=(3, 5), groups=2))
    kernel = exchange.kernel(weight)
    for c, i, j in itertools.product(range(2), range(3), range(5)):
        assert np.array_equal(kernel[:, (c * 3 + i) * 5 + j, 0, 0], weight[:, c, i, j])
    assert np.array_equal(exchange.weight(kernel), weight)
    lines = Lines(ConvGeometry(4, 6, (1, 5), groups=2))
    assert np.array_equal(lines.kernel(weight[:, :, :1]), weight[:, :, 0])
    assert np.array_equal(lines.weight(weight[:, :, 0]), weight[:, :, :1])
