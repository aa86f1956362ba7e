"""How large a matrix may be: int32 or int64, the limit, the peak of memory, the number of steps."""

import tracemalloc

import numpy as np
import pytest
import torch

from convlin import ConvGeometry, ConvMatrix, Refused, unroll
from convlin.matrix import Entries
from convlin.matrix.entries import index_bytes
from convlin.matrix.entry_layout import EntryLayout
from geometry_strategies import conv, integers
from matrix.torch_oracle import EVERY_ID, EVERY_KIND, probed

every_kind = pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)


@pytest.mark.parametrize(
    "channels, size, count, dtype",
    [
        ((64, 64), (56, 56), 4096 * 166**2, np.int32),
        ((64, 64), (242, 242), 4096 * 724**2, np.int32),  # the last square below 2³¹ …
        ((64, 64), (242, 243), 4096 * 724 * 727, np.int64),  # … and the first map above it
        ((1, 1), (20_000, 20_000), 59_998**2, np.int64),
    ],
    ids=["56x56", "242x242", "242x243", "one-channel"],
)
def test_indices_are_int32_while_they_fit(channels, size, count, dtype):
    entries = Entries(ConvGeometry(*channels, kernel=(3, 3), padding=1), size)
    assert entries.by_position.count == entries.by_tap.count == count
    assert (count < 2**31) == (dtype == np.int32)
    assert entries.by_position.index_dtype == entries.by_tap.index_dtype == dtype


def test_columns_alone_can_ask_for_int64():
    entries = Entries(ConvGeometry(1, 1, kernel=(1, 1), stride=(9, 9)), (50_000, 50_000))
    assert entries.by_position.count < 2**31 - 1 < entries.columns
    assert entries.by_position.index_dtype == np.int64


def test_entries_before_merging_are_counted_by_themselves():
    """A circular kernel twice as long as the map: half as many positions as (output, tap) pairs."""
    geometry = ConvGeometry(
        14, 13, kernel=(64, 64), padding=((31, 32),) * 2, padding_mode="circular"
    )
    entries = Entries(geometry, (32, 97))
    one, each = entries.by_position, entries.by_tap
    assert each.count == 2 * one.count
    assert one.count < 2**31 - 1 < each.count
    assert (one.index_dtype, each.index_dtype) == (np.int32, np.int64)


def test_int64_indices_say_the_same(monkeypatch):
    monkeypatch.setattr(EntryLayout, "index_dtype", np.dtype(np.int64))
    for A in EVERY_KIND:
        B = ConvMatrix(A.geometry, A.weight, A.input_size)
        expected = probed(A.geometry, A.weight, A.input_size)
        layout = B._entries.by_position
        assert layout.column_indices.dtype == layout.row_pointers.dtype == np.int64
        assert np.array_equal(B.tocsr().toarray(), expected)
        assert np.array_equal(B.tocoo().toarray(), expected)


LIMITED = {
    "CSR": lambda op: op.tocsr(),
    "COO": lambda op: op.tocoo(),
    "dense array": lambda op: op.toarray(),
    "sparse_csr tensor": lambda op: op.to_torch(),
    "sparse_coo tensor": lambda op: op.to_torch("sparse_coo"),
    "strided tensor": lambda op: op.to_torch(torch.strided),
    "the list of weights": lambda op: op.entry_weights(),
}
# 120 rows, 60 columns, 2·6 · 4·2 · (5·3 - 1) = 1344 entries of float64, int32 and int64.
BYTES = {
    "CSR": 1344 * (8 + 4) + 121 * 4,
    "COO": 1344 * (8 + 4 + 4),
    "dense array": 120 * 60 * 8,
    "sparse_csr tensor": 1344 * (8 + 8),
    "sparse_coo tensor": 1344 * (8 + 8 + 8),
    "strided tensor": 120 * 60 * 8,
    "the list of weights": 1344 * 3 * 4,
}


@pytest.mark.parametrize("what", LIMITED)
def test_what_takes_more_than_the_limit_is_refused_with_its_bytes(what):
    geometry = ConvGeometry(2, 6, kernel=(2, 3), padding=((0, 0), (1, 0)))
    weight, needed = integers(*geometry.weight_shape), BYTES[what]
    LIMITED[what](ConvMatrix(geometry, weight, (5, 6), memory_limit=needed))
    with pytest.raises(Refused) as refused:
        LIMITED[what](ConvMatrix(geometry, weight, (5, 6), memory_limit=needed - 1))
    assert str(refused.value) == (
        f"Conv2d: memory_limit is {needed - 1}, expected ≥ {needed} bytes (the 120×60 matrix as {what} "
        "takes that; products with the ConvMatrix itself need none of it)"
    )


def test_the_limit_is_passed_on():
    A = unroll(conv(1, 2, 3, 2), 9, memory_limit=10)
    for B in (A, A.with_kernel(A.weight)):
        with pytest.raises(Refused, match="memory_limit is 10, expected ≥ "):
            B.tocsr()


@pytest.mark.parametrize("fresh", [True, False], ids=["unroll", "with_kernel"])
def test_building_takes_little_more_memory_than_the_matrix(fresh):
    """Counted by tracemalloc, which sees every array: it does not wobble, unlike a process's RSS."""
    layer = conv(2, 16, 16, 3, padding=1, bias=False)
    A = unroll(layer, (64, 64))
    if not fresh:
        A.tocsr()
        A = A.with_kernel(layer.weight)
    tracemalloc.start()
    try:
        matrix = A.tocsr()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = matrix.data.nbytes
    if fresh:
        held += matrix.indices.nbytes + matrix.indptr.nbytes
        assert held == A.needed_bytes
    assert held <= peak < 1.1 * held


@every_kind
def test_building_takes_as_many_steps_on_a_large_map_as_on_a_small_one(op):
    """Each step fills one strided block, so nothing loops over pixels."""

    def steps(extra):
        entries = Entries(op.geometry, [n + extra for n in op.input_size])
        return [
            sum(1 for _ in layout.blocks(np.empty(layout.count)))
            for layout in (entries.by_position, entries.by_tap)
        ]

    # Far from the edges the pattern of strides repeats after lcm(1, 2, 3) pixels.
    assert steps(24) == steps(24 + 36) == steps(24 + 120)


INDEXED = [
    (ConvGeometry(1, 1, (5,), padding=2), 50_000),
    (ConvGeometry(1, 1, (5,), padding=2, padding_mode="reflect"), 50_000),
    (ConvGeometry(1, 1, (31,), stride=2), 40_000),
    (ConvGeometry(1, 1, (4,), stride=3, transposed=True), 20_000),
]


@pytest.mark.parametrize("geometry, n", INDEXED)
def test_the_list_of_what_outputs_read_takes_about_what_is_asked_for(geometry, n):
    tracemalloc.start()
    try:
        entries = Entries(geometry, (n,))
        assert entries.by_tap.count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.7 < peak / index_bytes(geometry, (n,)) < 1.3
