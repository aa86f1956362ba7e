"""What a model's code keeps of a conversion, in caches of its own, is what it would have kept.

The model then runs, and learns, as it did before.
"""

import functools

import pytest
import torch
from small_nets import Net, conv
from torch import nn

from convlin import Refused, fully_convolutional
from convlin.internals.fakes import is_fake

WINDOW = (3, 13, 8)
KEPT = {}


@functools.lru_cache
def ramp(channels, dtype):
    return torch.linspace(1, 2, channels, dtype=dtype).view(channels, 1, 1)


def kept(key, make):
    if key not in KEPT:
        KEPT[key] = make()
    return KEPT[key]


def by_decorator(m, y):
    table = ramp(y.shape[1], y.dtype)
    KEPT[y.dtype] = table
    return y * table


def by_shape(m, y):
    return y * kept(y.shape, lambda: torch.ones(4, 1, 1) * 2).to(y.dtype)


def by_dtype(m, y):
    return y * kept(y.dtype, lambda: torch.arange(1, 5, dtype=y.dtype).view(4, 1, 1))


def of_a_list(m, y):
    return y * kept(y.dtype, lambda: torch.tensor([1.0, 2, 3, 4], dtype=y.dtype)).view(4, 1, 1)


def by_size_alone(m, y):
    return y * kept(tuple(y.shape[1:]), lambda: torch.ones(4, 1, 1, dtype=y.dtype))


CACHES = (by_decorator, by_shape, by_dtype, of_a_list)


@pytest.fixture(autouse=True)
def nothing_kept():
    KEPT.clear()
    ramp.cache_clear()


def built(cache):
    torch.manual_seed(0)
    forward = lambda m, x: m.head(cache(m, m.a(x)).flatten(1))  # noqa: E731
    return Net(forward, a=conv(3, 4, (3, 4)), head=nn.Linear(4 * 11 * 5, 7)).eval()


def require_that_it_learns(model):
    model(torch.randn(1, *WINDOW)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("cache", CACHES, ids=lambda cache: cache.__name__)
def test_a_cache_holds_numbers_that_can_be_trained_with(cache, check):
    model = built(cache)
    network = fully_convolutional(model, WINDOW, proofs=False, check=check)
    assert network.report.exact
    assert KEPT
    assert not any(is_fake(table) or table.is_inference() for table in KEPT.values())
    require_that_it_learns(model)
    images = torch.randn(2, *WINDOW)
    torch.testing.assert_close(network(images).flatten(1), model(images))


def test_a_cache_that_changes_what_the_code_does_is_refused_and_left_in_order():
    model = built(by_size_alone)
    with pytest.raises(Refused, match="the same at every call"):
        fully_convolutional(model, WINDOW)
    assert not any(is_fake(table) or table.is_inference() for table in KEPT.values())
    require_that_it_learns(model)
