"""The entries' own corners: runs of like outputs, whose arrays are whose, and chunks of entries."""

import numpy as np
import pytest

from convlin import ConvGeometry, recognize
from convlin.matrix.entries import Axis, Entries
from convlin.matrix.taps import sources
from convlin.structure import fibres
from matrix.torch_oracle import EVERY_ID, EVERY_KIND, integer_matrix


def read_by_runs(axis):
    """Return {where an output's taps start: [(tap, pixel), …]}, slowly, from the runs."""
    found = {}
    for run in axis.runs:
        for place, pixels in enumerate(run.pixels.tolist()):
            merged = run.before_merged + place * run.step_merged
            pairs = list(zip(run.taps.tolist(), pixels, strict=True))
            heads = [i for i, pixel in enumerate(pixels) if i == 0 or pixel != pixels[i - 1]]
            assert run.heads.tolist() == heads
            start = run.before + place * run.step
            assert start not in found
            found[start] = (merged, pairs)
    return found


LINES = {
    "many-taps": {"kernel": (35,), "padding": 17},
    "one-signature": {"kernel": (3,)},
    "alternating": {"kernel": (5,), "transposed": True, "stride": 3, "padding": 2},
    "all-differ": {"kernel": (9,), "padding": 8, "padding_mode": "circular"},
    "reflect": {"kernel": (9,), "padding": 4, "padding_mode": "reflect", "stride": 2},
    "some-read-nothing": {"kernel": (2,), "padding": ((7, 5),), "dilation": 2},
}


@pytest.mark.parametrize("case", LINES)
def test_runs_hold_what_each_output_reads(case):
    """Each output's taps once, in the order of pixels, then taps, where its rows are stored."""
    table = sources(ConvGeometry(1, 1, **LINES[case]), 0, 40 if case == "many-taps" else 9)
    expected, start, merged = {}, 0, 0
    for row in table.tolist():
        pairs = sorted(((t, p) for t, p in enumerate(row) if p >= 0), key=lambda pair: pair[::-1])
        if pairs:
            expected[start] = (merged, pairs)
        start, merged = start + len(pairs), merged + len({p for _, p in pairs})
    assert read_by_runs(Axis(table)) == expected


def test_outputs_of_one_signature_are_one_run():
    """However many: speed, and the blocks that are filled by one copy each, depend on it."""
    assert len(Axis(sources(ConvGeometry(1, 1, kernel=(35,)), 0, 4096)).runs) == 1
    strided = ConvGeometry(1, 1, kernel=(4,), transposed=True, stride=2)
    apart = Axis(sources(strided, 0, 500)).runs  # two kinds by turns inside, two at each end
    assert sorted(len(run.pixels) for run in apart) == [1, 1, 1, 1, 499, 499]


@pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)
def test_coordinates_are_the_callers_to_write_to(op):
    entries = Entries(op.geometry, op.input_size)
    shared, again = entries.column_indices.copy(), entries.coordinates()
    for array, other in zip(entries.coordinates(), again, strict=True):
        was = other.copy()
        array[...] = -1
        assert np.array_equal(other, was)
    assert np.array_equal(entries.column_indices, shared)
    assert not entries.column_indices.flags.writeable and not entries.row_pointers.flags.writeable


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 10**6])
@pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)
def test_entries_in_chunks_are_all_entries(op, chunk, monkeypatch):
    """Chunks end within rows, on their ends, and past rows without entries."""
    monkeypatch.setattr(fibres, "CHUNK", chunk)
    matrix = op.tocsr()
    layout = fibres.Layout(matrix, op.input_shape, op.output_shape)
    pieces = list(layout._chunks())
    assert all(len(rows) == len(columns) <= chunk for rows, columns in pieces)
    rows, columns = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    coo = matrix.tocoo()
    assert np.array_equal(rows, coo.row) and np.array_equal(columns, coo.col)


@pytest.mark.parametrize("table", [0, 1 << 26], ids=["sorted-keys", "table"])
def test_recognize_finds_the_same_in_chunks(table, monkeypatch):
    op = integer_matrix(2, 3, size=(9, 7), kernel=(3, 2), stride=(2, 1), padding=((1, 1), (0, 1)))
    found = recognize(op.tocsr(), (2, 9, 7), op.output_shape)
    monkeypatch.setattr(fibres, "CHUNK", 5)
    monkeypatch.setattr(fibres, "TABLE", table)
    again = recognize(op.tocsr(), (2, 9, 7), op.output_shape)
    assert str(again) == str(found)
    assert np.array_equal(np.asarray(again.weight), np.asarray(op.weight))
