"""Lines, videos and rows as convolutions in two dimensions, drop-in, and back bit for bit."""

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from convlin import ConvGeometry, GeometryError, Refused, to_conv2d
from convlin.exchange.as_conv2d import Frames, Line, as_conv2d
from geometry_strategies import case_id, conv, convolutions, fill, integers

LINES = [
    conv(1, 3, 5, 4, stride=3, padding=2, dilation=2),
    conv(1, 4, 6, 3, padding="same", groups=2, padding_mode="circular", bias=False),
    conv(1, 4, 6, 2, padding=1, groups=2, padding_mode="reflect"),
    conv(1, 3, 5, 4, padding="same", padding_mode="replicate"),
    conv(1, 4, 6, 4, transposed=True, stride=3, padding=2, output_padding=1, groups=2),
    conv(1, 3, 5, 2, transposed=True, dilation=3, output_padding=2, bias=False),
]
VIDEOS = [
    conv(3, 3, 5, (2, 4, 3), stride=(2, 4, 3)),
    conv(3, 4, 6, (2, 3, 2), stride=(3, 1, 2), padding=(0, 2, 1), dilation=(1, 2, 1), groups=2),
    conv(3, 3, 5, (1, 3, 2), padding="same", padding_mode="circular"),
    conv(3, 2, 3, (3, 2, 2), stride=(3, 1, 1), padding=(0, 1, 0), padding_mode="reflect", bias=False),
]  # fmt: skip
SIZE = (7, 6, 5)


def size_of(layer):
    return SIZE[: len(layer.kernel_size)]


def line_by_loops(layer, x):
    """Return a Conv1d's or ConvTranspose1d's outputs (O, L'), one product at a time."""
    g = ConvGeometry.of(layer)
    (stride,), (dilation,), ((before, after),) = g.stride, g.dilation, g.padding
    inputs, outputs = g.in_channels // g.groups, g.out_channels // g.groups
    y = torch.zeros(g.out_channels, *g.output_size(tuple(x.shape[1:])), dtype=x.dtype)
    if layer.bias is not None:
        y += layer.bias[:, None]
    if not g.transposed:
        mode = {"zeros": "constant"}.get(g.padding_mode, g.padding_mode)
        x = functional.pad(x[None], (before, after), mode=mode)[0]
    for c, o, t in itertools.product(range(g.in_channels), range(outputs), range(g.kernel[0])):
        to = c // inputs * outputs + o
        if g.transposed:
            for p in range(x.shape[1]):
                if 0 <= (at := p * stride + t * dilation - before) < y.shape[1]:
                    y[to, at] += layer.weight[c, o, t] * x[c, p]
        else:
            for p in range(y.shape[1]):
                y[to, p] += layer.weight[to, c % inputs, t] * x[c, p * stride + t * dilation]
    return y


@pytest.mark.parametrize("layer", LINES, ids=case_id)
def test_lines_are_those_of_the_loops(layer):
    x = integers(layer.in_channels, 9, seed=3)
    with torch.no_grad():
        assert torch.equal(to_conv2d(layer)(x), line_by_loops(layer, x))


@pytest.mark.parametrize("layer", VIDEOS, ids=case_id)
def test_videos_are_sums_over_the_frames_of_a_window(layer):
    """Each output frame is a sum of 2-D convolutions, one for each tap in time."""
    x = integers(2, layer.in_channels, *SIZE, seed=3)
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    frames = []
    for at in range(0, SIZE[0] - kernel + 1, stride):
        padded = layer.padding if isinstance(layer.padding, str) else layer.padding[1:]
        taps = nn.Conv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size[1:], layer.stride[1:], padded,
            layer.dilation[1:], layer.groups, False, layer.padding_mode, dtype=torch.float64,
        )  # fmt: skip
        y = 0
        for tap in range(kernel):
            taps.weight.data = layer.weight.data[:, :, tap]
            y = y + taps(x[:, :, at + tap])
        frames.append(y if layer.bias is None else y + layer.bias[:, None, None])
    assert torch.equal(to_conv2d(layer)(x), torch.stack(frames, 2))


@pytest.mark.parametrize("layer", LINES + VIDEOS, ids=case_id)
@pytest.mark.parametrize("batch", [(2,), (0,), ()], ids=["two", "empty", "unbatched"])
def test_drop_in_also_in_memory(layer, batch):
    x = integers(*batch, layer.in_channels, *size_of(layer), seed=3)
    form, y = to_conv2d(layer), layer(x)
    assert torch.equal(form(x), y)
    assert form(x).stride() == y.stride()
    form(x).view(*y.shape[:1], -1) if y.numel() else None


