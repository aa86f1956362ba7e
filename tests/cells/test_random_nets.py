"""Random padded nets at random strides on random images: the crops' scores, as planned."""

import collections
import math
from random import Random

import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

from cells.lying_apart import lying_apart
from cells.random_nets import SHARED, Drawn
from cells.slide_oracle import (
    CLOSE,
    distinct_values,
    grid,
    multiply_adds_of,
    off,
    row_of,
    shared,
    slid,
)
from convlin import sliding_window

DAILY = 2  # of --seeds: what `pytest` draws without it


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        seeds = metafunc.config.getoption("seeds")
        metafunc.parametrize("seed", range(10 * seeds if seeds > DAILY else seeds))


def windows_of(net: Drawn):
    return sliding_window(net.model(), (3, *net.window), stride=net.stride, check=False)


def is_right(net: Drawn) -> None:
    """See the scores of two images, their count, and that the first layer shares what it can."""
    model, windows = net.model(), windows_of(net)
    plan = windows.plan(net.size, images=2)
    cells = grid(net.size, net.window, net.stride)
    assert plan.cells == windows.cells(net.size) == cells
    assert plan.windows == math.prod(cells)
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(2, 3, *net.size, generator=generator).double()
    every, different = distinct_values(model.l0, "", images, net.window, net.stride)
    if row_of(plan, "l0").share:
        row = shared(plan, "l0")
        assert different <= math.prod(row.cells) < every
        assert math.prod(row.cells) * row.multiply_adds_windows == every * row.multiply_adds
    else:
        assert different > 0.75 * every
    scores = []
    with torch.no_grad():
        assert multiply_adds_of(lambda: scores.append(windows(images))) == plan.multiply_adds
        exact = slid(model, images, net.window, net.stride)
        assert off(scores[0], exact) < CLOSE
        with lying_apart():
            assert multiply_adds_of(lambda: scores.append(windows(images))) == plan.multiply_adds
        assert off(scores[1], exact) < CLOSE


@settings(max_examples=60)
@given(random=st.randoms(use_true_random=False))
def test_a_random_net_is_slid_exactly_and_as_planned(random):
    net = Drawn(random, random.choice([1, 1, 1, 2, 2, 3]))
    note(f"{net.source}\n{net.window=}, {net.stride=}, {net.size=}")
    is_right(net)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_seeded_net_is_slid_exactly_and_as_planned(d, seed):
    is_right(Drawn(Random(1000 + seed), d))


DRAWN = 120


def test_most_of_what_is_drawn_is_shared():
    """Of every kind of statement, windows share the convolution behind it in some nets drawn."""
    behind = collections.Counter()
    for seed in range(DRAWN):
        net = Drawn(Random(seed), 1 + seed % 3)
        plan = windows_of(net).plan(net.size)
        layers = (row.layer.split(".")[0] for row in plan.rows if row.share)
        behind.update(net.kinds[layer] for layer in layers if layer in net.kinds)
    assert set(behind) == set(SHARED), behind
    assert behind.total() > 1.5 * DRAWN
