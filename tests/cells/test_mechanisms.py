"""One mechanism a net, in every dimension: shared behind it where it can be, and equal to crops."""

import pytest
import torch

from cells.lying_apart import lying_apart
from cells.planted_nets import BETWEEN, EITHER, ENDS, PLACES, SHARED, Net
from cells.slide_oracle import CLOSE, distinct_values, multiply_adds_of, off, row_of, shared, slid
from convlin import sliding_window

CASES = [(name, d) for name, planted in SHARED.items() for d in planted.dims]
RARER = [(name, d) for name, planted in EITHER.items() for d in planted.dims]
# coarse ones share little or nothing; three dimensions take long
STRIDES = {1: (1, 2, 3, 8), 2: (1, 2, 3, 8), 3: (2, 8)}
ANY_STRIDE = [(name, d, step) for name in BETWEEN for d in SHARED[name].dims for step in STRIDES[d]]
ENDING = [(name, d) for name, (planted, _) in ENDS.items() for d in planted.dims]


def ids(case):
    return "{}-{}d".format(*case)


def slide(planted, d, stride=None, size=None):
    """Return the net, its sliding window, images and its plan for them."""
    model = Net(planted, d)
    window = PLACES[d][0]
    stride, size = stride or PLACES[d][1], size or PLACES[d][2]
    windows = sliding_window(model, (2, *window), stride=stride, check=False)
    images = torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(d)).double()
    return model, windows, images, windows.plan(size, images=2)


def is_right(model, windows, images, plan):
    """See that the scores are the crops', and that what was planned is what was multiplied."""
    scores = []
    with torch.no_grad():
        assert multiply_adds_of(lambda: scores.append(windows(images))) == plan.multiply_adds
        exact = slid(model, images, windows.window[1:], windows.stride)
        assert off(scores[0], exact) < CLOSE
        with lying_apart():
            assert multiply_adds_of(lambda: scores.append(windows(images))) == plan.multiply_adds
        assert off(scores[1], exact) < CLOSE


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_windows_share_what_lies_behind(case):
    name, d = case
    model, windows, images, plan = slide(SHARED[name], d)
    row = shared(plan, "b")
    window, stride, _ = PLACES[d]
    cells, different = distinct_values(model, "b", images, window, stride)
    planned = torch.Size(row.cells).numel()
    assert different <= planned < cells
    assert planned * row.multiply_adds_windows == cells * row.multiply_adds
    if d == 1 and SHARED[name].minimal:
        assert planned == different
    is_right(model, windows, images, plan)


@pytest.mark.parametrize("case", ANY_STRIDE, ids=lambda case: "{}-{}d-{}".format(*case))
def test_cells_between_cells_are_right_at_any_stride(case):
    name, d, step = case
    size = tuple(n + step * (6 if d == 1 else 2) for n in PLACES[d][0])
    model, windows, images, plan = slide(SHARED[name], d, (step,) * d, size)
    if step <= 3:
        shared(plan, "b")
    assert all(row.multiply_adds <= row.multiply_adds_windows for row in plan.rows)
    is_right(model, windows, images, plan)


@pytest.mark.parametrize("case", ENDING, ids=ids)
def test_sharing_ends_where_a_layer_reads_the_whole_map(case):
    name, d = case
    planted, named = ENDS[name]
    model, windows, images, plan = slide(planted, d)
    shared(plan, "a")
    assert not row_of(plan, "b").share
    assert named in plan.ends
    is_right(model, windows, images, plan)


@pytest.mark.parametrize("case", RARER, ids=ids)
def test_rarer_mechanisms_are_right(case):
    name, d = case
    model, windows, images, plan = slide(EITHER[name], d)
    shared(plan, "a")
    is_right(model, windows, images, plan)
