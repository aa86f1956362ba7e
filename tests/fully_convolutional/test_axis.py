"""Where cells lie and which are broken, against PyTorch's own layers on real numbers in 1-D."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from convlin.models.dense.axis import Axis
from rounding import gamma

layers = st.lists(
    st.one_of(
        st.tuples(st.just("conv"), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)),
        st.tuples(st.just("pool"), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("take"), st.integers(0, 2), st.integers(0, 2), st.integers(1, 3), st.none()),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def fits(size, layer):
    """Whether PyTorch takes a layer on so many cells, and no window of it is empty."""
    kind, a, b, c, d = layer
    if kind == "take":
        return size > a + b
    if kind == "conv":
        return size + 2 * c >= d * (a - 1) + 1
    return 2 * c <= a and size + 2 * c >= a and b <= a


def follow(axis, x, layer, index):
    """Return the axis behind a layer by the rules, and the numbers behind it by PyTorch."""
    kind, a, b, c, d = layer
    if kind == "take":
        count = (axis.size - a - b - 1) // c + 1
        tail = axis.size - 1 - (a + (count - 1) * c)
        return axis.taken(a, count, c), x[..., a : x.shape[-1] - tail : c]
    if kind == "conv":
        taps = torch.linspace(1, 2 + index, a, dtype=torch.float64)[None, None]
        y = functional.conv1d(x, taps, None, b, c, d)
        return axis.windowed(a, b, (c, c), d, site=f"{index}"), y
    ones = {"kernel_size": a, "stride": b, "padding": c, "ceil_mode": d}
    y = functional.avg_pool1d(x, **ones, count_include_pad=False)
    return axis.windowed(a, b, (c, c), 1, d, site=f"{index}"), y


def through(chain, pixels, image):
    """Return the axis of a window of so many pixels, and the numbers of an image, behind a chain."""
    axis, numbers = Axis.image(pixels), image
    for index, layer in enumerate(chain):
        axis, numbers = follow(axis, numbers, layer, index)
    return axis, numbers


def unequal(chain, pixels, image, windows):
    """Return which cells differ between the image and some window of it, by PyTorch's numbers.

    All numbers are above 0: sums of at most 4·4 terms, and means of them, differ by rounding of
    their own size only, and whatever else is read, or left out, changes them.
    """
    axis, large = through(chain, pixels, image)
    cells = set()
    for window in windows:
        _, own = through(chain, pixels, image[..., window * axis.stride :][..., :pixels])
        there = large[..., window : window + axis.size]
        off = abs(own - there)[0, 0] > gamma(4 * 4 * len(chain)) * own[0, 0]
        cells |= set(off.nonzero().flatten().tolist())
    return axis, cells


def broken(axis):
    return {i for i, sites in enumerate(axis.broken) if sites}


def pixels_above_0(count):
    generator = torch.Generator().manual_seed(count)
    return 1 + torch.rand(1, 1, count, dtype=torch.float64, generator=generator)


REACH = 200
"""More pixels than any four of these layers read beside a window: 4·(1 + 3 + 9 + 27)."""


@settings(max_examples=300)
@given(layers, st.integers(4, 24), st.integers(0, 30))
def test_cells_are_broken_where_they_differ_and_nowhere_else(chain, pixels, more):
    size = pixels
    for index, layer in enumerate(chain):
        assume(fits(size, layer))
        size = follow(Axis.image(size), torch.ones(1, 1, size).double(), layer, index)[0].size
        assume(size >= 1)
    axis, large = through(chain, pixels, pixels_above_0(pixels + more))
    assert large.shape[-1] == axis.dense(pixels + more)
    assert axis.dense(pixels) == axis.size
    # Beside the image's own edges a window sees the same padding: there a broken cell may be equal.
    at_edges = range(more // axis.stride + 1)
    assert unequal(chain, pixels, pixels_above_0(pixels + more), at_edges)[1] <= broken(axis)
    inside = range(REACH // axis.stride + 1, REACH // axis.stride + 4)
    image = pixels_above_0(2 * REACH + pixels + 4 * axis.stride)
    assert unequal(chain, pixels, image, inside)[1] == broken(axis)


def test_what_breaks_a_cell_is_named():
    chain = [("conv", 3, 1, 1, 1), ("conv", 2, 2, 0, 1), ("pool", 3, 2, 0, True)]
    axis, differ = unequal(chain, 17, pixels_above_0(40), [2])
    assert axis.stride == 4
    assert differ == broken(axis) == {0, 3}
    assert axis.broken == (frozenset({"0"}), frozenset(), frozenset(), frozenset({"2"}))


def test_an_adaptive_pool_spreads_the_cells_behind_it():
    axis = Axis.image(12).windowed(3, 2).windowed(2, 1)  # 4 cells, stride 2
    pooled = axis.pooled(2)
    assert (pooled.size, pooled.stride, pooled.step) == (2, 2, 2)
    assert pooled.dense(12) == 3
    assert pooled.windowed(2, 3).stride == 2
    assert (pooled.windowed(1, 1).step, pooled.windowed(2, 1).step) == (2, 1)


def test_a_grid_can_be_thinned_out_to_a_multiple_of_its_stride_only():
    axis = Axis.image(9).windowed(2, 2)
    assert axis.coarsened(3) is None
    assert axis.coarsened(4) is None  # its 4 cells lie 2 pixels apart
    single = axis.windowed(4)
    assert single.coarsened(6).dense(9) == 1
    assert [single.coarsened(6).dense(n) for n in (13, 14)] == [1, 2]
