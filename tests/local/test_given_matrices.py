"""Matrices of every kind go into `recognize` and `nearest_conv`, and come back as what they were.

What computes more than its class says, or holds no numbers, is refused in words.
"""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

import convlin
from convlin import ConvGeometry, ConvMatrix, Refused
from convlin.layers.forms.local import LocallyConnected1d
from geometry_strategies import conv, fill, named
from rounding import agree, approx, gamma, unit


def doubled(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


class Doubled(LocallyConnected1d):
    def forward(self, x):
        return doubled(super().forward(x))


def hooked(kind: str) -> LocallyConnected1d:
    layer = fill(LocallyConnected1d(1, 2, 2, 3))
    getattr(layer, f"register_forward_{kind}")(lambda *_: None)
    return layer


def with_own_forward() -> LocallyConnected1d:
    layer = LocallyConnected1d(1, 2, 2, 3)
    layer.forward = doubled
    return layer


ODD = {
    "hook": (hooked("hook"), "LocallyConnected1d: _forward_hooks is .*, expected none"),
    "pre-hook": (hooked("pre_hook"), "LocallyConnected1d: _forward_pre_hooks is .*, expected none"),
    "subclass": (
        Doubled(1, 2, 2, 3),
        "Doubled: forward is .*Doubled.forward, expected LocallyConnected1d's",
    ),
    "forward": (
        with_own_forward(),
        "LocallyConnected1d: forward is set on this one layer, expected LocallyConnected1d's",
    ),
    "parametrized": (
        nn.utils.parametrizations.weight_norm(LocallyConnected1d(1, 2, 2, 3)),
        "ParametrizedLocallyConnected1d: parametrizations is weight, expected none",
    ),
}
EVERY_ODD = pytest.mark.parametrize("layer, words", ODD.values(), ids=ODD)


@EVERY_ODD
def test_a_locally_connected_layer_that_computes_more_is_refused(layer, words):
    with pytest.raises(Refused, match=words):
        layer.nearest_conv()
    with pytest.raises(Refused, match=words):
        convlin.nearest_conv(layer, ConvGeometry(1, 2, (2,)), 3)
    with pytest.raises(Refused, match=words):
        convlin.recognize(layer, (1, 3), (2, 2))


def test_a_plain_subclass_is_as_good():
    class Named(LocallyConnected1d):
        pass

    layer = fill(Named(1, 2, 2, 3))
    assert layer.nearest_conv().energy.total > 0


class Matrixed(nn.Module):
    """A stranger that happens to have a method of that name."""

    weight = nn.Parameter(torch.ones(1))
    bias = None

    def matrix(self):
        return np.eye(3)


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.Conv1d(1, 1, 2), Matrixed()], ids=repr)
def test_any_other_layer_is_refused_with_what_would_do(layer):
    site = type(layer).__name__
    with pytest.raises(Refused) as caught:
        convlin.recognize(layer, (1, 3))
    assert str(caught.value) == (
        f"{site}: type is {site}, expected nn.Linear, or a locally connected layer "
        "(the matrix of a convolution is unroll(conv, input_size))"
    )


# Convolutions whose matrices have entries that sum several taps.
FOLDED = {
    "reflect": (conv(2, 2, 3, 3, padding=2, padding_mode="reflect", bias=False), (4, 5)),
    "replicate": (conv(1, 2, 3, 3, padding=2, padding_mode="replicate"), (5,)),
    "circular": (conv(1, 2, 3, 5, padding=4, padding_mode="circular", bias=False), (6,)),
}


@pytest.mark.parametrize("mode", FOLDED)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sums_of_taps_in_16_bits_are_off_by_16_bit_rounding(mode, dtype):
    layer, size = copy.deepcopy(FOLDED[mode])
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    layer = layer.to(dtype)
    linear = convlin.to_linear(layer, size, exchange="dense_at_size").linear
    matrix = linear.weight.detach()
    u = torch.finfo(dtype).eps / 2
    for given in (linear, matrix, matrix.to_sparse_coo(), matrix.to_sparse_csr()):
        found = convlin.recognize(given, (2, *size), **named(mode))
        assert found.geometry.padding_mode == mode
        assert found.weight.dtype == dtype
        error = (found.weight.double() - layer.weight.double()).abs().max()
        assert error <= 8 * u * layer.weight.double().abs().max()
        assert found.to_conv().weight.dtype == dtype
    off = matrix.clone()
    row, column = off.nonzero()[0].tolist()
    off[row, column] += 64 * u * off.abs().max()
    with pytest.raises(Refused):
        convlin.recognize(off, (2, *size), (3, *found.output_size), **named(mode))


