"""`ConvGeometry` against PyTorch's own layers, and the words of its errors."""

import itertools
import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from convlin import ConvGeometry, GeometryError
from geometry_strategies import MODES, conv, convolutions, probe

ANY = st.one_of(convolutions(), convolutions(transposed=True))


@given(ANY)
def test_output_size_is_the_layers(case):
    layer, size = case
    shape = layer.to("meta")(torch.zeros(1, layer.in_channels, *size, device="meta").double()).shape
    assert ConvGeometry.of(layer).output_size(size) == shape[2:]


@given(ANY)
def test_weight_shape_and_kind_are_the_layers(case):
    layer, _ = case
    geometry = ConvGeometry.of(layer)
    assert geometry.weight_shape == layer.weight.shape
    assert geometry.kind == type(layer).__name__


@given(ANY)
def test_smaller_than_the_smallest_input_is_refused_here_and_by_the_layer(case):
    layer, _ = case
    geometry = ConvGeometry.of(layer)
    smallest = geometry.smallest_input
    assert layer(torch.ones(1, layer.in_channels, *smallest).double()).numel() > 0
    for dim, n in enumerate(smallest):
        size = tuple(m - (d == dim) for d, m in enumerate(smallest))
        with pytest.raises(GeometryError, match=rf"input_size\[{dim}\] is {n - 1}, expected ≥ {n}"):
            geometry.output_size(size)
        if n > 1:
            with pytest.raises(RuntimeError):
                layer(torch.ones(1, layer.in_channels, *size).double())


@settings(max_examples=60)
@given(st.one_of(convolutions(ndims=(1,)), convolutions(ndims=(1,), transposed=True)))
def test_source_is_the_pixel_that_the_tap_reads(case):
    layer, (n,) = case
    geometry = ConvGeometry.of(layer)
    one = conv(
        1, 1, 1, layer.kernel_size, transposed=geometry.transposed, stride=layer.stride,
        padding=layer.padding, dilation=layer.dilation,
        **({"output_padding": layer.output_padding} if geometry.transposed
           else {"padding_mode": layer.padding_mode}),
    )  # fmt: skip
    for tap in range(geometry.taps):
        one.weight.data.zero_()[0, 0, tap] = 1
        matrix = probe(one, (n,))
        for output, row in enumerate(matrix):
            read = [None, *range(n)][int(torch.argmax(row)) + 1 if row.any() else 0]
            assert geometry.source(0, n, output, tap) == read
            assert row.sum() == (read is not None)


@settings(max_examples=60)
@given(ANY)
def test_connections_count_every_weight_that_meets_a_pixel(case):
    layer, size = case
    layer.weight.data.fill_(1)  # an entry of the matrix is then the number of its taps
    assert ConvGeometry.of(layer).connections(size) == probe(layer, size).sum()


def test_connections_are_the_nonzeros_where_taps_do_not_overlap():
    layer = conv(2, 2, 6, (3, 4), stride=(2, 1), padding=(2, 3), dilation=(1, 2), groups=2)
    layer.weight.data.abs_().add_(1)
    nonzeros = int(torch.count_nonzero(probe(layer, (5, 7))))
    assert ConvGeometry.of(layer).connections((5, 7)) == nonzeros


@pytest.mark.parametrize("kernel", [(2, 3), (4, 1), (5, 2)], ids=str)
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES)
def test_same_padding_also_for_even_kernels(kernel, dilation, mode):
    layer = conv(2, 2, 3, kernel, padding="same", dilation=dilation, padding_mode=mode, bias=False)
    geometry = ConvGeometry.of(layer)
    assert geometry.output_size((13, 14)) == (13, 14)
    x = torch.arange(2 * 13 * 14).double().reshape(1, 2, 13, 14)
    sides = [side for pair in reversed(geometry.padding) for side in pair]
    padded = nn.functional.pad(x, sides, mode="constant" if mode == "zeros" else mode)
    expected = nn.functional.conv2d(padded, layer.weight, dilation=dilation)
    assert torch.equal(layer(x), expected)


@given(convolutions(transposed=True, max_kernel=3))
def test_transposed_is_the_adjoints_matrix_transposed(case):
    layer, size = case
    geometry = ConvGeometry.of(layer)
    adjoint = geometry.adjoint
    output = geometry.output_size(size)
    if any(extra >= s for extra, s in zip(geometry.output_padding, geometry.stride, strict=True)):
        return  # the outputs beyond a stride are read by no input: the adjoint has more outputs
    if any(n < least for n, least in zip(output, adjoint.smallest_input, strict=True)):
        return
    assert adjoint.output_size(output) == size
    other = conv(
        adjoint.ndim, adjoint.in_channels, adjoint.out_channels, adjoint.kernel,
        stride=adjoint.stride, padding=layer.padding, dilation=adjoint.dilation,
        groups=adjoint.groups, bias=False,
    )  # fmt: skip
    other.weight.data = layer.weight.data
    assert torch.equal(probe(layer, size), probe(other, output).T)


