"""Transposed convolutions whose outputs do not overlap, as a Linear on every pixel."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convlin import ConvGeometry, GeometryError, Refused, to_linear
from convlin.exchange.unpatchify import Unpatchify
from geometry_strategies import case_id, conv, fill, integers

CASES = [
    conv(1, 3, 5, 4, transposed=True, stride=4),
    conv(1, 4, 6, 2, transposed=True, stride=5, padding=3, dilation=4, output_padding=2, groups=2),
    conv(2, 3, 5, (2, 3), transposed=True, stride=(2, 3)),
    conv(2, 4, 6, (2, 1), transposed=True, stride=(3, 2), padding=(1, 0), groups=2, bias=False),
    conv(2, 3, 2, 1, transposed=True),
    conv(3, 2, 5, (1, 2, 3), transposed=True, stride=(2, 2, 3), output_padding=(1, 0, 2)),
]
TABLE = pytest.mark.parametrize("layer", CASES, ids=case_id)
SIZE = (3, 2, 4)


def by_loops(layer, x):
    """Return the outputs of a transposed convolution, one product at a time."""
    g = ConvGeometry.of(layer)
    y = torch.zeros(g.out_channels, *g.output_size(tuple(x.shape[1:])), dtype=x.dtype)
    if layer.bias is not None:
        y += layer.bias.detach().view(-1, *(1,) * g.ndim)
    inputs, outputs = g.in_channels // g.groups, g.out_channels // g.groups
    for c, o in itertools.product(range(g.in_channels), range(outputs)):
        for pixel in itertools.product(*map(range, x.shape[1:])):
            for tap in itertools.product(*map(range, g.kernel)):
                dims = zip(pixel, tap, g.stride, g.dilation, g.padding, strict=True)
                to = [p * s + t * d - before for p, t, s, d, (before, _) in dims]
                if all(0 <= at < n for at, n in zip(to, y.shape[1:], strict=True)):
                    y[c // inputs * outputs + o, *to] += layer.weight[c, o, *tap] * x[c, *pixel]
    return y


@TABLE
@pytest.mark.parametrize("groups", ["batched", "block_diagonal"])
def test_the_outputs_are_those_of_the_loops(layer, groups):
    x = integers(layer.in_channels, *SIZE[: len(layer.kernel_size)], seed=3)
    with torch.no_grad():
        expected = by_loops(layer, x)
        form = to_linear(layer, groups=groups)
        assert form.exchange.name == "unpatchify"
        assert torch.equal(form(x), expected)
        assert torch.equal(form(torch.stack([x, -x]))[0], expected)
        assert form(x[None][:0]).shape == (0, *expected.shape)


@settings(max_examples=60)
@given(st.data())
def test_every_stride_of_at_least_the_extent_fits_and_no_other(data):
    ndim = data.draw(st.integers(1, 3))

    def each(low, high):
        return tuple(data.draw(st.integers(low, high)) for _ in range(ndim))

    kernel, dilation, stride = each(1, 3), each(1, 3), each(1, 6 if ndim < 3 else 4)
    groups = data.draw(st.integers(1, 3))
    layer = conv(
        ndim, 2 * groups, 3 * groups, kernel, transposed=True, stride=stride, dilation=dilation,
        padding=each(0, 2), output_padding=each(0, 0), groups=groups,
    )  # fmt: skip
    geometry = ConvGeometry.of(layer)
    size = tuple(n + more for n, more in zip(geometry.smallest_input, (1, 2, 0), strict=False))
    apart = all(d * (k - 1) < s for k, d, s in zip(kernel, dilation, stride, strict=True))
    assert bool(Unpatchify.refusals(geometry)) == (not apart)
    if apart:
        x = integers(2, 2 * groups, *size, seed=3)
        assert torch.equal(to_linear(layer)(x), layer(x))


@TABLE
def test_weights_are_shared_and_come_back_bit_for_bit(layer):
    form = to_linear(layer)
    weight = form.linear.weight if layer.groups == 1 else form.matrices
    assert weight.data_ptr() == layer.weight.data_ptr()
    assert form.bias is layer.bias
    back = form.to_conv()
    assert repr(back) == repr(layer)
    assert back.weight.data_ptr() == layer.weight.data_ptr()
    assert torch.equal(back.weight, layer.weight) and back.weight.stride() == layer.weight.stride()
    assert back.bias is layer.bias
    copied = to_linear(layer, copy=True)
    assert not {p.data_ptr() for p in copied.parameters()} & {
        p.data_ptr() for p in layer.parameters()
    }


@TABLE
def test_it_stands_for_its_layer(layer):
    form = to_linear(layer, copy=True)
    own, state = form.state_dict(), layer.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[key], state[key]) for key in own)
    form.load_state_dict({key: value + 1 for key, value in state.items()})
    assert torch.equal(form.to_original().weight, layer.weight + 1)
    assert torch.equal(form.weight, layer.weight + 1)


def test_a_decoder_of_384_channels_needs_no_weight_more():
    layer = nn.ConvTranspose2d(8, 12, 2, stride=2)
    assert sum(p.numel() for p in to_linear(layer, (7, 5)).parameters()) == 8 * 12 * 4 + 12


def test_a_channels_last_weight_is_shared_too():
    layer = conv(2, 3, 5, (2, 3), transposed=True, stride=3).to(memory_format=torch.channels_last)
    form = to_linear(layer)
    assert form.linear.weight.data_ptr() == layer.weight.data_ptr()
    x = integers(2, 3, 4, 5, seed=3)
    assert torch.equal(form(x), layer(x))
    assert form.to_conv().weight.stride() == layer.weight.stride()


@TABLE
def test_the_same_gradients(layer):
    form = to_linear(layer, copy=True)
    x = integers(2, layer.in_channels, *SIZE[: len(layer.kernel_size)], seed=3)
    for module in (layer, form):
        module.zero_grad()
        y = module(x)
        y.backward(integers(*y.shape, seed=4))
    weight = form.linear.weight if layer.groups == 1 else form.matrices
    assert torch.equal(form.exchange.kernel(weight.grad), layer.weight.grad)
    if layer.bias is not None:
        assert torch.equal(form.bias.grad, layer.bias.grad)


def test_blocks_with_a_weight_between_groups_have_no_way_back():
    form = to_linear(conv(2, 4, 6, 2, transposed=True, stride=2, groups=2), groups="block_diagonal")
    with torch.no_grad():
        form.linear.weight[0, 3] = 0.5
    with pytest.raises(Refused, match=r"linear: weight\[0, 3\] is 0.5, expected 0 .off the blocks"):
        form.to_conv()


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_the_weight_map_on_plain_arrays(kind, blocks, order):
    kernel = integers(4, 3, 2, 5, seed=5)
    kernel = kernel.numpy() if kind == "numpy" else kernel
    geometry = ConvGeometry(4, 6, (2, 5), stride=(2, 5), groups=2, transposed=True)
    exchange = Unpatchify(geometry, None, order, blocks)
    weight = exchange.weight(kernel)
    assert weight.shape == ((60, 4) if blocks else (2, 30, 2))
    sizes = [(3, 2, 5)[axis] for axis in order]
    for c, *at in itertools.product(range(4), range(3), range(2), range(5)):
        row = int(np.ravel_multi_index([at[axis] for axis in order], sizes))
        entry = weight[c // 2 * 30 + row, c] if blocks else weight[c // 2, row, c % 2]
        assert entry == kernel[c, *at]
    assert exchange.unfit(weight) == ()
    assert np.array_equal(exchange.kernel(weight), kernel)


def test_images_too_small_or_of_other_channels_are_named():
    form = to_linear(fill(nn.ConvTranspose2d(3, 5, 2, stride=2, padding=2, dtype=torch.float64)))
    with pytest.raises(
        GeometryError, match=r"input: shape is \(3, 2, 4\), expected \(N, 3, ≥3, ≥3\)"
    ):
        form(torch.zeros(3, 2, 4).double())
    with pytest.raises(GeometryError, match=r"input: shape is \(1, 4, 5, 5\)"):
        form(torch.zeros(1, 4, 5, 5).double())