def test_a_video_in_channels_last_gives_one():
    layer = VIDEOS[0]
    x = integers(2, 3, *SIZE).contiguous(memory_format=torch.channels_last_3d)
    y = to_conv2d(layer)(x)
    assert torch.equal(y, layer(x))
    assert y.is_contiguous(memory_format=torch.channels_last_3d)


@settings(max_examples=50)
@given(st.one_of(convolutions((1,)), convolutions((1,), transposed=True), convolutions((3,))))
def test_any_convolution_is_equal_or_refused(case):
    layer, size = case
    g = ConvGeometry.of(layer)
    fits = g.ndim == 1 or (
        g.kernel[0] <= g.stride[0] and not any(g.padding[0]) and g.kernel[0] * g.dilation[0] in
        {g.kernel[0], g.dilation[0]}
    )  # fmt: skip
    if not fits:
        with pytest.raises(Refused):
            to_conv2d(layer)
        return
    form, x = to_conv2d(layer), integers(2, layer.in_channels, *size, seed=3)
    assert torch.equal(form(x), layer(x))
    assert form.exchange.target == ConvGeometry.of(form.conv)
    assert torch.equal(form.to_original()(x), layer(x))


@pytest.mark.parametrize("layer", LINES + VIDEOS, ids=case_id)
def test_weights_are_shared_and_the_layer_comes_back_bit_for_bit(layer):
    layer = copy.deepcopy(layer).eval()
    layer.weight.requires_grad_(False)
    form = to_conv2d(layer)
    transposed = isinstance(layer, nn.ConvTranspose1d)
    assert type(form.conv) is (nn.ConvTranspose2d if transposed else nn.Conv2d)
    assert form.conv.weight.data_ptr() == layer.weight.data_ptr()
    assert form.conv.bias is layer.bias
    back = form.to_original()
    assert repr(back) == repr(layer)
    assert back.weight.data_ptr() == layer.weight.data_ptr()
    assert torch.equal(back.weight, layer.weight) and back.weight.stride() == layer.weight.stride()
    assert back.bias is layer.bias
    assert not (back.training or form.conv.training or back.weight.requires_grad)
    own = to_conv2d(layer, copy=True)
    assert not {p.data_ptr() for p in own.parameters()} & {p.data_ptr() for p in layer.parameters()}


ROWS = [(5,), (7, 5), (2, 7, 5), (2, 3, 4, 5), (0, 5), (0, 3, 5), (2, 0, 5), (2, 3, 0, 5)]


@pytest.mark.parametrize("shape", ROWS, ids=str)
@pytest.mark.parametrize("kind", ["linear", "conv1d-of-gpt2"])
def test_rows_of_any_rank(shape, kind):
    layer = fill((nn.Linear(5, 6) if kind == "linear" else Conv1D(6, 5)).double())
    form, x = to_conv2d(layer), integers(*shape, seed=3)
    seen = []
    form.conv.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    y = form(x)
    form.conv._forward_pre_hooks.clear()
    assert torch.equal(y, layer(x))
    assert y.is_contiguous()
    ((batch, channels, high, _),) = seen
    assert (channels, high) == (5, 1)  # the axis of size 1 is last but one
    if x.numel():
        assert batch == (shape[0] if len(shape) > 2 else 1)
    back = form.to_original()
    assert type(back) is type(layer) and repr(back) == repr(layer)
    assert torch.equal(back.weight, layer.weight) and back.bias is layer.bias
    assert back.weight.data_ptr() == layer.weight.data_ptr() == form.conv.weight.data_ptr()


@pytest.mark.parametrize("layer", [*LINES, *VIDEOS, fill(nn.Linear(5, 6).double())])
def test_the_same_gradients(layer):
    size = (4, 5) if isinstance(layer, nn.Linear) else (layer.in_channels, *size_of(layer))
    form = to_conv2d(layer, copy=True)
    grads = []
    for module in (layer, form):
        module.zero_grad()
        x = integers(2, *size, seed=3).requires_grad_()
        y = module(x)
        y.backward(integers(*y.shape, seed=4))
        grads.append(x.grad)
    assert torch.equal(*grads)
    assert torch.equal(form.exchange.weight(form.conv.weight.grad), layer.weight.grad)


