"""Where cells lie and which are broken, against PyTorch's own layers on real numbers in 1-D."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from convlin.backends.pytorch.fully_convolutional.axis import Axis

layers = st.lists(
    st.one_of(
        st.tuples(st.just("conv"), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)),
        st.tuples(st.just("pool"), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("take"), st.integers(0, 2), st.integers(0, 2), st.integers(1, 3), st.none()),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def follow(axis, x, layer, index, keep):
    """Return the axis behind a layer by the rules, and the numbers behind it by PyTorch."""
    kind, a, b, c, d = layer
    if kind == "take":
        count = (axis.size - a - b - 1) // c + 1 if axis.size > a + b else 0
        assume(count >= 1)
        tail = axis.size - 1 - (a + (count - 1) * c)
        keep = x[..., a : x.shape[-1] - tail : c]
        return axis.taken(a, count, c), keep
    if kind == "conv":
        taps = torch.linspace(1, 2 + index, a, dtype=torch.float64)[None, None]
        assume(axis.size + 2 * c >= d * (a - 1) + 1)
        y = functional.conv1d(x, taps, None, b, c, d)
        return axis.windowed(a, b, (c, c), d, site=f"{index}"), y
    assume(2 * c <= a and axis.size + 2 * c >= a)
    ones = {"kernel_size": a, "stride": b, "padding": c, "ceil_mode": d}
    assume(b <= a)  # a window that begins behind the map averages nothing
    y = functional.avg_pool1d(x, **ones, count_include_pad=False)
    return axis.windowed(a, b, (c, c), 1, d, site=f"{index}"), y


@settings(max_examples=300)
@given(layers, st.integers(4, 24), st.integers(0, 30))
def test_sizes_strides_and_broken_cells(chain, pixels, more):
    image = torch.randn(
        1, 1, pixels + more, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    axis, large = Axis.image(pixels), image
    for index, layer in enumerate(chain):
        axis, large = follow(axis, large, layer, index, None)
        assume(axis.size >= 1)
    assert large.shape[-1] == axis.dense(pixels + more)
    assert axis.dense(pixels) == axis.size
    windows = more // axis.stride + 1
    unequal = set()
    for window in range(windows):
        start, own = Axis.image(pixels), image[..., window * axis.stride :][..., :pixels]
        for index, layer in enumerate(chain):
            start, own = follow(start, own, layer, index, None)
        there = large[..., window : window + axis.size]
        unequal |= {i for i in range(axis.size) if abs(own[0, 0, i] - there[0, 0, i]) > 1e-9}
    broken = {i for i, sites in enumerate(axis.broken) if sites}
    assert unequal <= broken  # what is said to be sound is equal on every window


def test_what_is_said_to_be_broken_differs():
    # Positive taps on positive pixels: padding that is read changes the sum.
    image = (
        torch.rand(1, 1, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 1
    )
    chain = [("conv", 3, 1, 1, 1), ("conv", 2, 2, 0, 1), ("pool", 3, 2, 0, True)]
    axis, own = Axis.image(17), image[..., 8:25]
    _, large = Axis.image(17), image
    grid = Axis.image(17)
    for index, layer in enumerate(chain):
        _, large = follow(grid, large, layer, index, None)
        grid = follow(grid, torch.zeros(1, 1, grid.size).double(), layer, index, None)[0]
        axis, own = follow(axis, own, layer, index, None)
    assert axis.stride == 4
    there = large[..., 2 : 2 + axis.size]
    unequal = {i for i in range(axis.size) if abs(own[0, 0, i] - there[0, 0, i]) > 1e-9}
    assert unequal == {i for i, sites in enumerate(axis.broken) if sites}
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
