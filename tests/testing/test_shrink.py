"""The smallest layer that breaks a conversion has nothing that is not needed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convlin.testing import Broken, check
from convlin.testing.case import BUFFER, LAST, Case
from convlin.testing.shrink import cost, shrunk
from convlin.testing.sweep import KINDS, sweep

# What a conversion never looked at, and the layer and input that show it.
FAULTS = {
    "nothing": (lambda c: True, "nn.Conv2d(1, 1, 1)", (1, 1, 1)),
    "stride": (lambda c: max(c.stride) > 1, "nn.Conv2d(1, 1, 1, stride=2)", (1, 1, 1)),
    "second-stride": (lambda c: c.stride[1] > 1, "nn.Conv2d(1, 1, 1, stride=2)", (1, 1, 1)),
    "uneven-stride": (
        lambda c: c.stride[0] != c.stride[1], "nn.Conv2d(1, 1, 1, stride=(1, 2))", (1, 1, 1),
    ),
    "stride-over-kernel": (
        lambda c: c.stride[0] > c.kernel[0] > 1, "nn.Conv2d(1, 1, (2, 1), stride=3)", (1, 2, 1),
    ),
    "patches": (
        lambda c: c.kernel == c.stride != (1, 1), "nn.Conv2d(1, 1, 2, stride=2)", (1, 2, 2),
    ),
    "patches-dilated": (
        lambda c: c.kernel == c.stride == (2, 2) and c.dilation != (1, 1),
        "nn.Conv2d(1, 1, 2, stride=2, dilation=2)", (1, 3, 3),
    ),
    "dilated-groups": (
        lambda c: c.dilation != (1, 1) and c.groups > 1,
        "nn.Conv2d(2, 2, 1, dilation=2, groups=2)", (2, 1, 1),
    ),
    "multiplier": (
        lambda c: c.groups == c.channels[0] > 1 and c.channels[1] > c.channels[0],
        "nn.Conv2d(2, 4, 1, groups=2)", (2, 1, 1),
    ),
    "same-even": (
        lambda c: c.padding == "same" and c.kernel[1] % 2 == 0,
        "nn.Conv2d(1, 1, (1, 2), padding='same')", (1, 1, 1),
    ),
    "same-not-square": (
        lambda c: c.padding == "same" and c.kernel[0] != c.kernel[1],
        "nn.Conv2d(1, 1, (1, 2), padding='same')", (1, 1, 1),
    ),
    "reflected-padding": (
        lambda c: c.padding_mode == "reflect" and c.padding[0] not in (0, "s", "v"),
        "nn.Conv2d(1, 1, 1, padding=1, padding_mode='reflect')", (1, 2, 2),
    ),
    "full-size": (
        lambda c: c.kernel == c.size != (1, 1), "nn.Conv2d(1, 1, (1, 2))", (1, 1, 2),
    ),
    "remainder": (
        lambda c: c.kernel == c.stride and any(n % k for n, k in zip(c.size, c.kernel, strict=True)),
        "nn.Conv2d(1, 1, 2, stride=2)", (1, 2, 3),
    ),
    "no-bias": (lambda c: not c.bias, "nn.Conv2d(1, 1, 1, bias=False)", (1, 1, 1)),
    "bfloat16": (
        lambda c: c.dtype == torch.bfloat16, "nn.Conv2d(1, 1, 1, dtype=torch.bfloat16)", (1, 1, 1)
    ),
    "frozen-eval": (
        lambda c: c.frozen and not c.training, "nn.Conv2d(1, 1, 1).eval().requires_grad_(False)",
        (1, 1, 1),
    ),
    "channels-last": (
        lambda c: c.memory == LAST and c.groups == 1,
        "nn.Conv2d(1, 1, 1).to(memory_format=torch.channels_last)", (1, 1, 1),
    ),
    "more-outputs": (lambda c: c.channels[1] > c.channels[0], "nn.Conv2d(1, 2, 1)", (1, 1, 1)),
}  # fmt: skip


def smallest(fault, kind=nn.Conv2d):
    """Shrink the simplest layer of the sweep that has a fault, as a check does."""
    return shrunk(min((case for case in sweep(kind) if fault(case)), key=cost), fault)


@pytest.mark.parametrize("name", FAULTS)
def test_a_crafted_fault_is_shown_by_the_known_smallest_layer(name):
    fault, layer, shape = FAULTS[name]
    case = smallest(fault)
    assert (str(case), case.input_shape) == (layer, shape)


@pytest.mark.parametrize("name", FAULTS)
def test_wherever_shrinking_begins_it_ends_there(name):
    """From layers all over the sweep, not from the simplest alone; or at its mirror image."""
    fault = FAULTS[name][0]
    cases = [case for case in sweep(seed=1) if fault(case) and not case.subclassed]
    ends = [shrunk(case, fault) for case in cases[::4]]
    assert {cost(end) for end in ends} == {cost(smallest(fault))}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_class_of_layers_shrinks_to_its_simplest(kind):
    ends = {shrunk(case, lambda _: True) for case in sweep(kind)}
    assert [str(end) for end in ends] == [str(Case(kind, (1, 1), end.kernel)) for end in ends]
    (end,) = ends
    assert set(end.input_shape) == {1}


def test_a_subclass_is_shown_only_where_no_other_layer_is_broken():
    assert not smallest(lambda case: case.subclassed or case.frozen).subclassed
    assert smallest(lambda case: case.subclassed).notes == (
        "DoubledConv2d: a subclass of nn.Conv2d whose forward gives twice as much",
    )


def test_parameters_in_one_buffer_are_said_so():
    case = smallest(lambda case: case.memory == BUFFER)
    assert str(case) == "nn.Conv2d(1, 1, 1)"
    assert case.notes == ("its parameters are views of one buffer, one behind the other",)


def test_a_layer_is_shrunk_only_to_those_that_break_in_the_same_way():
    """A crash on strides is simpler than wrong numbers of dilated groups, and another fault."""

    class Wrong(nn.Module):
        def __init__(self, conv):
            super().__init__()
            self.conv = conv
            self.train(conv.training)

        def forward(self, x):
            return self.conv(x).flip(-1)

    def convert(conv):
        if conv.dilation != (1, 1) and conv.groups > 1:
            return Wrong(conv)
        if conv.groups > 1:
            raise KeyError(conv.groups)
        raise ValueError(conv.dilation)

    with pytest.raises(Broken) as raised:
        check(convert, where=lambda conv: conv.dilation != (1, 1))
    assert raised.value.answer.way == ("broken", "numbers")
    assert str(raised.value.answer.case) == "nn.Conv2d(2, 2, 1, dilation=2, groups=2)"
    assert raised.value.answer.case.input_shape == (2, 1, 2)


def test_shrinking_ends_however_many_layers_fail():
    asked = []
    shrunk(sweep(nn.Conv3d)[-1], lambda case: asked.append(case) or len(asked) % 7 == 0)
    assert 10 < len(asked) <= 200
    assert len(set(asked)) == len(asked)
