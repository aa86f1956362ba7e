"""`stride=`: the network itself where it is exact and has that stride, else its windows."""

import itertools

import pytest
import torch
from dense_oracle import EQUAL
from torch import nn

from convlin import FullyConvolutional, Refused, SlidingWindow, fully_convolutional

WINDOW = (3, 10, 9)
NEVER = nn.Upsample(scale_factor=2)


def net(*between, padding=0):
    """A classifier of the window with stride (2, 2)."""
    layers = nn.Conv2d(3, 4, 3, 2, padding), *between, nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 5)).eval().double()


@pytest.mark.parametrize("stride", [None, 2, (2, 2), [2, 2]])
def test_the_nets_own_stride_gives_the_network_as_ever(stride):
    network = fully_convolutional(net(), WINDOW, stride=stride)
    assert isinstance(network, FullyConvolutional) and network.report.exact
    assert network.stride == (2, 2) and network.report.seen is not None


# name: (model, stride)
WINDOWS = {
    "finer": (net(), 1),
    "coarser": (net(), (4, 2)),
    "coprime": (net(), (3, 5)),
    "padded": (net(padding=1), 1),
    "padded-at-its-own-stride": (net(padding=1), 2),
    "never-convolutional": (net(NEVER), 2),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_are_exact_at_every_stride(name):
    model, stride = WINDOWS[name]
    windows = fully_convolutional(model, WINDOW, stride=stride)
    assert isinstance(windows, SlidingWindow)
    down, right = (stride, stride) if isinstance(stride, int) else stride
    assert windows.stride == (down, right)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, 17, 15, generator=generator, dtype=torch.float64)
    scores = windows(images)
    assert scores.shape == (2, 5, 7 // down + 1, 6 // right + 1)
    for i, j in itertools.product(*map(range, scores.shape[2:])):
        crop = images[..., i * down : i * down + 10, j * right : j * right + 9]
        expected = model(crop)
        assert (scores[..., i, j] - expected).abs().max() < EQUAL * expected.abs().max()


@pytest.mark.parametrize(
    "options", [{"head": "linear"}, {"images": torch.zeros(1, 3, 12, 12)}, {"allow_inexact": True}]
)
def test_options_of_the_network_are_refused_by_name_where_windows_come_back(options):
    ((name, _),) = options.items()
    with pytest.raises(Refused, match=rf"^fully_convolutional: {name} is .*stride \(1, 1\)"):
        fully_convolutional(net(), WINDOW, stride=1, **options)


def test_they_serve_where_the_network_comes_back():
    options = {"head": "linear", "images": torch.zeros(1, 3, 12, 12).double()}
    report = fully_convolutional(
        net(padding=1), WINDOW, stride=2, allow_inexact=True, **options
    ).report
    assert not report.exact and report.deviation is not None


@pytest.mark.parametrize("stride", [0, -1, 1.5, "2", (2,), (2, 2, 2), (2, 0), True])
def test_an_impossible_stride_is_refused(stride):
    with pytest.raises(
        Refused, match="stride is .*, expected one whole number ≥ 1, or 2, one per dimension"
    ):
        fully_convolutional(net(), WINDOW, stride=stride)
