"""A Linear on maps flattened in one order, as one on maps flattened in another."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from convlin import Measured, Proved, Refused, audit, reorder_linear
from convlin.exchange.flatten_order import element_order, reordered
from geometry_strategies import fill, integers

SIZE = (3, 2, 5)
SCATTERED = np.random.default_rng(1).permutation(30)
ORDERS = {
    "HWC-to-C": ("HWC", None),
    "WCH-to-HWC": ("WCH", "HWC"),
    "C-to-WHC": (None, "WHC"),
    "scattered-to-HWC": (SCATTERED, "HWC"),
    "HWC-to-scattered": ("HWC", SCATTERED.tolist()),
    "scattered-tensor": (torch.tensor(SCATTERED), torch.arange(30).flip(0)),
    "same": ("HWC", "HWC"),
}
TABLE = pytest.mark.parametrize("order, to", ORDERS.values(), ids=ORDERS)


def linear(bias=True):
    return fill(nn.Linear(30, 7, bias=bias, dtype=torch.float64))


def flattened(maps, order):
    """Return maps (N, C, H, W) as vectors, element after element."""
    if order is None or isinstance(order, str):
        axes = ["CHW".index(letter) + 1 for letter in order or "CHW"]
        return maps.permute(0, *axes).flatten(1)
    return torch.stack([maps.flatten(1)[:, int(element)] for element in order], 1)


@TABLE
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "nobias"])
def test_the_same_outputs_for_the_same_maps(order, to, bias):
    given, maps = linear(bias), integers(4, *SIZE, seed=3)
    new = reorder_linear(given, SIZE, order, to)
    assert type(new) is nn.Linear
    assert torch.equal(new(flattened(maps, to)), given(flattened(maps, order)))


@TABLE
def test_the_way_back_is_the_same_call_the_other_way_round(order, to):
    given = linear().eval()
    given.weight.requires_grad_(False)
    new = reorder_linear(given, SIZE, order, to)
    back = reorder_linear(new, SIZE, to, order)
    assert torch.equal(back.weight, given.weight) and torch.equal(back.bias, given.bias)
    assert not (new.training or new.weight.requires_grad) and new.bias.requires_grad
    pointers = {p.data_ptr() for p in given.parameters()}
    assert not pointers & {p.data_ptr() for p in new.parameters()}


class Permuted(nn.Module):
    """Takes vectors in the order of the letters, for a Linear on vectors in C order."""

    def __init__(self, new, size, order):
        super().__init__()
        self.new, self.size, self.order = new, [size["CHW".index(x)] for x in order], order

    def forward(self, x):
        maps = x.reshape(*x.shape[:-1], *self.size)
        axes = [self.order.index(letter) - 3 for letter in "CHW"]
        return self.new(maps.permute(*range(maps.ndim - 3), *axes).flatten(-3))


@pytest.mark.parametrize("order", ["HWC", "WCH"])
def test_proved_for_all_weights_and_inputs(order):
    def convert(given):
        return Permuted(reorder_linear(given, SIZE, order), SIZE, order)

    verdict = audit(convert, nn.Linear(30, 7), (30,), copies=True)
    assert isinstance(verdict, Proved), str(verdict)
    assert verdict.failure_probability < 1e-15


def test_the_wrong_order_is_refuted():
    def convert(given):
        return Permuted(reorder_linear(given, SIZE, "WCH"), SIZE, "HWC")

    verdict = audit(convert, nn.Linear(30, 7), (30,))
    assert not verdict and not isinstance(verdict, Measured)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("order, to", [("HWC", "CHW"), ("WCH", "HWC")], ids=str)
def test_the_map_on_plain_arrays(kind, order, to):
    rows = integers(7, 30, seed=5)
    rows = rows.numpy() if kind == "numpy" else rows
    given, due = element_order(order, SIZE), element_order(to, SIZE)
    new = reordered(rows, given, due)
    assert type(new) is type(rows)
    sizes = dict(zip("CHW", SIZE, strict=True))
    for at in itertools.product(*map(range, SIZE)):
        index = dict(zip("CHW", at, strict=True))
        j, k = (
            int(np.ravel_multi_index([index[x] for x in letters], [sizes[x] for x in letters]))
            for letters in (order, to)
        )
        assert np.array_equal(new[:, k], rows[:, j])


REFUSED = {
    "order": ({"order": "CHX"}, "reorder_linear: order is 'CHX', expected a permutation of 'CHW' (feature_size = (3, 2, 5))"),
    "to": ({"to": [1, 0]}, "reorder_linear: to is int64 array of shape (2,), expected 'CHW' permuted, or whole numbers 0 … 29, each once"),
    "size": ({"feature_size": (3, 2, 6)}, "reorder_linear: feature_size is (3, 2, 6), expected sizes whose product is 30 (in_features, and not 36)"),
}  # fmt: skip


@pytest.mark.parametrize("options, words", REFUSED.values(), ids=REFUSED)
def test_refusals_name_the_argument(options, words):
    with pytest.raises(Refused) as caught:
        reorder_linear(linear(), **{"feature_size": SIZE, "order": "HWC", **options})
    assert str(caught.value) == words
