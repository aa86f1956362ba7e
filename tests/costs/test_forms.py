"""Every form's numbers, against matrices that were probed and against another counter."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from torch import nn

from convlin import ConvGeometry, Refused, cost
from convlin.costs import FORMS, across, convolution_forms, implied, linear_forms
from costs.counting import others, wiring
from geometry_strategies import case_id, conv, convolutions


def check_against_the_matrix(layer, size):
    table = cost(layer, size)
    forms = {form: table.rows[0].in_form(form) for form in FORMS}
    counts = wiring(layer, size)
    outputs = layer(torch.zeros(1, layer.in_channels, *size, dtype=torch.float64))[0]
    stored = csr_array(counts)
    biases = 0 if layer.bias is None else outputs.numel()

    assert forms["conv"].multiply_adds == forms["local"].multiply_adds == counts.sum()
    assert forms["linear"].multiply_adds == counts.size
    assert forms["matrix"].multiply_adds == (counts != 0).sum()

    padded = others(layer, layer.in_channels, *size)
    assert forms["conv"].padded_multiply_adds == forms["local"].padded_multiply_adds == padded
    assert forms["linear"].padded_multiply_adds == counts.size

    dense = nn.Linear(*reversed(counts.shape), bias=layer.bias is not None, device="meta")
    assert forms["conv"].parameters == sum(p.numel() for p in layer.parameters())
    assert forms["local"].parameters == padded + biases
    assert forms["linear"].parameters == sum(p.numel() for p in dense.parameters())
    assert forms["matrix"].parameters == stored.nnz + biases

    for form in ("conv", "local", "linear"):
        assert forms[form].stored_bytes == 8 * forms[form].parameters
    arrays = stored.data.nbytes + stored.indices.nbytes + stored.indptr.nbytes
    assert forms["matrix"].stored_bytes == arrays + 8 * biases
    assert {c.activation_bytes for c in forms.values()} == {outputs.numel() * 8}
    assert table.rows[0].note == ""


@given(convolutions())
@settings(max_examples=120)
def test_convolutions_of_every_kind(drawn):
    check_against_the_matrix(*drawn)


@given(convolutions(transposed=True))
@settings(max_examples=60)
def test_transposed_convolutions(drawn):
    check_against_the_matrix(*drawn)


MERGED = [
    (conv(2, 2, 3, (3, 5), padding=(1, 2), padding_mode="reflect"), (4, 6)),
    (conv(2, 2, 3, (5, 3), padding=(2, 1), padding_mode="replicate"), (2, 5)),
    (conv(1, 2, 4, 5, padding=4, padding_mode="circular", groups=2), (4,)),
]


@pytest.mark.parametrize("case", MERGED, ids=[case_id(layer) for layer, _ in MERGED])
def test_taps_that_read_one_pixel_are_one_entry(case):
    check_against_the_matrix(*case)
    table = cost(*case)
    assert table.multiply_adds["matrix"] < table.multiply_adds["conv"]


COUNTERS = {
    "k3-p1-at-16": (conv(2, 3, 8, 3, padding=1), (16, 16), "+8.9%"),
    "k7-d3-p9-at-8": (conv(2, 3, 8, 7, dilation=3, padding=9), (8, 8), "6.5×"),
    "k3-p0-at-9x7": (conv(2, 3, 8, 3), (9, 7), ""),
    "transposed-s2-p1": (conv(2, 3, 8, 3, stride=2, padding=1, transposed=True), (5, 6), "+29.8%"),
}


@pytest.mark.parametrize("case", COUNTERS)
def test_side_by_side_with_another_counter(case):
    """Ours is the number of structural non-zeros; the other counter multiplies padded zeros too."""
    layer, size, excess = COUNTERS[case]
    table = cost(layer, size)
    assert table.multiply_adds["conv"] == (wiring(layer, size) != 0).sum()
    assert table.padded_multiply_adds["conv"] == others(layer, layer.in_channels, *size)
    share = table.padded_multiply_adds["conv"] / table.multiply_adds["conv"]
    assert excess == ("" if share == 1 else f"{share:.1f}×" if share > 2 else f"+{share - 1:.1%}")
    assert excess in str(table)


ARTICLE = {
    "part 2": (nn.Conv2d(1, 1, 3, bias=False), 6, {"conv": 9, "local": 144, "linear": 576, "matrix": 144}),
    "part 3, 1x1": (nn.Conv2d(3, 2, 1, bias=False), 3, {"conv": 6, "local": 54, "linear": 486, "matrix": 54}),
    "part 3, FC over channels": (nn.Linear(3, 2, bias=False), (), {"conv": 6, "local": 6, "linear": 6, "matrix": 6}),
    "part 3, FC over channels at every pixel": (nn.Linear(3, 2, bias=False), (3, 3, 3), {"conv": 6, "local": 54, "linear": 6, "matrix": 6}),
    "part 3, FC on the flattened map": (nn.Linear(27, 18, bias=False), (), {"conv": 486, "local": 486, "linear": 486, "matrix": 486}),
    "part 4, kernel as large as the map": (nn.Conv2d(3, 3, 3, bias=False), 3, {"conv": 81, "local": 81, "linear": 81, "matrix": 81}),
    "part 4, FC": (nn.Linear(27, 3, bias=False), (), {"conv": 81, "local": 81, "linear": 81, "matrix": 81}),
    "part 4, the case of 27": (nn.Conv2d(1, 3, 3, bias=False), 3, {"conv": 27, "local": 27, "linear": 27, "matrix": 27}),
}  # fmt: skip


@pytest.mark.parametrize("part", ARTICLE)
def test_the_articles_counts(part):
    layer, size, parameters = ARTICLE[part]
    assert cost(layer, size).parameters == parameters


def test_the_articles_448_by_448():
    table = cost(nn.Conv2d(100, 20, 1, bias=False, device="meta"), (448, 448))
    cells = 448 * 448
    assert table.parameters == {
        "conv": 2_000,
        "local": 2_000 * cells,
        "linear": 20 * cells * 100 * cells,
        "matrix": 2_000 * cells,
    }
    assert table.multiply_adds["conv"] == table.padded_multiply_adds["conv"] == 401_408_000
    assert table.activation_bytes == 4 * 20 * cells
    # 2000·448² entries are fewer than 2³¹: 32-bit indices.
    assert table.stored_bytes["matrix"] == 4 * (2 * 2_000 * cells + 20 * cells + 1)


def test_indices_are_wide_where_they_must_be():
    """From 2³¹ stored entries on, SciPy and we count 8 bytes an index."""
    narrow, wide = (
        convolution_forms(ConvGeometry(channels, 1, kernel=(1,)), 2**16, bias=False)[3]
        for channels in (2**15 - 1, 2**15)
    )
    entries = 2**16 * (2**15 - 1)
    assert narrow.stored_bytes == 4 * entries + 4 * (entries + 2**16 + 1)
    assert wide.stored_bytes == 4 * 2**31 + 8 * (2**31 + 2**16 + 1)


@given(
    *(st.integers(1, 5) for _ in range(2)), st.booleans(), st.lists(st.integers(1, 4), max_size=2)
)
def test_linear_layers(inputs, outputs, bias, leading):
    layer = nn.Linear(inputs, outputs, bias, dtype=torch.float64)
    shape = (*leading, inputs)
    table = cost(layer, shape)
    assert table == cost(layer, shape[:-1]) or leading[-1:] == [inputs]
    forms, rows = table.total, math.prod(leading)
    numel = sum(p.numel() for p in layer.parameters())
    assert [forms[f].parameters for f in FORMS] == [numel, numel * rows, numel, numel]
    assert {forms[f].multiply_adds for f in FORMS} == {others(layer, *shape)}
    assert {forms[f].padded_multiply_adds for f in FORMS} == {others(layer, *shape)}
    stored = csr_array(torch.ones(outputs, inputs, dtype=torch.float64).numpy())
    arrays = stored.data.nbytes + stored.indices.nbytes + stored.indptr.nbytes
    assert forms["matrix"].stored_bytes == arrays + 8 * outputs * bias
    assert table.activation_bytes == 8 * outputs * rows


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_bytes_are_those_of_the_dtype(dtype):
    layer = nn.Conv2d(3, 4, (3, 2), dtype=dtype)
    table, size = cost(layer, (5, 6)), dtype.itemsize
    assert table.stored_bytes["conv"] == sum(p.nbytes for p in layer.parameters())
    assert table.stored_bytes["local"] == size * table.parameters["local"]
    indices = 4 * (table.parameters["matrix"] - 4 * 15 + 4 * 15 + 1)
    assert table.stored_bytes["matrix"] == size * table.parameters["matrix"] + indices
    assert table.activation_bytes == size * 4 * 15


def test_several_sizes_share_what_serves_them_all():
    geometry = ConvGeometry(2, 3, kernel=(2,))
    a, b = convolution_forms(geometry, 5), convolution_forms(geometry, 7, times=2)
    both = across([a, b], {"conv"})
    assert both[0].parameters == a[0].parameters and both[1].parameters == 15 * (4 + 6)
    assert both[0].multiply_adds == 12 * 4 + 2 * 12 * 6
    assert linear_forms(3, 2, rows=4, times=5)[1].parameters == 8 * 4
    assert linear_forms(3, 2, rows=4, times=5)[1].multiply_adds == 6 * 4 * 5


@given(convolutions(modes=("zeros",)))
def test_an_implied_padding_gives_the_same_costs(drawn):
    layer, size = drawn
    geometry = ConvGeometry.of(layer)
    bare = ConvGeometry(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, 0, layer.dilation, layer.groups
    )  # fmt: skip
    reads = geometry.connections(size) * layer.groups // (layer.in_channels * layer.out_channels)
    found = implied(bare, size, geometry.output_size(size), reads)
    # Padding beyond the kernel gives outputs that read nothing, which nobody wants implied.
    sides = zip(geometry.padding, geometry.extent, strict=True)
    assume(all(max(pair) < extent for pair, extent in sides))
    assert convolution_forms(found, size) == convolution_forms(geometry, size)


def test_no_padding_implies_too_many_reads():
    bare = ConvGeometry(1, 1, kernel=(3,))
    assert implied(bare, (6,), (6,), reads=18) is None
    assert implied(ConvGeometry(1, 1, kernel=(3,), transposed=True), (6,), (8,), reads=18) is None


REFUSED = {
    "too-small": (nn.Conv2d(1, 1, 3), (2, 7), "geometry: input_size[0] is 2, expected ≥ 3 (kernel extent 3, padding (0, 0))"),
    "dimensions": (nn.Conv2d(1, 1, 3), (7,), "Conv2d: input_size is (7,), expected 2 numbers, or (C, 2 numbers) with C = 1"),
    "channels": (nn.Conv2d(4, 1, 3), (3, 7, 7), "Conv2d: input_size is (3, 7, 7), expected 2 numbers, or (C, 2 numbers) with C = 4"),
    "nothing": (nn.Conv2d(1, 1, 3), (), "Conv2d: input_size is (), expected 2 numbers, or (C, 2 numbers) with C = 1"),
    "zero": (nn.Conv2d(1, 1, 3), (7, 0), "cost: input_size is (7, 0), expected numbers ≥ 1"),
    "fraction": (nn.Conv2d(1, 1, 3), (7.5, 7), "cost: input_size is (7.5, 7), expected whole numbers, such as (3, 224, 224)"),
    "no-module": (torch.relu, (7, 7), "cost: layer_or_model is builtin_function_or_method, expected a torch.nn.Module"),
    "lazy": (nn.Sequential(nn.LazyConv2d(1, 3)), (7, 7), "0: layer is lazy, expected one that has its parameters (run the model once)"),
    "no-channels": (nn.ReLU(), (), "ReLU: input_size is (), expected the shape of a sample, such as (3, 224, 224)"),
    "first-layer": (nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), (3, 5), "1: input of the model is (3, 5), expected the shape of a sample that it can take (mat1 and mat2 shapes cannot be multiplied"),
    "later-layer": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(3, 2, 3))), (7, 7), "1.1: input of the model is (1, 7, 7), expected the shape of a sample that it can take (Given groups=1, weight of size [2, 3, 3, 3], expected input"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_would_fit(case):
    layer, size, words = REFUSED[case]
    with pytest.raises(Refused) as refused:
        cost(layer, size)
    assert str(refused.value).startswith(words)
