"""Matrices that are convolutions, their convolution found again; near-misses refused in words."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from convlin import ConvGeometry, ConvMatrix, Refused, recognize, to_linear, unroll
from geometry_strategies import MODES, case_id, conv, convolutions, named, probe
from rounding import STABLE, agree


def distinct(layer):
    """Fill a layer with whole numbers that are all different, none of them 0."""
    for parameter in layer.parameters():
        numbers = torch.randperm(parameter.numel(), generator=torch.Generator().manual_seed(3)) + 1
        parameter.data.copy_(numbers.reshape(parameter.shape) * 7 % 1009)
    return layer


# Layers with an output that reads all of its window, and whose form is the smallest: found as is.
SAME = [
    (distinct(conv(1, 2, 3, 3)), (9,)),
    (distinct(conv(1, 3, 2, 4, stride=3)), (13,)),
    (distinct(conv(1, 2, 4, 3, padding=2, dilation=2, groups=2)), (11,)),
    (distinct(conv(2, 3, 4, (3, 2), padding=(1, 0))), (7, 6)),
    (distinct(conv(2, 3, 4, (2, 3), stride=(2, 1), padding=(0, 1))), (8, 7)),
    (distinct(conv(2, 4, 6, (3, 2), dilation=(1, 2), groups=2)), (8, 7)),
    (distinct(conv(2, 3, 3, 3, padding=1, groups=3)), (6, 5)),
    (distinct(conv(2, 2, 5, 1)), (4, 3)),
    (distinct(conv(2, 3, 2, 4, stride=4)), (8, 12)),
    (distinct(conv(2, 1, 2, 5, padding=2)), (7, 8)),
    (distinct(conv(2, 2, 3, 3, padding=1, padding_mode="reflect")), (6, 7)),
    (distinct(conv(2, 2, 3, (3, 5), padding=(1, 2), padding_mode="replicate")), (6, 9)),
    (distinct(conv(2, 2, 3, 3, padding=1, padding_mode="circular")), (6, 7)),
    (distinct(conv(2, 2, 2, 3, padding=2, dilation=2, padding_mode="reflect")), (9, 8)),
    (distinct(conv(3, 2, 3, (2, 3, 1), padding=(0, 1, 0))), (4, 5, 3)),
    (distinct(conv(3, 2, 2, (1, 2, 3), stride=(2, 1, 1), groups=2, padding=(0, 0, 1))), (5, 4, 6)),
]
TABLE = pytest.mark.parametrize("layer, size", SAME, ids=[case_id(layer) for layer, _ in SAME])


def shapes(layer, size):
    """Input and output shape, as PyTorch has them."""
    shape = (layer.in_channels, *size)
    return shape, tuple(layer(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])


def computes(found, layer, size):
    """Whether the layer that was found gives the layer's own outputs, bias apart."""
    x = torch.randint(-9, 10, (2, layer.in_channels, *size)).double()
    zero = torch.zeros_like(x)
    terms, largest = layer.weight.numel(), float(layer.weight.detach().abs().max())
    own = layer(x) - layer(zero)  # where padding repeats pixels, weights were solved for
    return agree(found.to_conv().double()(x), own, STABLE * terms, 9 * terms * largest)


@TABLE
@pytest.mark.parametrize("told", [True, False], ids=["output-shape-given", "not-given"])
def test_the_geometry_and_the_kernel_bit_for_bit(layer, size, told):
    into, out = shapes(layer, size)
    found = recognize(probe(layer, size), into, out if told else None, **named(layer.padding_mode))
    expected = ConvGeometry.of(layer)
    for field in ("in_channels", "out_channels", "kernel", "stride", "dilation", "groups"):
        assert getattr(found.geometry, field) == getattr(expected, field), field
    assert found.geometry.padding_mode == (
        "zeros" if not any(map(any, expected.padding)) else expected.padding_mode
    )
    assert [lo for lo, _ in found.geometry.padding] == [lo for lo, _ in expected.padding]
    assert found.weight.dtype == torch.float64 and torch.equal(found.weight, layer.weight)
    assert found.identified and found.output_size == out[1:]
    assert torch.equal(torch.from_numpy(unroll(found).toarray()), probe(layer, size))
    assert computes(found, layer, size)