def test_numpys_16_bits_come_back_as_such():
    size = (4, 5)
    layer = nn.Conv2d(2, 3, 3, padding=2, padding_mode="reflect", bias=False)
    matrix = convlin.unroll(layer, size).toarray().astype(np.float16)
    found = convlin.recognize(matrix, (2, *size), padding_mode="reflect")
    assert found.geometry == ConvGeometry.of(layer)
    assert found.weight.dtype == np.float16
    assert agree(found.weight, layer.weight, 8, float(layer.weight.detach().abs().max()))
    assert found.to_conv().weight.dtype == torch.float16
    nearest = convlin.nearest_conv(matrix, layer, size)
    assert nearest.weight.dtype == np.float64
    assert nearest.distance <= unit(np.float16) * np.linalg.norm(matrix.astype(float))


def test_the_other_byte_order_is_read():
    layer = nn.Conv1d(1, 2, 2, bias=False)
    matrix = convlin.unroll(layer, 4).toarray()
    found = convlin.recognize(matrix.astype(matrix.dtype.newbyteorder()), (1, 4))
    assert np.array_equal(found.weight, layer.weight.detach().numpy())


@pytest.mark.parametrize(
    "dtype, words",
    [
        (np.longdouble, r"matrix: dtype is float\d+, expected float64 or narrower"),
        (np.clongdouble, r"matrix: dtype is complex\d+, expected complex128 or narrower"),
    ],
)
def test_numbers_wider_than_there_is_arithmetic_for_are_refused(dtype, words):
    if np.dtype(dtype).itemsize <= 8 * (1 + np.dtype(dtype).kind.count("c")):
        pytest.skip("no wider than double here")
    matrix = np.eye(4, dtype=dtype)
    operator = ConvMatrix(ConvGeometry(1, 1, (1,)), np.ones((1, 1, 1), dtype), 4)
    for given in (matrix, operator):
        with pytest.raises(Refused, match=words):
            convlin.recognize(given, (1, 4))
        with pytest.raises(Refused, match=words):
            convlin.nearest_conv(given, ConvGeometry(1, 1, (1,)), 4)


META = {
    "tensor": (torch.empty(3, 4, device="meta"), "matrix"),
    "linear": (nn.Linear(4, 3, device="meta"), "weight"),
    "local": (LocallyConnected1d(1, 1, 2, 4, device="meta"), "weight"),
}


@pytest.mark.parametrize("matrix, name", META.values(), ids=META)
def test_tensors_without_numbers_are_refused(matrix, name):
    words = f"{name}: device is meta, expected a device that holds numbers"
    with pytest.raises(Refused, match=words):
        convlin.recognize(matrix, (1, 4))
    with pytest.raises(Refused, match=words):
        convlin.nearest_conv(matrix, ConvGeometry(1, 1, (2,)), 4)


def test_layers_without_numbers_have_no_matrix():
    words = "weight: device is meta, expected a device that holds numbers"
    with pytest.raises(Refused, match=words):
        convlin.unroll(nn.Conv1d(1, 1, 2, device="meta"), 4)
    with pytest.raises(Refused, match=words):
        convlin.singular_values(nn.Conv1d(1, 1, 2, device="meta"), 4)
    with pytest.raises(Refused, match=words):
        META["local"][0].matrix()


def test_a_sparse_tensor_of_more_dimensions_is_refused():
    matrices = torch.eye(4).expand(2, 4, 4)
    for given in (matrices.to_sparse_csr(), matrices.to_sparse()):
        with pytest.raises(
            Refused, match=r"shape is torch.float32 of shape \(2, 4, 4\), expected numbers in rows"
        ):
            convlin.recognize(given, (1, 4))


def test_every_layout_is_read():
    layer = nn.Conv1d(1, 2, 2, bias=False)
    matrix = convlin.unroll(layer, 5).toarray()
    dense = torch.from_numpy(matrix)
    given = [dense.to_sparse_csc(), dense.to_sparse_bsr((4, 1)), dense.to_sparse_bsc((1, 5))]
    given += [dense.to_sparse(1), dense.to_mkldnn(), dense.to_sparse(), dense.to_sparse_csr()]
    for each in given:
        assert torch.equal(convlin.recognize(each, (1, 5)).weight, layer.weight)


def in_parts(matrix):
    """Return rows, columns and values: each number as two that sum to it, each 0 as 5 - 5."""
    rows, columns = np.divmod(np.arange(matrix.size)[::-1], matrix.shape[1])
    values = matrix[rows, columns]
    part = np.where(values == 0, 5, 3)
    return np.tile(rows, 2), np.tile(columns, 2), np.concatenate([values - part, part])


