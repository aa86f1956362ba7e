"""One program with the same numbers is proved by identity; whatever differs is not called one."""

from __future__ import annotations

import copy
import functools
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from convlin.errors import Refused
from convlin.proof import Measured, Proved, prove
from convlin.proof.same import same

SHAPE = (4, 6, 5)


class Rule(nn.Module):
    """A module around a function of itself and an input."""

    def __init__(self, rule, **attributes):
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 3, padding=1)
        self.rule = rule
        vars(self).update(attributes)

    def forward(self, x):
        return self.rule(self, x)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)
    ).eval()


def hooked():
    net = network()
    net[0].register_forward_hook(_double)
    return net


def _double(module, args, output):
    return 2 * output


def tied():
    layer = nn.Conv2d(4, 4, 3, padding=1)
    return nn.Sequential(layer, nn.GELU(), layer)


PROGRAMS = {
    "conv": lambda: nn.Conv2d(4, 4, 3),
    "network": network,
    "hooked": hooked,
    "tied": tied,
    "in-place": lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 2, 2)),
    "view": lambda: Rule(lambda s, x: s.layer(x).view(x.size(0), -1)),
    "sort": lambda: Rule(lambda s, x: s.layer(x).sort(1).values),
    "branch": lambda: Rule(lambda s, x: x if x.sum() > 0 else s.layer(x)),
    "numpy": lambda: Rule(lambda s, x: s.layer(torch.from_numpy(np.sin(x.detach().numpy())))),
    "nan": lambda: Rule(lambda s, x: s.layer(x).log()),
    "partial": lambda: Rule(functools.partial(_scaled, factor=3)),
    "weight-norm": lambda: parametrizations.weight_norm(nn.Conv2d(4, 2, 2)),
    "dropout-eval": lambda: nn.Sequential(nn.Dropout(0.5), nn.GELU()).eval(),
    "attention": lambda: nn.Sequential(nn.Flatten(2), nn.TransformerEncoderLayer(30, 5, 7)).eval(),
    "traced": lambda: torch.fx.symbolic_trace(network()),
    "bfloat16": lambda: network().bfloat16(),
}


def _scaled(module, x, factor):
    return factor * module.layer(x)


@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_is_itself_and_its_copy(make):
    one = make()
    for other in (one, copy.deepcopy(one)):
        verdict = prove(one, other, SHAPE)
        assert isinstance(verdict, Proved), verdict
        assert verdict.by == "identity"
        assert str(verdict).startswith(f"proved: by identity, every input of shape {SHAPE}")


def _set(path, value):
    def change(net):
        *sites, name = path.split(".")
        site = functools.reduce(
            lambda m, s: m[int(s)] if s.isdigit() else getattr(m, s), sites, net
        )
        setattr(site, name, value)

    return change


def _bit(tensor_of):
    def change(net):
        tensor = tensor_of(net)
        with torch.no_grad():
            tensor.view(-1).view(torch.int32)[1] += 1

    return change


def _zero_sign(net):
    with torch.no_grad():
        net[0].bias[2] = -0.0


def _hook(net):
    net[2].register_forward_pre_hook(lambda module, args: None)


def _swap(net):
    net[2], net[3] = net[3], net[2]


