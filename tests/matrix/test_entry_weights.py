"""Which weights each entry holds, and a new kernel in the same places."""

import numpy as np
import pytest
import torch

from geometry_strategies import integers
from matrix.torch_oracle import EVERY_ID, EVERY_KIND, integer_matrix, probed

every_kind = pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)


@every_kind
def test_entry_weights_rebuild_the_values_for_a_new_kernel(op):
    held, csr = op.entry_weights(), op.tocsr()
    assert len(held.starts) == op.nnz + 1 and held.starts[-1] == len(held.index)
    assert len(held.index) == len(held.taps) == op.tocoo().nnz
    assert (np.diff(held.starts) > 0).all()
    weight = integers(*op.geometry.weight_shape, seed=7)
    csr.data[:] = np.add.reduceat(weight.numpy().ravel()[held.index], held.starts[:-1])
    assert np.array_equal(csr.toarray(), probed(op.geometry, weight, op.input_size))


@every_kind
def test_every_weight_stands_where_it_alone_is_seen(op):
    """One weight 1 and the others 0: the entries that are not 0 are those that list it."""
    held, size = op.entry_weights(), op.weight.numel()
    entry = np.repeat(np.arange(op.nnz), np.diff(held.starts))
    csr = op.tocsr()
    rows = np.repeat(np.arange(op.shape[0]), np.diff(csr.indptr))
    for place in range(0, size, 5):
        weight = torch.zeros(size, dtype=torch.float64)
        weight[place] = 1
        expected = probed(op.geometry, weight.reshape(op.geometry.weight_shape), op.input_size)
        own = np.zeros(op.shape)
        mine = entry[held.index == place]
        np.add.at(own, (rows[mine], csr.indices[mine]), 1)
        assert np.array_equal(own, expected)


@every_kind
def test_taps_are_the_kernel_positions_of_the_weights(op):
    held = op.entry_weights()
    *_, taps = np.unravel_index(held.index, (*op.geometry.weight_shape[:2], op.geometry.taps))
    assert np.array_equal(held.taps, taps)


@every_kind
def test_values_are_linear_in_the_kernel(op):
    a, b = (integers(*op.geometry.weight_shape, seed=seed) for seed in (1, 2))
    both = op.with_kernel(3 * a - 2 * b).tocsr().data
    assert np.array_equal(
        both, 3 * op.with_kernel(a).tocsr().data - 2 * op.with_kernel(b).tocsr().data
    )


@every_kind
def test_another_kernel_shares_the_index_arrays_and_is_what_a_fresh_one_would_be(op):
    weight = integers(*op.geometry.weight_shape, seed=8)
    before = op.tocsr()
    for kernel in (weight, weight.numpy(), weight.to(torch.int64), weight.numpy().astype(np.int16)):
        B = op.with_kernel(kernel)
        own, fresh = B.tocsr(), type(op)(op.geometry, kernel, op.input_size).tocsr()
        for name in ("indices", "indptr"):
            shared, again = getattr(own, name), getattr(before, name)
            assert np.shares_memory(shared, again) and not shared.flags.writeable
            assert np.array_equal(shared, getattr(fresh, name))
            assert shared.dtype == getattr(fresh, name).dtype == np.int32
        assert own.data.dtype == fresh.data.dtype and np.array_equal(own.data, fresh.data)
        assert not np.shares_memory(own.data, before.data)
        assert np.array_equal(own.toarray(), probed(op.geometry, weight, op.input_size))


def test_order_of_building_makes_no_difference():
    """Whichever of the siblings is built first, index arrays are made once."""
    A = integer_matrix(2, 3, size=(4, 5), kernel=(2, 3))
    B = A.with_kernel(A.weight * 2)
    later, first = B.tocsr(), A.tocsr()
    assert np.shares_memory(first.indices, later.indices)
    assert np.shares_memory(first.indptr, A.tocsr().indptr)


def test_overlapping_taps_are_listed_together():
    geometry_fields = {"kernel": (5,), "padding": 4, "padding_mode": "circular"}
    A = integer_matrix(1, 1, size=(4,), **geometry_fields)
    held = A.entry_weights()
    lists = [held.index[a:b].tolist() for a, b in zip(held.starts, held.starts[1:], strict=False)]
    assert [sorted(each) for each in lists[:4]] == [[0, 4], [1], [2], [3]]