def csr_of_parts(rows, columns, values, shape):
    """Return a CSR array that holds them all, unsorted and unsummed."""
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(shape[0] + 1))
    return sp.csr_array((values[order], columns[order], starts), shape=shape)


def test_what_is_stored_in_parts_is_their_sum():
    layer = fill(nn.Conv2d(2, 3, (3, 2), padding=(1, 0), dtype=torch.float64))
    matrix = convlin.unroll(layer, (4, 5)).toarray()
    rows, columns, values = in_parts(matrix)
    csr = csr_of_parts(rows, columns, values, matrix.shape)
    assert csr.nnz == 2 * matrix.size
    places = torch.from_numpy(np.stack([rows, columns]))
    coo = torch.sparse_coo_tensor(
        places, torch.from_numpy(values), matrix.shape, check_invariants=True
    )
    for given in (csr, sp.coo_array((values, (rows, columns)), matrix.shape), coo):
        found = convlin.recognize(given, (2, 4, 5))
        assert found.geometry == ConvGeometry.of(layer)
        assert np.array_equal(found.weight, layer.weight.detach().numpy())
        near = convlin.nearest_conv(given, layer, (4, 5))
        assert agree(near.weight, layer.weight, 64, abs(layer.weight.detach()))
        assert near.energy.total == approx(np.sum(matrix**2), matrix.size)
        assert near.energy.off == 0
        assert near.distance <= gamma(64) * np.linalg.norm(matrix)
    assert csr.nnz == 2 * matrix.size  # what was given is left as it was


def test_nested_and_quantized_tensors_are_refused():
    nested = torch.nested.nested_tensor([torch.ones(3), torch.ones(3)])
    with pytest.raises(
        Refused, match="matrix: layout is nested, expected a plain or sparse tensor"
    ):
        convlin.recognize(nested, (1, 3))
    quantized = torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.quint8)
    with pytest.raises(Refused, match="matrix: dtype is torch.quint8, expected .* dequantize"):
        convlin.recognize(quantized, (1, 3))


def test_eight_bits_are_read_as_what_they_are():
    matrix = torch.diag(torch.tensor([1.5] * 4)).to(torch.float8_e4m3fn)
    found = convlin.recognize(matrix, (1, 4))
    assert (found.weight.dtype, found.weight.item()) == (torch.float8_e4m3fn, 1.5)


WHOLE = [np.int64, np.uint8, bool, torch.int32, torch.bool]


@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_whole_numbers_become_a_layer_that_computes(dtype):
    numbers = np.array([[1, 0, 1, 0], [0, 1, 0, 1]])
    if isinstance(dtype, torch.dtype):
        matrix = torch.from_numpy(numbers).to(dtype)
    else:
        matrix = numbers.astype(dtype)
    layer = convlin.recognize(matrix, (1, 4), (1, 2)).to_conv()
    assert layer.weight.dtype == torch.get_default_dtype()
    assert layer.weight.tolist() == [[[1, 1]]]
    assert layer.dilation == (2,)
    x = torch.tensor([[3.0, 5, 7, 11]])
    assert layer(x).tolist() == [[10, 16]]
    assert convlin.nearest_conv(matrix, layer, 4).to_conv().weight.dtype == torch.float64


def test_whole_numbers_that_the_dtype_has_not_are_refused():
    large = 2**24 + 1
    found = convlin.recognize(np.diag([large] * 4), (1, 4))
    with pytest.raises(Refused) as caught:
        found.to_conv()
    assert str(caught.value) == (
        f"Conv1d: weight is whole numbers up to {large}, expected numbers that torch.float32 holds "
        "(or a matrix of a floating-point dtype)"
    )
    assert convlin.recognize(np.diag([large - 1] * 4), (1, 4)).to_conv().weight.item() == 2**24


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_the_matrix_of_a_layer_goes_back_to_its_dtype(dtype):
    layer = nn.Conv1d(2, 3, 3, dtype=dtype)
    A = convlin.unroll(layer, 7)
    found = convlin.recognize(A, (2, 7))
    assert torch.equal(found.weight, layer.weight)
    assert found.weight.dtype == dtype
    nearest = convlin.nearest_conv(A, layer, 7)
    assert nearest.weight.dtype == dtype
    off = (nearest.weight.double() - layer.weight.double()).abs()  # means of equal numbers
    assert (off <= gamma(8, dtype) * layer.weight.double().abs()).all()