KINDS = {
    "dense": lambda matrix: matrix.numpy(),
    "csr": lambda matrix: sp.csr_matrix(matrix.numpy()),
    "coo": lambda matrix: sp.coo_array(matrix.numpy()),
    "csc": lambda matrix: sp.csc_array(matrix.numpy()),
    "tensor": lambda matrix: matrix,
    "sparse tensor": lambda matrix: matrix.to_sparse(),
    "csr tensor": lambda matrix: matrix.to_sparse_csr(),
    "integers": lambda matrix: matrix.numpy().astype(np.int16),
    "float32": lambda matrix: matrix.float(),
    "half": lambda matrix: matrix.half(),
    "complex": lambda matrix: matrix.numpy() * (1 + 2j),
}


@pytest.mark.parametrize("kind", KINDS)
def test_matrices_of_every_kind(kind):
    layer, size = SAME[3]
    given = KINDS[kind](probe(layer, size))
    found = recognize(given, *shapes(layer, size))
    scale = 1 + 2j if kind == "complex" else 1
    weight = torch.as_tensor(found.weight)
    assert torch.equal(weight.to(torch.complex128), layer.weight.detach() * (scale + 0j))
    if isinstance(given, torch.Tensor):
        assert isinstance(found.weight, torch.Tensor) and found.weight.dtype == given.dtype
    else:
        assert isinstance(found.weight, np.ndarray) and found.weight.dtype == given.dtype


def test_the_given_matrix_is_left_alone():
    layer, size = SAME[3]
    given = sp.csr_array(probe(layer, size).numpy())
    given.data[4] = 0  # a stored zero
    before = given.copy()
    with pytest.raises(Refused):
        recognize(given, *shapes(layer, size))
    for name in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(given, name), getattr(before, name))


def nothing_shared(matrix, into, out):
    """Whether along some dimension every (output, pixel) that is read has weights of its own.

    Then the matrix is a convolution in no form that says anything; see `recognize`. So it is
    where no dimension has two outputs and two pixels in use.
    """
    entries = matrix.reshape(*out, *into).numpy()
    nothing_anywhere = math.prod(out[1:]) > 1 and bool(entries.any())
    for dim in range(1, len(out)):
        axes = tuple(a for a in range(entries.ndim) if a not in (dim, len(out) + dim))
        read = entries.any(axis=axes)
        if min(np.count_nonzero(read.any(axis=axis)) for axis in (0, 1)) <= 1:
            continue
        nothing_anywhere = False
        values = np.moveaxis(entries, (dim, len(out) + dim), (0, 1))
        # Some stride must leave only whole diagonals, and two of a weight on one of them.
        shared = False
        for stride in range(1, read.shape[1]):
            diagonals = {}
            for output in range(read.shape[0]):
                for pixel in range(read.shape[1]):
                    diagonals.setdefault(pixel - output * stride, []).append(values[output, pixel])
            used = [cells for cells in diagonals.values() if np.any(cells)]
            whole = all((cell == cells[0]).all() for cells in used for cell in cells)
            shared |= whole and any(len(cells) > 1 for cells in used)
        if not shared:
            return True
    return nothing_anywhere


def has_window_inside(geometry, size):
    """Whether along every dimension some output reads no padding."""
    outputs = geometry.output_size(size)
    rows = zip(outputs, geometry.stride, geometry.padding, geometry.extent, size, strict=True)
    return all(
        any(0 <= o * step - before <= n - extent for o in range(count))
        for count, step, (before, _), extent, n in rows
    )