@pytest.mark.parametrize(
    "layer", [*LINES, *VIDEOS, fill(nn.Linear(5, 6).double()), fill(Conv1D(6, 5).double())]
)
def test_it_stands_for_its_layer(layer):
    form = to_conv2d(layer)
    own, given_state = form.state_dict(), layer.state_dict()
    assert own.keys() == given_state.keys()
    assert all(torch.equal(own[key], given_state[key]) for key in own)
    assert form.weight.shape == layer.weight.shape and torch.equal(form.weight, layer.weight)
    fresh = to_conv2d(copy.deepcopy(layer), copy=True)
    fresh.load_state_dict({key: value + 1 for key, value in given_state.items()})
    assert torch.equal(fresh.to_original().weight, layer.weight + 1)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_channel_c_frame_t_is_channel_c_times_kernel_plus_t(kind):
    weight = integers(6, 2, 3, 5, 4, seed=5)
    weight = weight.numpy() if kind == "numpy" else weight
    exchange = as_conv2d(ConvGeometry(4, 6, (3, 5, 4), stride=3, groups=2))
    kernel = exchange.kernel(weight)
    assert type(exchange) is Frames and kernel.shape == exchange.target.weight_shape == (6, 6, 5, 4)
    for c, t in itertools.product(range(2), range(3)):
        assert np.array_equal(kernel[:, c * 3 + t], weight[:, c, t])
    assert np.array_equal(exchange.weight(kernel), weight)
    line = as_conv2d(ConvGeometry(4, 6, (5,), groups=2))
    assert type(line) is Line
    assert np.array_equal(line.kernel(weight[:, :, 0, :, 0])[:, :, 0], weight[:, :, 0, :, 0])


def test_a_video_kernel_in_channels_last_is_refused_or_copied():
    layer = conv(3, 3, 5, (2, 4, 3), stride=(2, 4, 3)).to(memory_format=torch.channels_last_3d)
    with pytest.raises(Refused) as caught:
        to_conv2d(layer)
    assert str(caught.value) == (
        "Conv3d: weight.stride() is (72, 1, 36, 9, 3), expected copy=True "
        "(no view of this storage has its taps beside its channels)"
    )
    form, x = to_conv2d(layer, copy=True), integers(2, 3, *SIZE, seed=3)
    assert torch.equal(form(x), layer(x))
    assert torch.equal(form.to_original().weight, layer.weight)


REFUSED = {
    "overlapping": (
        nn.Conv3d(3, 5, (3, 2, 2), padding=(1, 0, 0), dilation=(2, 1, 1)),
        "Conv3d: stride[0] is 1, expected ≥ 3, the kernel (windows share frames)\n"
        "Conv3d: padding[0] is (1, 1), expected (0, 0)\n"
        "Conv3d: dilation[0] is 2, expected 1",
    ),
    "two-dimensional": (
        nn.Conv2d(3, 5, 2),
        "Conv2d: type is Conv2d, expected nn.Conv1d, nn.ConvTranspose1d, nn.Conv3d, nn.Linear "
        "(from torch.nn.modules.conv)",
    ),
    "transposed": (
        nn.ConvTranspose3d(3, 5, 2),
        "ConvTranspose3d: type is ConvTranspose3d, expected nn.Conv1d, nn.ConvTranspose1d, nn.Conv3d, "
        "nn.Linear (from torch.nn.modules.conv)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layer, words", REFUSED.values(), ids=REFUSED)
def test_refusals_name_every_field(layer, words):
    with pytest.raises(Refused) as caught:
        to_conv2d(layer)
    assert str(caught.value) == words


def test_layers_with_hooks_are_refused():
    layer = nn.Conv1d(3, 5, 2)
    layer.register_forward_hook(lambda *_: None)
    with pytest.raises(Refused, match="_forward_hooks"):
        to_conv2d(layer)


@pytest.mark.parametrize("layer", [LINES[0], VIDEOS[0]], ids=case_id)
def test_inputs_that_do_not_fit_are_named(layer):
    form = to_conv2d(layer)
    with pytest.raises(GeometryError, match=r"input: shape is \(2, 4"):
        form(torch.zeros(2, 4, *size_of(layer)).double())
    with pytest.raises(GeometryError, match=r"expected \(N, 3, ≥"):
        form(torch.zeros(2, 3, *(1,) * len(size_of(layer))).double())
