"""Cells in awkward orders: of one chain read through gaps, of several chains at other places each."""

import pytest
import torch
from torch import nn

from cells.lying_apart import lying_apart
from cells.planted_nets import CHANNELS, conv
from cells.slide_oracle import CLOSE, multiply_adds_of, off, shared, slid
from convlin import sliding_window


class Flip(nn.Module):
    def forward(self, y):
        return y.flip(-1)


def of(*layers, cells):
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(cells, 3))


# name: layers, window, stride, image, a shared layer behind
NETS = {
    "dilated-behind-a-flip": (
        lambda: of(conv(1, kernel=1), Flip(), conv(1, dilation=2, padding=2), nn.Tanh(),
                   conv(1, padding=2), cells=4 * 42), 40, 1, 43, "4"),
    "dilated-behind-dilated": (
        lambda: of(conv(1, dilation=2, padding=2, padding_mode="circular"), nn.Tanh(),
                   conv(1, padding=2, padding_mode="reflect"), nn.ConstantPad1d(1, 0.5),
                   conv(1, dilation=2, stride=2), cells=4 * 21), 42, 1, 44, "2"),
    "phases-of-a-dilated-pool": (
        lambda: of(conv(1, padding=1), nn.MaxPool1d(3, 2, dilation=2),
                   conv(1, kernel=2, padding=1, dilation=2), nn.Tanh(), conv(1, padding="same"),
                   conv(1, kernel=1, stride=3), cells=4 * 7), 41, 4, 55, "4"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_cells_are_found_wherever_they_lie(name):
    build, window, stride, size, layer = NETS[name]
    torch.manual_seed(8)
    model = build().double().eval()
    windows = sliding_window(model, (CHANNELS, window), stride=stride, check=False)
    plan = windows.plan(size)
    shared(plan, layer)
    images = torch.randn(1, CHANNELS, size, generator=torch.Generator().manual_seed(9)).double()
    scores = []
    with torch.no_grad():
        assert multiply_adds_of(lambda: scores.append(windows(images))) == plan.multiply_adds
        assert off(scores[0], slid(model, images, (window,), (stride,))) < CLOSE


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("turned", [nn.Identity, Flip])
def test_phases_of_phases_are_read_where_they_lie(d, step, turned):
    """Strided layers behind each other at finer strides: runs side by side, read as one row."""
    conv, pool = getattr(nn, f"Conv{d}d"), getattr(nn, f"MaxPool{d}d")
    torch.manual_seed(d)
    model = nn.Sequential(
        conv(2, 3, 3), turned(), pool(2), conv(3, 4, 3), turned(), pool(2), conv(4, 5, 2, stride=2, dilation=2),
        pool(3, 2), nn.Flatten(),
    ).double().eval()  # fmt: skip
    window, size = (38,) * d, (38 + 27,) * d  # so that all phases have as many cells
    windows = sliding_window(model, (2, *window), stride=step, check=False)
    images = torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(step)).double()
    plan = windows.plan(size, images=2)
    assert all(row.share for row in plan.rows[: 3 if step < 3 else 2])
    exact = slid(model, images, window, (step,) * d)
    with torch.no_grad():
        assert off(windows(images), exact) < CLOSE
        with lying_apart():
            scores = []
            assert multiply_adds_of(lambda: scores.append(windows(images))) == plan.multiply_adds
            assert off(scores[0], exact) < CLOSE
