"""The entries' own corners: runs of like outputs, whose arrays are whose, and chunks of entries."""

import numpy as np
import pytest

from convlin import ConvGeometry
from convlin.matrix.entries import Entries
from convlin.matrix.runs import Axis
from convlin.matrix.taps import sources
from convlin.structure.fibres import Layout
from matrix.torch_oracle import EVERY_ID, EVERY_KIND


def read_by_runs(axis):
    """Return {where an output's entries start: [(taps, pixel), …]}, slowly, from the runs."""
    found = {}
    for run in axis.runs:
        taps = np.split(run.taps, run.heads[1:])
        for number, pixels in enumerate(run.pixels.tolist()):
            start = run.before + number * run.step
            assert start not in found
            found[start] = [(t.tolist(), p) for t, p in zip(taps, pixels, strict=True)]
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
    by_tap, by_position = {}, {}
    start, merged = 0, 0
    for row in table.tolist():
        pairs = sorted(((t, p) for t, p in enumerate(row) if p >= 0), key=lambda pair: pair[::-1])
        pixels = sorted({p for _, p in pairs})
        if pairs:
            by_tap[start] = [([t], p) for t, p in pairs]
            by_position[merged] = [([t for t, q in pairs if q == p], p) for p in pixels]
        start, merged = start + len(pairs), merged + len(pixels)
    assert read_by_runs(Axis.by_tap(table)) == by_tap
    assert read_by_runs(Axis.by_position(table)) == by_position


def test_outputs_of_one_signature_are_one_run():
    """However many: speed, and the blocks that are filled by one copy each, depend on it."""
    assert len(Axis.by_tap(sources(ConvGeometry(1, 1, kernel=(35,)), 0, 4096)).runs) == 1
    strided = ConvGeometry(1, 1, kernel=(4,), transposed=True, stride=2)
    apart = Axis.by_tap(sources(strided, 0, 500)).runs  # two kinds by turns inside, two at each end
    assert sorted(len(run.pixels) for run in apart) == [1, 1, 1, 1, 499, 499]


@pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)
def test_coordinates_are_the_callers_to_write_to(op):
    entries = Entries(op.geometry, op.input_size)
    layouts = entries.by_position, entries.by_tap
    shared = [layout.column_indices.copy() for layout in layouts]
    again = entries.coordinates()
    for array, other in zip(entries.coordinates(), again, strict=True):
        was = other.copy()
        array[...] = -1
        assert np.array_equal(other, was)
    for layout, columns in zip(layouts, shared, strict=True):
        assert np.array_equal(layout.column_indices, columns)
        assert not layout.column_indices.flags.writeable
        assert not layout.row_pointers.flags.writeable


@pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)
def test_what_is_read_along_each_dimension(op):
    """By a table of all pairs, or a sorted list where that is shorter."""
    matrix = op.tocsr()
    channels, supports = Layout(matrix, op.input_shape, op.output_shape).support()
    coo = matrix.tocoo()
    outputs = np.unravel_index(coo.row, op.output_shape)
    pixels = np.unravel_index(coo.col, op.input_shape)
    expected = [
        set(zip(o.tolist(), p.tolist(), strict=True)) for o, p in zip(outputs, pixels, strict=True)
    ]
    assert set(zip(*map(np.ndarray.tolist, np.nonzero(channels)), strict=True)) == expected[0]
    for support, pairs in zip(supports, expected[1:], strict=True):
        assert list(zip(support.output.tolist(), support.pixel.tolist(), strict=True)) == sorted(
            pairs
        )
