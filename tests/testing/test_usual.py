"""A conversion that takes everything and is wrong on one usual layer of real networks is caught."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convlin.testing import Broken, check
from convlin.testing.sweep import KINDS
from convlin.testing.usual import usual


class Wrong(nn.Module):
    """The layer itself, but for those that `wrong` names, which give nothing."""

    def __init__(self, layer, wrong):
        super().__init__()
        self.layer, self.wrong = layer, wrong
        self.train(layer.training)

    def forward(self, x):
        y = self.layer(x)
        return y * 0 if self.wrong(self.layer, x) else y


def has(**fields):
    return lambda layer, x: all(getattr(layer, name) == value for name, value in fields.items())


FAULTS = {
    "halving": has(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)),
    "stem": has(kernel_size=(7, 7), stride=(2, 2), padding=(3, 3)),
    "atrous": has(kernel_size=(3, 3), dilation=(2, 2), padding=(2, 2)),
    "depthwise-5": has(kernel_size=(5, 5), padding=(2, 2), groups=3),
    "depthwise-halving": has(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), groups=3),
    "depthwise-7": has(kernel_size=(7, 7), stride=(1, 1), padding=(3, 3), groups=2),
    "column": has(kernel_size=(3, 1)),
    "row": has(kernel_size=(1, 3), padding=(0, 1)),
    "grey": has(in_channels=1),
    "many-groups": lambda layer, x: layer.groups >= 4,
    "square": lambda layer, x: layer.kernel_size == (3, 3) and x.shape[-1] == x.shape[-2],
    "gan": has(kernel_size=(4, 4), stride=(2, 2), padding=(1, 1)),
    "frozen-bias": lambda layer, x: (
        layer.bias is not None and layer.weight.requires_grad and not layer.bias.requires_grad
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_one_usual_layer_is_caught(fault):
    def convert(conv):
        if type(conv) is not nn.Conv2d:
            raise ValueError("a subclass")
        return Wrong(conv, FAULTS[fault])

    with pytest.raises(Broken) as raised:
        check(convert)
    assert raised.value.answer.way == ("broken", "numbers")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_class_has_usual_layers_that_take_their_input(kind):
    cases = list(usual(kind))
    assert len(cases) >= 4
    for case in cases:
        assert case.layer()(torch.zeros(2, *case.input_shape)).numel()
