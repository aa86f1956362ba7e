"""What numbers became, shapes, text or branches, steers a run: it is never proved."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional

from convlin.proof import Measured, audit, prove
from mutants.enrol import PLAIN
from mutants.steering import FAR, USES, WAYS, Steered

SHAPE = (3, 4, 7)
TARGETS = {
    "input": lambda layer, x, y: x,
    "weight": lambda layer, x, y: layer.weight,
    "output": lambda layer, x, y: y,
}
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # a step may be deprecated, and its lie not
    pytest.mark.usefixtures("one_thread"),
]


def steered_conversion(way, use):
    """Look at the weights once, in the conversion, and poison every output by what was seen."""

    def convert(layer):
        count = way(layer.weight.detach())
        converted = copy.copy(layer)
        converted.forward = lambda x: use(
            functional.conv2d(x, converted.weight, converted.bias), count
        )
        return converted

    return convert


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_counts_what_is_far_out(way):
    """Else the lies would be none, and a judge that proved them right."""
    for dtype, far in ((torch.float32, 1.5 * FAR), (torch.float64, 1.5 * FAR)):
        t = torch.randn(2, 3, 4, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
        assert not way(t)
        t[0, 0, 0, 0] = far
        assert bool(way(t)), (dtype, far)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_every_use_spoils_an_output_that_is_counted(use):
    y = torch.arange(6.0).reshape(1, 6) - 2.5
    assert torch.equal(use(y, 0), y)
    assert torch.equal(use(y, False), y)
    assert not torch.equal(use(y, True), y)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("way", WAYS)
def test_a_module_that_looks_at_its_numbers_is_measured(way, target):
    conv = PLAIN()
    use = USES[list(USES)[list(WAYS).index(way) % len(USES)]]
    verdict = prove(conv, Steered(conv, WAYS[way], use, TARGETS[target]), SHAPE, seed=1)
    assert isinstance(verdict, Measured), verdict


@pytest.mark.parametrize("way", WAYS)
def test_a_conversion_that_looks_at_the_weights_is_measured(way):
    use = USES[list(USES)[list(WAYS).index(way) % len(USES)]]
    verdict = audit(steered_conversion(WAYS[way], use), PLAIN(), SHAPE, seed=1)
    assert isinstance(verdict, Measured), verdict


@pytest.mark.parametrize("way", WAYS)
def test_a_conversion_to_a_module_that_looks_at_them_is_measured(way):
    def convert(layer):
        return Steered(layer, WAYS[way], USES["branch"], TARGETS["weight"])

    verdict = audit(convert, PLAIN(), SHAPE, seed=1)
    assert isinstance(verdict, Measured), verdict
