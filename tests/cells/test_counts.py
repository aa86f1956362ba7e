"""Planned cells are the distinct ones, counted one by one over all windows of chains of layers."""

import math

import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st
from torch import nn

from cells.slide_oracle import distinct_names, grid
from convlin import sliding_window

WINDOWS = (30, 25, 18)


@st.composite
def axes(draw):
    """Return a layer along one axis: kernel, stride, padding, dilation."""
    kernel = draw(st.integers(1, 4))
    padding = draw(st.integers(0, kernel // 2))
    return kernel, draw(st.sampled_from([1, 1, 2, 3])), padding, draw(st.integers(1, 2))


def chain(layers, d):
    """Return the net of such layers: convolutions, and a max pool in every third place."""
    made = []
    for place, axes in enumerate(layers):
        kernel, stride, padding, dilation = zip(*axes, strict=True)
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        if place % 3 == 1:
            made.append(getattr(nn, f"MaxPool{d}d")(kernel, **options))
        else:
            made.append(getattr(nn, f"Conv{d}d")(2, 2, kernel, **options))
    return nn.Sequential(*made).eval()


def sides(layers, window):
    """Return the map's side after each layer of one axis, by floor."""
    for kernel, stride, padding, dilation in layers:
        window = (window + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        yield window


@settings(max_examples=60)
@given(data=st.data())
def test_cells_of_a_chain_are_its_distinct_ones(data):
    d = data.draw(st.integers(1, 3))
    layers = data.draw(st.lists(st.tuples(*[axes()] * d), min_size=1, max_size=5))
    window, by_axis = WINDOWS[:d], list(zip(*layers, strict=True))
    while any(side < 1 for axis, n in zip(by_axis, window, strict=True) for side in sides(axis, n)):
        layers = layers[:-1]
        by_axis = list(zip(*layers, strict=True))
    stride = data.draw(st.tuples(*[st.integers(1, 9)] * d))
    size = tuple(
        n + data.draw(st.integers(2 * s, 5 * s + 1)) for n, s in zip(window, stride, strict=True)
    )
    note(f"{layers=} {stride=} {size=}")
    plan = sliding_window(chain(layers, d), (2, *window), stride=stride, check=False).plan(size)
    counts = [
        distinct_names([(k, s, (p, p), g) for k, s, p, g in axis], n, step, side)
        for axis, n, step, side in zip(by_axis, window, stride, size, strict=True)
    ]
    sides_of = [list(sides(axis, n)) for axis, n in zip(by_axis, window, strict=True)]
    rows = {row.layer: row for row in plan.rows}
    saves = True  # all layers so far have a quarter less than the windows one by one
    for place in range(len(layers)):
        own = math.prod(grid(size, window, stride)) * math.prod(n[place] for n in sides_of)
        saves = saves and math.prod(n[place] for n in counts) < 0.75 * own
        if place % 3 == 1:
            continue
        row = rows[str(place)]
        taps = 2 * 2 * math.prod(kernel for kernel, *_ in layers[place])
        assert row.multiply_adds_windows == taps * own
        assert row.share or not saves
        if row.share:
            assert row.cells == tuple(n[place] for n in counts)
            assert row.multiply_adds == taps * math.prod(row.cells) < taps * own


CHAINS = {
    # name: layers, window, stride, size, the distinct cells of each layer, counted by hand
    "padding-free": ([(3, 1, 0, 1)], 5, 1, 8, [6]),
    "padded": ([(3, 1, 1, 1)], 5, 1, 8, [4 + 6 + 4]),  # first cells, between, last cells
    "stride-of-the-net": ([(2, 2, 0, 1)], 4, 2, 8, [4]),
    "stride-finer-than-the-net": ([(2, 2, 0, 1)], 4, 1, 8, [3 + 4]),  # even windows, odd windows
    "prime": ([(2, 2, 0, 1)], 6, 3, 12, [6 + 3]),  # corners 0, 3, 6: even 0..10, odd 3..7
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_count_itself_counts(name):
    layers, window, stride, size, counts = CHAINS[name]
    assert (
        distinct_names([(k, s, (p, p), g) for k, s, p, g in layers], window, stride, size) == counts
    )


def test_the_count_of_a_real_net_is_that_of_the_public_sketch():
    """VGG-16's window of 224 on 1024² at stride 32: 4.86 times fewer multiply-adds."""
    from torchvision import models

    with torch.device("meta"):
        model = models.vgg16(weights=None)
    pools = [i for i, layer in enumerate(model.features) if isinstance(layer, nn.MaxPool2d)]
    layers = [(2, 2, (0, 0), 1) if isinstance(layer, nn.MaxPool2d) else (3, 1, (1, 1), 1)
              for layer in model.features if not isinstance(layer, nn.ReLU)]  # fmt: skip
    assert len(pools) == 5
    counts, side, windows = iter(distinct_names(layers, 224, 32, 1024)), 224, 26
    own = together = 0
    for layer in model.features:
        if isinstance(layer, nn.ReLU):
            continue
        count = next(counts)
        side //= 2 if isinstance(layer, nn.MaxPool2d) else 1
        if isinstance(layer, nn.Conv2d):
            own += layer.weight.numel() * (windows * side) ** 2
            together += layer.weight.numel() * min(count, windows * side) ** 2
    head = windows**2 * sum(m.weight.numel() for m in model.classifier if isinstance(m, nn.Linear))
    assert round((own + head) / (together + head), 2) == 4.86


@pytest.mark.parametrize(
    ("name", "stride", "ratio"),
    [
        ("vgg16", 32, 4.86), ("vgg16", 16, 6.70), ("vgg16", 224, 1.00),
        ("alexnet", 32, 2.25), ("resnet18", 32, 2.02), ("resnet18", 16, 2.25),
    ],
)  # fmt: skip
def test_the_plan_of_a_real_net_saves_what_the_public_sketch_counts(name, stride, ratio):
    """What is run one by one where sharing hardly pays costs at most three hundredths of that."""
    from torchvision import models

    model = getattr(models, name)(weights=None).eval()
    windows = sliding_window(model, stride=stride, memory="30GB", check=False)
    assert windows.plan(1024).ratio == pytest.approx(ratio, rel=0.03)


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "mobilenet_v3_small", "alexnet"])
def test_the_stride_of_the_model_is_its_layers(name):
    from torchvision import models

    model = getattr(models, name)(weights=None).eval()
    assert sliding_window(model, (3, 160, 160), check=False).stride == (32, 32)
