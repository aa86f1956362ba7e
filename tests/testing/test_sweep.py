"""The sweep holds what it says: layers that PyTorch has, every pair of fields, nothing twice."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from torch import nn

from convlin.testing.case import BUFFER, LAST, Case
from convlin.testing.sweep import CONVOLUTION, KINDS, LINEAR, covering, families, sweep
from convlin.testing.traits import TRAITS, traits

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


def ids(kind):
    return kind.__name__


@pytest.mark.parametrize("kind", KINDS, ids=ids)
def test_every_layer_is_what_its_text_says_and_takes_its_input(kind):
    for case in sweep(kind):
        layer = case.layer()
        assert isinstance(layer, kind)
        assert layer(torch.zeros(2, *case.input_shape, dtype=case.dtype)).numel()
        assert layer(torch.zeros(case.input_shape, dtype=case.dtype)).numel()
        if case.subclassed:
            continue
        again = eval(str(case), {"nn": nn, "torch": torch})
        assert repr(again) == repr(layer)
        assert again.training == layer.training == case.training
        for name, mine in layer.named_parameters():
            other = again.get_parameter(name)
            assert (mine.dtype, mine.requires_grad) == (other.dtype, other.requires_grad)
            assert case.memory == BUFFER or mine.stride() == other.stride()


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d, nn.ConvTranspose3d, nn.Linear], ids=ids)
@pytest.mark.parametrize("seed", [0, 7])
def test_every_pair_of_values_of_two_fields_occurs(kind, seed):
    """Seen in the layers themselves: any two values that two fields have anywhere occur together."""
    fields = ("kernel", "stride", "dilation", "groups", "padding_mode", "bias", "dtype", "memory",
              "frozen", "training")  # fmt: skip
    cases = [case for case in sweep(kind, seed) if not case.subclassed]

    def value(case, field):
        if field == "groups":
            return case.groups > 1, case.groups == case.channels[0]
        if field == "stride":
            return "kernel" if case.stride == case.kernel else max(case.stride, default=1) > 1
        return getattr(case, field)

    for one, other in itertools.combinations(fields, 2):
        seen = {(value(case, one), value(case, other)) for case in cases}
        possible = set(itertools.product(*(map(set, zip(*seen, strict=True)))))
        if {one, other} == {"kernel", "stride"}:  # a stride of 1 is a kernel of 1
            continue
        assert possible - seen == set()


def test_what_published_conversions_broke_on_is_there():
    found = {frozenset(traits(case)) for case in covering(nn.Conv2d)}
    for known in (
        {"kernel = stride", "dilation"}, {"kernel = stride", "a remainder"}, {"padding='same'"},
        {"kernel 1", "stride > 1", "padding"}, {"depthwise"}, {"own forward"}, {"reflect"},
    ):  # fmt: skip
        assert any(known <= traits for traits in found), known
    even = [case for case in covering(nn.Conv2d) if case.padding == "same"]
    assert any(k % 2 == 0 for case in even for k in case.kernel)
    assert {BUFFER, LAST} <= {case.memory for case in families(nn.Conv2d)}


@pytest.mark.parametrize("kind", KINDS, ids=ids)
def test_the_same_seed_gives_the_same_layers_whatever_came_before(kind):
    first = sweep(kind, 3)
    random.seed(9)
    torch.manual_seed(9)
    assert sweep(kind, 3) == first
    assert len(set(first)) == len(first)
    if kind is not nn.Linear:
        assert sweep(kind, 4) != first


def test_weights_depend_on_the_seed_alone_and_no_random_number_is_used_up():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    case = sweep()[0]
    one, other, third = case.layer(1), case.layer(1), case.layer(2)
    assert torch.rand(1) == expected
    assert torch.equal(one.weight, other.weight)
    assert not torch.equal(one.weight, third.weight)


def test_parameters_in_one_buffer_share_it():
    case = Case(nn.Conv2d, (3, 5), (1, 2), memory=BUFFER, size=(1, 2))
    layer = case.layer()
    storages = {p.untyped_storage().data_ptr() for p in layer.parameters()}
    assert len(storages) == 1
    assert [p.storage_offset() for p in layer.parameters()] == [1, 31]


@pytest.mark.parametrize("kind", KINDS, ids=ids)
def test_every_layer_has_traits_that_the_table_knows(kind):
    for case in sweep(kind):
        assert set(traits(case)) <= set(TRAITS)
        if case.ndim:
            assert set(traits(case)) & set(TRAITS[:4])


def test_few_layers_do():
    """A check is to take seconds: the array is near the least, the product of two longest factors."""
    longest = sorted(map(len, CONVOLUTION.values()))[-2:]
    assert longest[0] * longest[1] <= len(covering(nn.Conv2d)) <= 60
    assert len(covering(nn.Linear)) <= 16
    assert len(sweep(nn.Conv2d)) <= 120
    assert max(map(len, LINEAR.values())) == 3
