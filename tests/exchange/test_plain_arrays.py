"""The weight maps on plain arrays, numpy and torch, against index-by-index twins."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlin import ConvGeometry, Refused
from convlin.exchange import block_diagonal, flatten_order
from convlin.exchange import kernel_matrix as matrices
from convlin.exchange.dense_at_size import DenseAtSize, first_difference
from geometry_strategies import integers

SHAPE = (7, 3, 2, 5)
STORED = {  # how the axes lie in memory, slowest first
    "contiguous": ((0, 1, 2, 3), (0, 1, 2)),
    "channels-last": ((0, 2, 3, 1), (1, 2, 0)),
    "transposed-kernel": ((0, 1, 3, 2), (0, 2, 1)),
    "outputs-last": ((1, 2, 3, 0), (0, 1, 2)),
}


def stored(memory, kind):
    array = np.arange(np.prod(SHAPE)).reshape([SHAPE[axis] for axis in memory])
    view = array.transpose(np.argsort(memory))
    return view if kind == "numpy" else torch.from_numpy(array).permute(*np.argsort(memory))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("memory, order", STORED.values(), ids=STORED)
def test_rows_are_a_view_in_the_order_of_memory_and_come_back(memory, order, kind):
    weight = stored(memory, kind)
    assert matrices.column_order(weight) == order
    rows = matrices.kernel_matrix(weight, order)
    assert rows.shape == (7, 30)
    for o, *index in itertools.product(*map(range, SHAPE)):
        sizes, at = [SHAPE[1:][axis] for axis in order], [index[axis] for axis in order]
        assert rows[o, int(np.ravel_multi_index(at, sizes))] == weight[o, *index]
    kernel = matrices.to_kernel(rows, SHAPE, order)
    assert np.array_equal(kernel, weight)
    rows[6, 4] = -1
    assert -1 in weight
    assert -1 in kernel


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_no_order_where_memory_has_gaps(kind):
    big = stored((0, 1, 2, 3), kind)
    assert matrices.column_order(big[:, :, :, ::2]) is None
    assert matrices.column_order(big[:, :, 1:]) is None
    assert matrices.column_order(big[::2, 1:]) == (0, 1, 2)


def test_axes_of_size_one_are_nobodys_business():
    one = np.zeros((5, 1, 1, 4)).transpose(0, 3, 1, 2)  # a channels_last 1x1 kernel
    assert matrices.column_order(one) == (0, 1, 2)
    assert matrices.column_order(torch.zeros(6, 4, 1, 3).transpose(1, 3)) == (1, 2, 0)
    assert matrices.column_order(torch.zeros(6, 4, 1).expand(6, 4, 3)) is None


def test_groups_are_rows_of_their_own():
    weight = stored((0, 1, 2, 3), "numpy")[:6]
    assert np.array_equal(matrices.kernel_matrix(weight, (0, 1, 2), 3), weight.reshape(3, 2, 30))
    back = matrices.to_kernel(matrices.kernel_matrix(weight, (1, 2, 0), 3), weight.shape, (1, 2, 0))
    assert np.array_equal(back, weight)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_blocks_hold_the_groups_and_nothing_else(kind):
    rows = integers(3, 2, 5, seed=1)
    rows = rows.numpy() if kind == "numpy" else rows
    blocks = block_diagonal.to_blocks(rows)
    assert type(blocks) is type(rows)
    assert blocks.shape == (6, 15)
    for o, k in itertools.product(range(6), range(15)):
        inside = o // 2 == k // 5
        assert blocks[o, k] == (rows[o // 2, o % 2, k % 5] if inside else 0)
    assert block_diagonal.leaks(blocks, 3) == ()
    assert np.array_equal(block_diagonal.to_rows(blocks, 3), rows)


def test_leaks_name_each_block_its_first_weight_and_value():
    blocks = block_diagonal.to_blocks(np.ones((3, 2, 4)))
    blocks[1, 5], blocks[1, 7], blocks[5, 0] = 0.5, 2, np.nan
    assert [str(leak) for leak in block_diagonal.leaks(blocks, 3)] == [
        "linear: weight[1, 5] is 0.5, expected 0 (off the blocks: output group 0 would read input group 1)",
        "linear: weight[5, 0] is nan, expected 0 (off the blocks: output group 2 would read input group 0)",
    ]


def test_bias_is_repeated_at_every_position_of_its_channel():
    exchange = DenseAtSize(ConvGeometry(1, 2, kernel=(2,)), (4,))
    assert exchange.bias(np.array([3, 5])).tolist() == [3, 3, 3, 5, 5, 5]


def test_first_difference_in_c_order_where_nan_is_nan():
    one = np.array([[1, np.nan, 3], [4, 5, 6]])
    other = one.copy()
    assert first_difference(one, other) is None
    other[1, 2], other[1, 0] = 0, np.nan
    assert first_difference(one, other) == (1, 0)
    assert first_difference(torch.tensor([1.0]), torch.tensor([-1.0])) == (0,)


@given(st.permutations("CDHW"))
def test_letters_are_the_order_in_which_the_vector_runs(letters):
    size = {"C": 3, "D": 2, "H": 5, "W": 4}
    order = flatten_order.element_order("".join(letters), tuple(size.values()))
    numbers = iter(order.tolist())
    for index in itertools.product(*(range(size[letter]) for letter in letters)):
        at = dict(zip(letters, index, strict=True))
        expected = ((at["C"] * 2 + at["D"]) * 5 + at["H"]) * 4 + at["W"]
        assert next(numbers) == expected
    assert flatten_order.axes_of(order, (3, 2, 5, 4)) == tuple("CDHW".index(x) for x in letters)


def test_an_array_that_is_no_order_of_axes():
    order = np.roll(np.arange(30), 1)
    assert np.array_equal(flatten_order.element_order(order, (3, 2, 5)), order)
    assert flatten_order.axes_of(order, (3, 2, 5)) is None


BAD_ORDERS = {
    "letters": ("CHX", "to_conv: order is 'CHX', expected a permutation of 'CHW' (feature_size = (3, 2, 5))"),
    "letters-of-another-rank": ("CL", "to_conv: order is 'CL', expected a permutation of 'CHW' (feature_size = (3, 2, 5))"),
    "twice": ([0, *range(29)], "to_conv: order is int64 array of shape (30,) that repeats 0, expected 'CHW' permuted, or whole numbers 0 … 29, each once"),
    "too-few": ([1, 0], "to_conv: order is int64 array of shape (2,), expected 'CHW' permuted, or whole numbers 0 … 29, each once"),
    "floats": (np.arange(30.0), "to_conv: order is float64 array of shape (30,), expected 'CHW' permuted, or whole numbers 0 … 29, each once"),
}  # fmt: skip


@pytest.mark.parametrize("order, words", BAD_ORDERS.values(), ids=BAD_ORDERS)
def test_orders_that_are_none_are_named(order, words):
    with pytest.raises(Refused) as caught:
        flatten_order.element_order(order, (3, 2, 5))
    assert str(caught.value) == words
