"""The entries' own corners: runs of like outputs, whose arrays are whose, and chunks of entries."""

import numpy as np
import pytest

from convlin import ConvGeometry
from convlin.matrix.entries import Axis, Entries
from convlin.matrix.taps import sources
from convlin.structure.fibres import Layout
from matrix.torch_oracle import EVERY_ID, EVERY_KIND


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
