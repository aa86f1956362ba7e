"""What NumPy and SciPy make of a `ConvMatrix`: the dense matrix, its norms, arrays to change."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import convlin
from convlin import ConvGeometry, ConvMatrix, Refused
from matrix.torch_oracle import EVERY_ID, EVERY_KIND, probed

every_kind = pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)


@every_kind
def test_numpy_sees_the_dense_matrix(op):
    expected = probed(op.geometry, op.weight, op.input_size)
    for array in (np.asarray(op), np.array(op), op.__array__()):
        assert np.array_equal(array, expected) and array.dtype == op.dtype
    assert np.array_equal(np.asarray(op.T), expected.T)
    assert np.array_equal(np.asarray(op.H), expected.conj().T)
    assert np.asarray(op, dtype=np.complex128).dtype == np.complex128


@every_kind
@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csr_array, sp.coo_array, sp.csc_array])
def test_scipy_makes_its_own_matrix_of_it(op, make):
    assert np.array_equal(make(op).toarray(), probed(op.geometry, op.weight, op.input_size))


@every_kind
def test_products_are_still_operators(op):
    x = np.arange(op.shape[1]) % 7 - 3.0
    y = np.arange(op.shape[0]) % 5 - 2.0
    matrix = np.asarray(probed(op.geometry, op.weight, op.input_size))
    assert np.array_equal(op @ x, matrix @ x)
    assert np.array_equal(y @ op, y @ matrix)


def test_it_is_not_made_beyond_the_limit_nor_without_a_copy():
    A = ConvMatrix(ConvGeometry(1, 1, (2,)), np.ones((1, 1, 2)), (5,), memory_limit=4 * 5 * 8)
    assert np.asarray(A).shape == (4, 5)
    with pytest.raises(ValueError, match="no array"):
        A.__array__(copy=False)
    small = ConvMatrix(A.geometry, A.weight, (5,), memory_limit=4 * 5 * 8 - 1)
    with pytest.raises(Refused, match="memory_limit is 159, expected ≥ 160 bytes"):
        np.asarray(small)


@every_kind
@pytest.mark.parametrize("order", [None, "fro", 1, np.inf], ids=str)
def test_norms_are_numpys(op, order):
    expected = np.linalg.norm(probed(op.geometry, op.weight, op.input_size), order)
    # Sums of squares of whole numbers are exact; the root rounds, and so may a scaled square.
    assert abs(op.norm(order) - expected) <= 8 * np.finfo(float).eps * expected
    by_scipy = sp.linalg.norm(op.tocsr(), "fro" if order is None else order)
    assert abs(by_scipy - expected) <= 8 * np.finfo(float).eps * expected


@pytest.mark.parametrize("scale", [1e-200, 1e200, 0.0])
def test_squares_of_weights_neither_overflow_nor_vanish(scale):
    A = ConvMatrix(ConvGeometry(1, 1, (2,)), np.array([[[3.0, 4.0]]]) * scale, (2,))
    assert A.norm() == pytest.approx(5 * scale, rel=1e-15, abs=0)


def test_complex_and_integer_weights_have_norms():
    assert ConvMatrix(ConvGeometry(1, 1, (1,)), np.array([[[3 + 4j]]]), (4,)).norm() == 10
    assert ConvMatrix(ConvGeometry(1, 1, (1,)), torch.tensor([[[-5]]]), (4,)).norm() == 10


def test_the_frobenius_norm_allocates_nothing_of_the_matrix():
    A = convlin.unroll(torch.nn.Conv2d(8, 8, 3, padding=1, bias=False), (200, 300))
    tracemalloc.start()
    try:
        norm = A.norm()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert norm > 0 and peak < A.needed_bytes / 1000


def test_other_norms_are_refused_with_the_way_to_the_largest_singular_value():
    A = ConvMatrix(ConvGeometry(1, 1, (2,)), np.ones((1, 1, 2)), (5,))
    for order in (2, "nuc", -1, True):
        with pytest.raises(
            Refused, match=r"norm: ord is .*, expected None, 'fro', 1 or inf \(the larg"
        ):
            A.norm(order)


@every_kind
def test_a_copy_has_index_arrays_to_change(op):
    zeros = op.with_kernel(np.where(np.asarray(op.weight) > 0, np.asarray(op.weight), 0))
    shared, own = zeros.tocsr(), zeros.tocsr(copy=True)
    expected = shared.toarray()
    own.eliminate_zeros()
    own.sum_duplicates()
    own.indices[:] = own.indices[::-1].copy()
    assert own.nnz == np.count_nonzero(expected)
    assert np.array_equal(zeros.tocsr().toarray(), expected)
    with pytest.raises(ValueError, match="read-only"):
        shared.indices[0] = 1


@pytest.mark.parametrize("size", [10**9, 10**12, 2**63, 10**30])
def test_an_input_too_large_to_list_is_refused_before_anything_is_made(size):
    layer = torch.nn.Conv1d(2, 3, 4, padding=1)
    for call in (convlin.unroll, convlin.singular_values):
        with pytest.raises(
            Refused, match=r"Conv1d: memory_limit is 2147483648, expected ≥ \d+ bytes"
        ):
            call(layer, size)
    assert convlin.cost(layer, 10**9).multiply_adds["conv"] == 6 * (4 * (10**9 - 1) - 2)


def test_a_weight_that_repeats_one_number_is_refused_by_its_strides():
    geometry = ConvGeometry(10**7, 10**8, (1,))
    for weight in (
        torch.ones(1).expand(10**8, 10**7, 1),
        np.broadcast_to(np.float32(1), (10**8, 10**7, 1)),
    ):
        with pytest.raises(
            Refused, match=r"weight.strides is \(0, 0, \d\), expected numbers in memory"
        ):
            ConvMatrix(geometry, weight, 3)


@pytest.mark.parametrize("shape", [(2, 3), (8, 12)])
def test_small_ones_may_repeat(shape):
    geometry = ConvGeometry(shape[1], shape[0], (1,))
    A = ConvMatrix(geometry, torch.ones(1).expand(*shape, 1), 3)
    assert A.norm() == pytest.approx(np.sqrt(shape[0] * shape[1] * 3), rel=1e-15)