ONE = {"in_channels": 4, "out_channels": 6, "kernel": (3, 3)}
ERRORS = {
    "channels": (
        {"in_channels": 0, "groups": 4},
        "in_channels is 0, expected a whole number ≥ 1\n"
        "geometry: out_channels is 6, expected a multiple of groups = 4",
    ),
    "half-kernel": ({"kernel": (3, 2.5)}, "kernel is 2.5, expected a whole number"),
    "bare-kernel": ({"kernel": 3}, "kernel is 3, expected one number per dimension, as in (3, 3)"),
    "no-kernel": ({"kernel": (0, 3)}, "kernel is (0, 3), expected whole numbers ≥ 1"),
    "four-dimensions": ({"kernel": (1, 1, 1, 1)}, "kernel is (1, 1, 1, 1), expected 1, 2 or 3 dimensions"),
    "stride": ({"stride": (1, 0)}, "stride is (1, 0), expected whole numbers ≥ 1"),
    "strides": ({"stride": (1, 2, 3)}, "stride is (1, 2, 3), expected 2 numbers, one per kernel dimension"),
    "dilation": ({"dilation": -1}, "dilation is (-1, -1), expected whole numbers ≥ 1"),
    "negative-padding": ({"padding": (0, -2)}, "padding is ((0, 0), (-2, -2)), expected whole numbers ≥ 0"),
    "padding-word": ({"padding": "full"}, "padding is 'full', expected 'same', 'valid' or numbers"),
    "padding-triple": ({"padding": ((1, 2, 3), 0)}, "padding is (1, 2, 3), expected one number, or (before, after)"),
    "padding-of-three": ({"padding": (1, 2, 3)}, "padding is ((1, 1), (2, 2), (3, 3)), expected one number, or one or a pair for each kernel dimension"),
    "groups": ({"groups": 3}, "in_channels is 4, expected a multiple of groups = 3"),
    "mode": ({"padding_mode": "wrap"}, "padding_mode is 'wrap', expected zeros, reflect, replicate, circular"),
    "strided-same": ({"padding": "same", "stride": 2}, "stride is (2, 2), expected 1 in every dimension (padding is 'same')"),
    "output-padding": ({"output_padding": 1}, "output_padding is (1, 1), expected 0 (only a transposed convolution has it)"),
    "large-output-padding": (
        {"transposed": True, "stride": 2, "output_padding": 2},
        "output_padding is (2, 2), expected ≥ 0 and less than the stride or the dilation",
    ),
    "transposed-mode": ({"transposed": True, "padding_mode": "reflect"}, "padding_mode is 'reflect', expected zeros (transposed)"),
}  # fmt: skip


@pytest.mark.parametrize("fields, words", ERRORS.values(), ids=ERRORS)
def test_impossible_numbers_are_named(fields, words):
    with pytest.raises(GeometryError) as caught:
        ConvGeometry(**(ONE | fields))
    assert str(caught.value) == "geometry: " + words


SMALL = {
    "kernel": ({}, (2, 9), "input_size[0] is 2, expected ≥ 3 (kernel extent 3, padding (0, 0))"),
    "none": ({}, (5, 0), "input_size[1] is 0, expected ≥ 3 (kernel extent 3, padding (0, 0))"),
    "reflect": (
        {"padding": 3, "padding_mode": "reflect"}, (9, 3),
        "input_size[1] is 3, expected ≥ 4 (reflect padding (3, 3) must be smaller than the input)",
    ),
    "circular": (
        {"padding": ((0, 0), (1, 4)), "padding_mode": "circular"}, (9, 3),
        "input_size[1] is 3, expected ≥ 4 (circular padding (1, 4) may wrap around once)",
    ),
    "transposed": (
        {"transposed": True, "padding": 4}, (7, 4),
        "input_size[1] is 4, expected ≥ 7 (kernel extent 3, padding (4, 4))",
    ),
    "dimensions": ({}, (7, 8, 9), "input_size is (7, 8, 9), expected 2 numbers, one per kernel dimension"),
}  # fmt: skip


@pytest.mark.parametrize("fields, size, words", SMALL.values(), ids=SMALL)
def test_too_small_inputs_are_named(fields, size, words):
    with pytest.raises(GeometryError) as caught:
        ConvGeometry(**(ONE | fields)).output_size(size)
    assert str(caught.value) == "geometry: " + words


NO_CONV = {
    "linear": (lambda: nn.Linear(2, 3), "no in_channels, no out_channels"),
    "lazy": (lambda: nn.LazyConv2d(3, 2), "run a lazy layer once first"),
}


@pytest.mark.parametrize("make, words", NO_CONV.values(), ids=NO_CONV)
def test_what_is_no_convolution_is_named(make, words):
    with pytest.raises(GeometryError, match=words):
        ConvGeometry.of(make())


def test_adjoint_and_field_belong_to_their_kind():
    with pytest.raises(GeometryError, match="transposed is False, expected True"):
        ConvGeometry(1, 2, kernel=(3,)).adjoint  # noqa: B018
    with pytest.raises(GeometryError, match="a cell steps by 1/stride pixels"):
        ConvGeometry(1, 2, kernel=(3,), transposed=True).field  # noqa: B018


def test_geometry_is_a_value():
    one, two = (ConvGeometry(2, 3, kernel=(3, 1), padding="same") for _ in range(2))
    assert one == two
    assert len({one, two}) == 1
    with pytest.raises(AttributeError):
        one.stride = (2, 2)


@example(((3, 4), (2, 1), (1, 2)))
@given(st.tuples(*[st.tuples(st.integers(1, 3), st.integers(1, 3))] * 3))
def test_taps_and_extent(fields):
    kernel, stride, dilation = fields
    geometry = ConvGeometry(1, 1, kernel=kernel, stride=stride, dilation=dilation)
    reach = [max(t * d for t in range(k)) + 1 for k, d in zip(kernel, dilation, strict=True)]
    assert geometry.extent == tuple(reach)
    assert geometry.taps == len(list(itertools.product(*map(range, kernel)))) == math.prod(kernel)