CHANGES = {
    "one-weight-bit": _bit(lambda net: net[0].weight),
    "one-bias-bit": _bit(lambda net: net[0].bias),
    "one-buffer-bit": _bit(lambda net: net[1].running_var),
    "minus-zero": _zero_sign,
    "dtype": lambda net: net.double(),
    "strides": lambda net: net.to(memory_format=torch.channels_last),
    "mode": lambda net: net.train(),
    "mode-of-one": lambda net: net[1].train(),
    "requires-grad": lambda net: net[0].bias.requires_grad_(False),
    "eps": _set("1.eps", 1e-4),
    "padding": _set("0._reversed_padding_repeated_twice", [1, 1, 1, 2]),
    "another-attribute": _set("0.note", "new"),
    "forward": _set("2.forward", torch.sigmoid),
    "function": _set("0._conv_forward", functional.conv2d),
    "hook": _hook,
    "order": _swap,
    "one-more": lambda net: net.append(nn.Identity()),
    "class": _set("2.__class__", nn.ReLU6),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("both", [False, True])
def test_no_change_goes_unnoticed(change, both):
    one = network()
    with torch.no_grad():
        one[0].bias[2] = 0.0
    other = copy.deepcopy(one)
    assert same(one, other)
    change(other)
    assert not same(one, other) and not same(other, one)
    if both:
        assert same(other, copy.deepcopy(other))


def test_ties_are_part_of_a_program():
    loose = tied()
    loose[2] = copy.deepcopy(loose[0])
    assert not same(tied(), loose)
    assert not same(loose, nn.Sequential(loose[0], loose[1], loose[0]))
    weight = nn.Parameter(torch.ones(4, 4))
    halves, apart = nn.Module(), nn.Module()
    for module, second in ((halves, weight), (apart, weight.clone())):
        module.one, module.two = weight[:2].detach(), second[2:].detach()
    assert not same(halves, apart) and not same(apart, halves)


def test_what_a_function_closes_over_is_part_of_it():
    def scaled(factor):
        return lambda module, x: factor * x

    one, other = Rule(scaled(2)), Rule(scaled(3))
    other.layer = one.layer
    assert not same(one, other)
    other.rule = scaled(2)
    assert same(one, other)
    other.rule = lambda module, x: 2 * x
    assert not same(one, other)


def _counted(module, x):
    module.calls += 1
    return module.layer(x)


def _cached(module, x):
    module.buffer[0] += 1
    return module.layer(x)


class Replaced(nn.Module):
    """A module that remembers its last output."""

    last = None

    def forward(self, x):
        self.last = x.sum().item()
        return x


RESTLESS = {
    "dropout": lambda: nn.Dropout(0.5),
    "dropout-rarely": lambda: nn.Dropout(1e-9),
    "batch-norm-in-training": lambda: nn.BatchNorm2d(4),
    "a-random-branch": lambda: Rule(lambda s, x: -x if torch.rand(()) < 1e-9 else x),
    "python-random": lambda: Rule(lambda s, x: -x if random.random() < 1e-9 else x),
    "numpy-random": lambda: Rule(lambda s, x: -x if np.random.random() < 1e-9 else x),
    "own-generator": lambda: Rule(
        lambda s, x: x + torch.rand((), generator=torch.Generator().manual_seed(0))
    ),
    "counter": lambda: Rule(_counted, calls=0),
    "counter-in-a-buffer": lambda: Rule(_cached, buffer=torch.zeros(3)),
    "last-output": Replaced,
    "uninitialised": lambda: Rule(lambda s, x: x + torch.empty(4, 6, 5)),
}


@pytest.mark.parametrize("make", RESTLESS.values(), ids=RESTLESS)
def test_what_chance_or_memory_steers_is_not_proved_by_identity(make):
    module = make()
    for other in (module, copy.deepcopy(module)):
        verdict = prove(module, other, SHAPE)
        assert not isinstance(verdict, Proved) or verdict.by != "identity", verdict


def test_neither_side_of_a_restless_pair_is_at_fault():
    assert isinstance(prove(nn.BatchNorm2d(4), nn.BatchNorm2d(4), SHAPE), Measured)
    dropout = nn.Dropout(0.5)
    assert isinstance(prove(dropout, dropout, SHAPE), Measured)


def test_an_input_that_the_program_does_not_take_is_refused():
    net = network()
    with pytest.raises(Refused, match="one for the modules"):
        prove(net, net, (3, 6, 5))


def test_one_archive_on_both_sides(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network(), (torch.randn(3, *SHAPE),))
        torch.export.save(program, tmp_path / "net.pt2")
        module = torch.export.load(tmp_path / "net.pt2").module()
    assert prove(module, module, SHAPE).by == "identity"
