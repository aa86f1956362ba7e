"""The arithmetic of rows against PyTorch: numbered rows, padded and unfolded by itself."""

import itertools

import pytest
import torch
from torch.nn import functional

from convlin.models.bands.row_flow import Neighbours

CASES = [
    Neighbours(k, s, d, before, after, ceil, mode)
    for k, s, d, before, after, ceil, mode in itertools.product(
        (1, 2, 3), (1, 2, 3, 5), (1, 2), (0, 1, 3), (0, 2), (False,), ("constant", "reflect", "replicate")
    )
] + [
    Neighbours(k, s, d, p, p, True)
    for k, s, d in itertools.product((1, 2, 3), (1, 2, 3), (1, 2))
    for p in range(k // 2 + 1)
] + [Neighbours(1, s, 1, -start, -tail) for s in (1, 2, 3) for start in (0, 1, 4) for tail in (0, 2)]  # fmt: skip


def read_rows(flow, size):
    """Return the set of rows that every output reads; None if PyTorch makes none."""
    rows = torch.arange(1.0, size + 1).reshape(1, 1, size)  # 0 is padding
    try:
        mode = {"constant": "constant"}.get(flow.mode, flow.mode)
        padded = functional.pad(rows, (flow.before, flow.after), mode)[0, 0]
    except RuntimeError:
        return None
    extent = flow.dilation * (flow.kernel - 1) + 1
    if flow.ceil:
        try:
            count = functional.max_pool1d(
                rows, flow.kernel, flow.stride, flow.before, flow.dilation, True
            ).shape[2]
        except RuntimeError:
            return None
        padded = torch.cat([padded, torch.zeros(extent + flow.stride)])
        windows = padded.unfold(0, extent, flow.stride)[:count]
    elif len(padded) < extent:
        return None
    else:
        windows = padded.unfold(0, extent, flow.stride)
    return [{int(n) - 1 for n in w[:: flow.dilation] if n > 0} for w in windows]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_final_rows_are_those_that_read_nothing_to_come(size):
    seen = 0
    for flow in CASES:
        rows = read_rows(flow, size)
        if rows is None:
            continue
        seen += 1
        assert flow.size(size) == len(rows), flow
        assert flow.final(size, size) == len(rows)
        below = 0
        for come in range(size):
            final = flow.final(come, size)
            ready = [
                output
                for output in range(len(rows))
                if all(row < come for row in set().union(*rows[: output + 1]))
            ]
            assert below <= final <= len(ready), (flow, come)
            below = final
            # the last tap of an output that is ready, but not yet final, is padding at the bottom,
            # or it waits for the first row, as all do
            for output in range(final, len(ready)):
                last = output * flow.stride - flow.before + flow.dilation * (flow.kernel - 1)
                assert last >= come or come <= flow.before, (flow, come, output)
    assert seen > 20


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_kept_rows_are_those_that_later_outputs_read(size):
    for flow in CASES:
        rows = read_rows(flow, size)
        if rows is None:
            continue
        for done in range(len(rows) + 1):
            later = set().union(*rows[done:])
            first = flow.first_kept(done, size)
            assert first <= min(later, default=size), (flow, done)
            if flow.mode == "constant" and flow.after == 0:
                # not one row too many, but those in front of a first tap that is padding
                start = done * flow.stride - flow.before
                assert first == min(later, default=size) or start < 0 or not later


def test_aligned_bands_keep_extent_minus_stride_rows_and_skip_the_rest():
    for k, s, d in itertools.product((1, 2, 3, 5), (1, 2, 3), (1, 2)):
        flow = Neighbours(k, s, d)
        extent = d * (k - 1) + 1
        come = extent + 7 * s  # where an output has just become final
        first = flow.first_kept(flow.final(come, 1000), 1000)
        assert come - first == extent - s  # negative: rows that are never read


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_sources_of_padding_are_pytorchs(mode):
    flow = Neighbours(before=3, after=2, mode=mode)
    rows = torch.arange(7.0).reshape(1, 1, 7)
    wanted = functional.pad(rows, (3, 2), mode).flatten().int().tolist()
    assert [flow.source(row, 7) for row in range(-3, 9)] == wanted