def test_the_matrix_of_an_array_goes_back_to_an_array():
    weight = np.arange(1.0, 7).reshape(1, 2, 3).astype(np.float16)
    A = ConvMatrix(ConvGeometry(2, 1, (3,)), weight, 7)
    found = convlin.recognize(A, (2, 7))
    assert found.weight.dtype == np.float16
    assert np.array_equal(found.weight, weight)


def test_answers_print_in_a_line_and_are_themselves():
    matrix = convlin.unroll(nn.Conv2d(4, 6, 5, padding=2, bias=False), (9, 8)).toarray()
    first, second = (convlin.recognize(matrix, (4, 9, 8)) for _ in range(2))
    assert repr(first) == f"<RecognizedConv: {first}>"
    near = [convlin.nearest_conv(matrix, first.geometry, (9, 8)) for _ in range(2)]
    assert repr(near[0]) == f"<NearestLayer: {near[0]}>"
    entries = [first.matrix().entry_weights() for _ in range(2)]
    assert repr(entries[0]) == "<EntryWeights: 31,824 weights in 31,824 entries>"
    for one, other in ((first, second), near, entries):
        assert "\n" not in repr(one)
        assert one == one
        assert one != other
        assert len({one, other}) == 2


RESHAPE = (
    "expected numbers in rows and columns "
    "(reshape to (outputs, inputs) what a Jacobian has as (out, *size, in, *size))"
)
NO_MATRIX = {
    "jacobian": (
        np.zeros((2, 4, 3, 1, 6, 5)),
        f"matrix: shape is float64 of shape (2, 4, 3, 1, 6, 5), {RESHAPE}",
    ),
    "jacobian-of-torch": (
        torch.zeros(2, 4, 1, 6),
        f"matrix: shape is float32 of shape (2, 4, 1, 6), {RESHAPE}",
    ),
    "sparse-batch": (
        torch.ones(2, 3, 4).to_sparse_csr(),
        f"matrix: shape is torch.float32 of shape (2, 3, 4), {RESHAPE}",
    ),
    "vector": (
        np.ones(5),
        "matrix: shape is float64 of shape (5,), expected numbers in rows and columns",
    ),
    "no-outputs": (
        np.zeros((0, 12)),
        "matrix: shape is (0, 12), expected at least one output and one input",
    ),
    "no-inputs": (
        sp.csr_array((3, 0)),
        "matrix: shape is (3, 0), expected at least one output and one input",
    ),
    "operator": (
        sp.linalg.aslinearoperator(np.eye(12)),
        "matrix: type is MatrixLinearOperator, expected a matrix that exists "
        "(A.tocsr() or A @ np.eye(A.shape[1]) builds one)",
    ),
}


@pytest.mark.parametrize("matrix, words", NO_MATRIX.values(), ids=NO_MATRIX)
def test_what_is_no_matrix_is_refused_with_what_to_do(matrix, words):
    for ask in (
        lambda: convlin.recognize(matrix, (3, 4)),
        lambda: convlin.nearest_conv(matrix, ConvGeometry(1, 1, (3,)), 12),
    ):
        with pytest.raises(Refused) as caught:
            ask()
        assert str(caught.value) == words


def test_the_operator_of_a_convolution_is_a_matrix():
    layer = fill(conv(2, 2, 3, (3, 2), bias=False))
    A = convlin.unroll(layer, (5, 6))
    assert torch.equal(convlin.recognize(A, (2, 5, 6)).weight, layer.weight)
    assert convlin.nearest_conv(A, layer, (5, 6)).distance == 0


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))]
)
def test_answers_are_copied_and_pickled(again):
    layer = fill(nn.Conv2d(2, 3, (3, 2), dtype=torch.float64))
    linear = convlin.to_linear(layer, (4, 5), exchange="dense_at_size").linear
    x = torch.ones(1, 2, 4, 5, dtype=torch.float64)
    found, near = convlin.recognize(linear, (2, 4, 5)), convlin.nearest_conv(linear, layer, (4, 5))
    for answer, names in (
        (found, ("free", "identified", "output_size", "candidates")),
        (near, ("distance", "energy", "unique")),
    ):
        other = again(answer)
        assert type(other) is type(answer) and str(other) == str(answer)
        assert torch.equal(other.to_conv()(x), answer.to_conv()(x))
        assert torch.equal(other.bias, layer.bias)
        for name in ("geometry", "input_size", *names):
            assert getattr(other, name) == getattr(answer, name), name
    assert [len(free) for free in (*found.unidentified, *near.free)] == [0, 0, 0, 0]
    assert near._repr_html_() == near.on_arrays._repr_html_()
