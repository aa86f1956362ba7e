"""The built matrix: canonical CSR, COO by taps, and the same as tensors with gradients."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlin import ConvGeometry, ConvMatrix, Refused, unroll
from geometry_strategies import convolutions, integers
from matrix.torch_oracle import EVERY_ID, EVERY_KIND, by_torch, integer_matrix, probed

ANY = st.one_of(convolutions(max_kernel=3), convolutions(transposed=True, max_kernel=3))
ZEROS = st.one_of(
    convolutions(modes=("zeros",), max_kernel=3), convolutions(transposed=True, max_kernel=3)
)
every_kind = pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)


@settings(max_examples=50)
@given(ANY)
def test_csr_is_canonical(case):
    layer, size = case
    A = unroll(layer, size).tocsr()
    assert A.indptr[0] == 0 and A.indptr[-1] == len(A.indices) == len(A.data)
    for start, stop in itertools.pairwise(A.indptr):
        assert (np.diff(A.indices[start:stop]) > 0).all()  # sorted, and none twice
    assert A.has_sorted_indices and A.has_canonical_format


@settings(max_examples=50)
@given(ZEROS)
def test_with_zero_padding_stored_entries_are_the_true_multiplications(case):
    layer, size = case
    A = unroll(layer, size)
    assert A.nnz == A.tocsr().nnz == A.tocoo().nnz == A.geometry.connections(size)


@settings(max_examples=50)
@given(ANY)
def test_coo_has_one_entry_for_every_output_input_and_tap(case):
    """Against a loop over all of them, by `ConvGeometry.source`, with a number for each weight."""
    layer, size = case
    g = ConvGeometry.of(layer)
    kernel = np.arange(np.prod(g.weight_shape)).reshape(g.weight_shape)
    out = g.output_size(size)
    to, of = g.out_channels // g.groups, g.in_channels // g.groups
    expected = []
    for o, c in itertools.product(range(g.out_channels), range(of)):
        channel = o // to * of + c
        first, second = (channel, o % to) if g.transposed else (o, c)
        for cell, tap in itertools.product(np.ndindex(*out), np.ndindex(*g.kernel)):
            pixel = [g.source(dim, size[dim], cell[dim], tap[dim]) for dim in range(g.ndim)]
            if None not in pixel:
                row = np.ravel_multi_index((o, *cell), (g.out_channels, *out))
                column = np.ravel_multi_index((channel, *pixel), (g.in_channels, *size))
                expected.append((row, column, kernel[(first, second, *tap)]))
    coo = ConvMatrix(g, kernel, size).tocoo()
    assert sorted(zip(coo.row, coo.col, coo.data, strict=True)) == sorted(expected)
    assert (np.diff(coo.row) >= 0).all()


@every_kind
def test_taps_of_weight_zero_are_entries(op):
    for weight in (op.weight * 0, op.weight * (op.weight > 0)):
        B = op.with_kernel(weight)
        assert B.tocsr().nnz == op.nnz == B.nnz
        assert B.tocoo().nnz == op.tocoo().nnz
        assert np.array_equal(B.tocsr().toarray(), probed(op.geometry, weight, op.input_size))


@every_kind
def test_gradients_reach_the_weight_through_every_layout(op):
    """Σ C·A(w) for a fixed C: its gradient is that of PyTorch's own matrix."""
    C = integers(*op.shape, seed=5)
    judged = op.weight.clone().requires_grad_()
    units = torch.eye(op.shape[1], dtype=torch.float64).reshape(-1, *op.input_shape)
    (by_torch(op.geometry, judged, units).flatten(1).T * C).sum().backward()
    for layout in (torch.sparse_csr, torch.sparse_coo, torch.strided):
        weight = op.weight.clone().requires_grad_()
        matrix = op.with_kernel(weight).to_torch(layout)
        assert matrix.layout == layout and matrix.dtype == weight.dtype
        (matrix @ torch.eye(op.shape[1], dtype=torch.float64)).mul(C).sum().backward()
        assert torch.equal(weight.grad, judged.grad)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bfloat16, torch.complex64])
def test_tensors_have_the_weights_dtype(dtype):
    for A in EVERY_KIND:
        B = A.with_kernel(A.weight.to(dtype))
        expected = probed(A.geometry, A.weight, A.input_size).to(dtype)
        for layout in ("sparse_csr", "sparse_coo", "strided"):
            matrix = B.to_torch(layout)
            assert matrix.dtype == dtype and torch.equal(matrix.to_dense(), expected)


def test_bfloat16_widens_where_numpy_lacks_it():
    A = integer_matrix(2, 3, size=(5,), kernel=(3,), dtype=torch.bfloat16)
    assert A.tocsr().dtype == A.toarray().dtype == A.dtype == np.float32
    assert np.array_equal(A.toarray(), probed(A.geometry, A.weight, (5,)))


def test_another_layout_is_refused():
    with pytest.raises(
        Refused, match=r"^to_torch: layout is 'bsr', expected sparse_csr, sparse_coo, st"
    ):
        EVERY_KIND[0].to_torch("bsr")


@pytest.mark.parametrize(
    "name, layout", [("csr", "sparse_csr"), ("coo", "sparse_coo"), ("dense", "strided")]
)
def test_layouts_have_short_names(name, layout):
    A = integer_matrix(2, 3, size=(5,), kernel=(3,))
    assert A.to_torch(name).layout == getattr(torch, layout)


def test_outputs_that_read_only_padding_have_empty_rows():
    A = integer_matrix(1, 2, size=(1,), kernel=(2,), padding=5, dilation=10)
    assert (A.shape, A.nnz, A.tocoo().nnz) == ((2, 1), 0, 0)
    assert A.tocsr().toarray().tolist() == A.toarray().tolist() == [[0], [0]]
    assert A.to_torch().to_dense().tolist() == (A @ np.ones((1, 1))).tolist() == [[0], [0]]
    B = integer_matrix(2, 3, size=(3,), kernel=(2,), padding=4, seed=1)
    assert np.diff(B.tocsr().indptr[:11]).tolist() == [0, 0, 0, 2, 4, 4, 2, 0, 0, 0]
    assert np.array_equal(B.tocsr().toarray(), probed(B.geometry, B.weight, (3,)))
