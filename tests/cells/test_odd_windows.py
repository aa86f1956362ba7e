"""What models do between their layers, and what callers do: right, or refused by name."""

import copy
import itertools
import pickle
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cells.slide_oracle import CLOSE, multiply_adds_of, off, slid
from convlin import GeometryError, Refused, sliding_window

WINDOW, SIZE = (16, 14), (29, 31)


class Net(nn.Module):
    """One convolution, what is done with it, and tensors for that."""

    def __init__(self, then, **tensors):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.then = then
        for name, tensor in tensors.items():
            setattr(self, name, nn.Parameter(tensor))

    def forward(self, x):
        return self.then(self, x)


def net(then=lambda m, x: m.conv(x).flatten(1), **tensors):
    return Net(then, **tensors).double().eval()


ODD = {
    "integers-in-place": lambda m, x: ((m.conv(x) > 0).long() + 1).sigmoid().flatten(1),
    "integer-pool": lambda m, x: functional.max_pool2d((m.conv(x) * 3).round().long(), 3, 2, 1).flatten(1),
    "cut-to-nothing-and-on": lambda m, x: torch.cat(
        [functional.pad(m.conv(x), (-7, -7, 0, 0)).add(1).flatten(1), m.conv(x).flatten(1)], 1),
    "coordinates": lambda m, x: torch.cat(
        [m.conv(x), torch.linspace(-1, 1, 14).expand(x.shape[0], 1, 16, 14)], 1).double().flatten(1),
    "one-map-in-a-row": lambda m, x: (lambda y: torch.cat([torch.cat([y], 2).relu(), y], 1))(
        m.conv(x)).flatten(1),
    "alias-written-over": lambda m, x: (lambda y: torch.cat([y.relu(), y.transpose(2, 3).transpose(2, 3)], 1))(
        m.conv(x)).flatten(1),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("stride", [2, 1000])
def test_odd_code_between_layers_is_right(name, stride):
    model = net(ODD[name])
    windows = sliding_window(model, (3, *WINDOW), stride=stride)
    images = torch.randn(2, 3, *SIZE).double()
    with torch.no_grad():
        assert off(windows(images), slid(model, images, WINDOW, (stride,) * 2)) < CLOSE


def test_weights_that_forward_computes_are_counted():
    model = net(
        lambda m, x: functional.conv2d(x, (m.a @ m.b).view(4, 3, 3, 3)).flatten(1),
        a=torch.rand(4, 2), b=torch.rand(2, 27),
    )  # fmt: skip
    windows = sliding_window(model, (3, *WINDOW), stride=2, check=False)
    images = torch.randn(1, 3, *SIZE).double()
    with torch.no_grad():
        count = multiply_adds_of(lambda: windows(images))
    assert count == windows.plan(SIZE).multiply_adds


REFUSED = {
    "a-tensor-of-its-own": (lambda m, x: (m.conv(x).flatten(1), m.conv.bias), "bias"),
    "one-image-less": (lambda m, x: m.conv(x).flatten(1)[: x.shape[0] - 1], "slice"),
    "no-batch": (lambda m, x: (m.conv(x).flatten(1), m.conv(x).sum()), "sum"),
    "nothing": (lambda m, x: None, "output"),
    "random": (lambda m, x: m.conv(x).flatten(1) + torch.randn(1), "random"),
    "mixed": (lambda m, x: m.conv(x).flatten(1).softmax(0), "output"),
    "flipped": (lambda m, x: m.conv(x).flatten(1).flip(0), "output"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_window_decides_alone_is_refused(name):
    then, named = REFUSED[name]
    with pytest.raises(Refused, match=named):
        sliding_window(net(then), (3, *WINDOW), stride=2)


def windows_of(**options):
    return sliding_window(net(), (3, *WINDOW), stride=3, check=False, **options)


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 3, *SIZE, dtype=torch.uint8), torch.zeros(1, 3, *SIZE), [1, 2],
     np.zeros((1, 3, *SIZE)), None],
)  # fmt: skip
def test_other_images_are_refused_in_a_line(images):
    with pytest.raises(GeometryError, match="images: "):
        windows_of()(images)


def test_no_images_give_no_scores():
    windows = windows_of()
    assert windows(torch.zeros(0, 3, *SIZE).double()).shape == (
        0,
        4 * 16 * 14,
        *windows.cells(SIZE),
    )


def test_copies_and_pickles_are_the_same():
    windows = sliding_window(net(), (3, *WINDOW), stride=3)
    images = torch.randn(1, 3, *SIZE).double()
    for other in (copy.deepcopy(windows), sent(windows)):
        assert torch.equal(other(images), windows(images))
        assert other.seen == windows.seen
    assert not windows.train().model.training


def sent(windows):
    """Return it pickled and read, which a function made here cannot be: its net's is put back."""
    then, windows.model.then = windows.model.then, None
    try:
        data = pickle.dumps(windows.model)
    finally:
        windows.model.then = then
    model = pickle.loads(data)
    model.then = then
    rebuild, (_, *rest) = windows.__reduce__()
    return rebuild(model, *rest)


def test_threads_may_slide_images_of_different_sizes():
    windows, wrong = windows_of(), []

    def run(size):
        images = torch.randn(1, 3, size, size + 1).double()
        expected = slid(windows.model, images, WINDOW, (3, 3))
        for _ in range(5):
            with torch.no_grad():
                wrong.append(off(windows(images), expected) >= CLOSE)

    threads = [threading.Thread(target=run, args=(size,)) for size in range(20, 24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [False] * 20


def test_images_are_run_few_at_once_where_memory_is_short():
    model = net(lambda m, x: functional.max_pool2d(m.conv(x), 2).flatten(1))
    images = torch.randn(5, 3, 90, 90).double()
    large = sliding_window(model, (3, *WINDOW), stride=3, memory="2GB", check=False)
    least = large.plan(90).memory
    small = sliding_window(model, (3, *WINDOW), stride=3, memory=least, check=False)
    plan = small.plan(90, images=5)
    assert plan.memory <= least < large.plan(90, images=5).memory
    assert plan.tiles == (1, 1)  # images share nothing: it is cheaper to part them
    with torch.no_grad():
        assert off(small(images), large(images)) < CLOSE


def test_a_plan_of_few_windows_at_any_stride_is_quick_in_steps():
    """As many layouts are tried as the size has digits, and not as there are tiles."""
    windows = windows_of(memory="90MB")
    plan = windows.plan(4000)
    assert plan.memory <= 90e6
    assert all(n >= 1 for n in plan.tiles)
    assert sum(itertools.chain(plan.tiles)) > 10