def filled(layer, seed, zeros):
    """Whole numbers with or without zeros: any tap may then be missing from the matrix."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(1, 90, layer.weight.shape, generator=generator).double()
    if zeros:
        numbers *= torch.randint(0, 2, layer.weight.shape, generator=generator)
    layer.weight.data.copy_(numbers)
    return layer


@settings(max_examples=150)
@given(
    st.one_of(convolutions(max_kernel=3), convolutions(max_kernel=3, transposed=True)),
    st.integers(0, 9),
    st.booleans(),
)
def test_any_convolution_is_found_again(case, seed, zeros):
    layer, size = case
    assume(math.prod(size) * layer.in_channels < 800)
    layer = filled(layer, seed, zeros)
    matrix, (into, out) = probe(layer, size), shapes(layer, size)
    mode = getattr(layer, "padding_mode", "zeros")
    # Reflect and replicate padding are read off windows inside the input, if there are any.
    unseen = bool(named(mode)) and not has_window_inside(ConvGeometry.of(layer), size)
    try:
        found = recognize(matrix, into, out, **named(mode))
    except Refused:
        assert unseen or nothing_shared(matrix, into, out)
        return
    assert torch.equal(torch.from_numpy(unroll(found).toarray()), matrix)
    own = math.prod(layer.weight.shape)
    # A transposed convolution may have output beyond its adjoint's: it is then found with more.
    beyond = layer.transposed and any(
        p >= s for p, s in zip(layer.output_padding, layer.stride, strict=True)
    )
    assert found.weight.numel() <= own or beyond or unseen


@pytest.mark.parametrize("mode", MODES[1:])
def test_sums_of_floats_are_held_to_rounding(mode):
    layer = nn.Conv2d(3, 4, (3, 5), padding=(1, 2), padding_mode=mode)
    matrix = unroll(layer, (6, 8)).tocsr()
    found = recognize(matrix, (3, 6, 8), (4, 6, 8), **named(mode))
    assert np.array_equal(found.weight, layer.weight.detach().numpy())


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_and_no_further(mode):
    layer = nn.Conv2d(3, 4, (3, 5), padding=(1, 2), padding_mode=mode)
    # All different and above 0: a sum of taps that cancelled would be small next to its rounding.
    layer.weight.data = (torch.arange(180.0) * 7 % 181 + 1).view(layer.weight.shape) / 181
    matrix = unroll(layer, (6, 8)).tocsr()
    summed = int(np.flatnonzero(np.diff(unroll(layer, (6, 8)).entry_weights().starts) > 1)[7])
    matrix.data[summed] = np.nextafter(matrix.data[summed], np.float32(9))
    recognize(matrix, (3, 6, 8), (4, 6, 8), padding_mode=mode)
    matrix.data[summed] *= 1 + 1e-4
    with pytest.raises(Refused, match="through taps .* whose weights elsewhere sum to"):
        recognize(matrix, (3, 6, 8), (4, 6, 8), padding_mode=mode)


def test_taps_that_only_sums_tell_are_solved_for():
    """On 4 pixels, circular, a kernel of 5 has its first and last tap on one pixel."""
    layer = distinct(conv(1, 1, 1, 5, padding=4, padding_mode="circular", bias=False))
    found = recognize(probe(layer, (4,)), (1, 4))
    assert found.geometry.kernel == (4,) and found.geometry.padding_mode == "circular"
    assert sorted(found.weight.flatten().tolist())[-1] == max(
        (layer.weight[..., :1] + layer.weight[..., -1:]).item(), *layer.weight[0, 0, 1:-1].tolist()
    )


def test_the_smallest_form_is_reported():
    framed = conv(2, 2, 3, 3, padding=1, bias=False)
    framed.weight.data *= torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    found = recognize(probe(framed, (5, 6)), (2, 5, 6))
    assert found.geometry == ConvGeometry(2, 3, kernel=(1, 1))
    assert found.free == ("dilation[0]", "dilation[1]", "padding_mode")
    dilated = conv(1, 1, 1, 5, bias=False)
    dilated.weight.data = torch.tensor([[[3.0, 0, 5, 0, 7]]], dtype=torch.float64)
    found = recognize(probe(dilated, (9,)), (1, 9))
    assert found.geometry == ConvGeometry(1, 1, kernel=(3,), dilation=2)


def test_what_is_left_free():
    layer = distinct(conv(2, 2, 3, (3, 4), stride=(2, 1), padding=(1, 0), bias=False))
    found = recognize(probe(layer, (8, 4)), (2, 8, 4), (3, 4, 1))
    assert found.free == ("padding[0] after 0 to 1", "stride[1] ≥ 1")
    assert found.to_conv().padding == (1, 0)  # as the layer had it


def test_padding_by_side_comes_back_as_a_padding_layer():
    geometry = ConvGeometry(2, 3, kernel=(3, 2), padding=((2, 0), (0, 1)), padding_mode="reflect")
    weight = np.arange(1.0, 37).reshape(geometry.weight_shape)
    matrix = ConvMatrix(geometry, weight, (5, 6))
    found = recognize(torch.from_numpy(matrix.toarray()), (2, 5, 6), padding_mode="reflect")
    assert found.geometry == geometry
    pad, layer = found.to_conv()
    assert isinstance(pad, nn.ReflectionPad2d) and isinstance(layer, nn.Conv2d)
    x = torch.rand(2, 5, 6, dtype=torch.float64)
    flat = found.to_conv()(x[None]).flatten()
    expected = matrix @ x.flatten().numpy()  # of numbers above 0 all
    assert agree(flat, expected, 2 * 2 * 3 * 2, expected)


@pytest.mark.parametrize(
    "layer, size",
    [
        (distinct(conv(1, 2, 3, 4, transposed=True, stride=3, padding=1)), (5,)),
        (distinct(conv(2, 3, 2, (3, 2), transposed=True, stride=2, output_padding=1)), (4, 5)),
        (distinct(conv(2, 4, 6, 3, transposed=True, stride=(3, 2), padding=1, groups=2)), (4, 3)),
        (distinct(conv(3, 2, 3, 2, transposed=True, stride=2)), (2, 3, 4)),
    ],
    ids=lambda value: case_id(value) if isinstance(value, nn.Module) else None,
)
def test_transposed_convolutions_are_found_by_their_adjoint(layer, size):
    into, out = shapes(layer, size)
    found = recognize(probe(layer, size), into, out)
    assert found.geometry.transposed and torch.equal(found.weight, layer.weight)
    assert found.to_conv().stride == layer.stride
    assert computes(found, layer, size)


class TestLinear:
    def test_with_one_bias_a_channel(self):
        layer = distinct(conv(2, 3, 4, 3, padding=1))
        linear = to_linear(layer, (5, 6), exchange="dense_at_size").linear
        found = recognize(linear, (3, 5, 6))
        assert torch.equal(found.bias, layer.bias) and torch.equal(found.weight, layer.weight)
        x = torch.randint(-9, 10, (2, 3, 5, 6)).double()
        assert torch.equal(found.to_conv()(x), layer(x))

    def test_with_a_bias_that_differs_between_positions(self):
        layer = distinct(conv(2, 3, 4, 3, padding=1))
        linear = to_linear(layer, (5, 6), exchange="dense_at_size").linear
        linear.bias.data[37] += 1
        with pytest.raises(Refused, match=r"bias\[37\] is \d+.*as everywhere in channel 1"):
            recognize(linear, (3, 5, 6))


NEAR = [SAME[place] for place in (0, 2, 4, 6, 10, 12, 14)]


@pytest.mark.parametrize("layer, size", NEAR, ids=[case_id(layer) for layer, _ in NEAR])
@pytest.mark.parametrize("seed", range(3))
class TestNearMisses:
    def test_one_entry_changed(self, layer, size, seed):
        matrix, (into, out) = probe(layer, size), shapes(layer, size)
        rng = np.random.default_rng(seed)
        row, column = rng.choice(np.argwhere(matrix.numpy() != 0))
        matrix[row, column] += 1
        with pytest.raises(Refused) as caught:
            recognize(matrix, into, out, **named(layer.padding_mode))
        first, trivial = caught.value.refusals
        assert "differ: " in first.reason or "sum to" in first.reason
        assert str(math.prod(out)) in trivial.allowed and "every matrix" in trivial.reason
        with pytest.raises(Refused):
            recognize(matrix, into, **named(layer.padding_mode))

    def test_one_entry_added(self, layer, size, seed):
        matrix, (into, out) = probe(layer, size), shapes(layer, size)
        rng = np.random.default_rng(seed)
        empty = np.argwhere(matrix.numpy() == 0)
        row, column = rng.choice(empty)
        matrix[row, column] = 5
        with pytest.raises(Refused, match="off any kernel|differ: "):
            recognize(matrix, into, out, **named(layer.padding_mode))

    def test_one_output_shifted_by_one(self, layer, size, seed):
        matrix, (into, out) = probe(layer, size), shapes(layer, size)
        row = np.random.default_rng(seed).integers(1, len(matrix) - 1)
        shifted = matrix.clone()
        shifted[row] = matrix[row].roll(1)
        assert not torch.equal(shifted, matrix)
        with pytest.raises(Refused):
            recognize(shifted, into, out, **named(layer.padding_mode))
        with pytest.raises(Refused):
            recognize(shifted, into, **named(layer.padding_mode))


def test_the_words_name_outputs_inputs_and_taps():
    layer = distinct(conv(2, 2, 5, 3, padding=1, bias=False))
    matrix, out = probe(layer, (9, 8)), (5, 9, 8)
    expected = layer.weight[3, 1, 1, 2].item()
    row, column = np.ravel_multi_index((3, 4, 2), out), np.ravel_multi_index((1, 4, 3), (2, 9, 8))
    changed = matrix.clone()
    changed[row, column] += 0.5
    with pytest.raises(Refused) as caught:
        recognize(changed, (2, 9, 8), out)
    assert str(caught.value.refusals[0]) == (
        f"recognize: matrix[{row}, {column}] is {expected + 0.5}, expected {expected} "
        f"(weights of tap (1, 2) differ: {expected + 0.5} at output (3, 4, 2) from input (1, 4, 3),"
        f" {expected} at output (3, 0, 0) from input (1, 0, 1))"
    )
    added = matrix.clone()
    column = np.ravel_multi_index((0, 8, 7), (2, 9, 8))
    added[row, column] = 2
    with pytest.raises(Refused) as caught:
        recognize(added, (2, 9, 8), out)
    assert str(caught.value.refusals[0]) == (
        f"recognize: matrix[{row}, {column}] is 2.0, expected 0 (output (3, 4, 2) reads input "
        "(0, 8, 7), off any kernel that output (3, 4, 1) allows)"
    )


class TestTrivialForms:
    weight = torch.randperm(36 * 8, generator=torch.Generator().manual_seed(0)).reshape(8, 36) + 1.0

    def test_every_matrix_is_a_full_size_convolution_if_asked(self):
        found = recognize(self.weight, (4, 3, 3), (8, 1, 1))
        assert found.geometry == ConvGeometry(4, 8, kernel=(3, 3))
        assert torch.equal(found.weight, self.weight.reshape(8, 4, 3, 3))
        assert found.free[:2] == ("stride[0] ≥ 1", "stride[1] ≥ 1")

    @pytest.mark.parametrize("out", [None, (2, 2, 2), (4, 2, 1), (1, 2, 4)])
    def test_and_is_refused_otherwise(self, out):
        with pytest.raises(Refused, match=r" \(8, 1, 1\) \(there every matrix is a conv"):
            recognize(self.weight, (4, 3, 3), out)

    def test_a_local_layer_is_none_by_a_stride_beyond_its_windows(self):
        """With stride 4 and padding 6, windows would share no tap: every band matrix fits that."""
        band = torch.tensor([[1.0, 2, 0, 0], [0, 3, 4, 0], [0, 0, 5, 6]])
        with pytest.raises(Refused, match="differ: 3.0 at output .0, 1. from input .0, 1., 1.0"):
            recognize(band, (1, 4), (1, 3))


def test_a_zero_matrix_is_a_convolution():
    found = recognize(np.zeros((12, 12)), (1, 3, 4), (1, 3, 4))
    assert not found.weight.any() and found.geometry == ConvGeometry(1, 1, (1, 1))


def test_candidates_are_told():
    layer, size = SAME[3]
    found = recognize(probe(layer, size), (3, *size))
    told = {candidate.output_shape: candidate.outcome for candidate in found.candidates}
    assert told[4, 7, 5] == str(found).partition(";")[0]
    assert all(math.prod(shape) == 4 * 7 * 5 for shape in told)


BAD = {
    "shape": (lambda: recognize(np.ones((4, 6)), (1, 5)), r"input_shape is \(1, 5\), expected .* 6 .*6 columns"),
    "rows": (lambda: recognize(np.ones((4, 6)), (1, 6), (3, 1)), r"output_shape is \(3, 1\), expected .* 4 "),
    "rank": (lambda: recognize(np.ones((4, 6)), (1, 6), (1, 2, 2)), r"expected 2 numbers, as \(1, 6\) has"),
    "no numbers": (lambda: recognize(np.ones((4, 6)), ("a", 6)), "input_shape"),
    "vector": (lambda: recognize(np.ones(6), (1, 6)), r"float64 of shape \(6,\), expected numbers in rows"),
    "words": (lambda: recognize(np.array([["a"]]), (1, 1)), "numbers in rows and columns"),
    "infinite": (lambda: recognize(np.array([[1, np.inf]]), (1, 2)), r"matrix\[0, 1\] is inf, expected finite"),
    "four": (lambda: recognize(np.ones((4, 6)), (1, 1, 1, 1, 6)), r"\(channels, L\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_words(case):
    call, words = BAD[case]
    with pytest.raises(Refused, match=words):
        call()


def test_a_hooked_linear_is_refused():
    linear = nn.Linear(6, 4)
    linear.register_forward_hook(lambda *_: None)
    with pytest.raises(Refused, match="_forward_hooks"):
        recognize(linear, (1, 6))
