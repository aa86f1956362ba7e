"""Parts whose names are those that a network would have chosen for others.

Every name of the model's keeps its numbers, and every layer its name.
"""

import torch
from torch import nn
from torch.nn import functional
from traced_case import Case, head, narrow, refused, right

NUMBERS = (1.0, 2.0, -3.0, 0.5)


def parameter(*shape):
    return lambda: nn.Parameter(torch.empty(shape))


def tied(m, y):
    """Return the channels of every cell through a layer, and back through its own weights."""
    cells = m.fc(y.permute(0, 2, 3, 1)).relu()
    return functional.linear(cells, m.fc.weight.T)


def beside_a_tensor(m, x):
    return m.narrow((tied(m, m.a(x)) * m.fc_weight).mean((1, 2)))


def beside_a_layer(m, x):
    return m.narrow(m.fc_weight(tied(m, m.a(x))).mean((1, 2)))


def beside_an_underscore(m, x):
    return m.narrow((tied(m, m.a(x)) * m._fc_weight).mean((1, 2)))


def beside_numbers(name):
    """Return a forward that makes a tensor, beside one of its own with such a name."""

    def forward(m, x):
        made = torch.tensor(NUMBERS, dtype=x.dtype).view(4, 1, 1)
        return m.head((m.a(x) * getattr(m, name) + made).flatten(1))

    return forward


def stem(size=3):
    return nn.Conv2d(3, 8, size)


def in_two_orders(m, x):
    y = m.wide(x)
    return y.permute(0, 2, 3, 1).contiguous(), y.permute(0, 3, 2, 1).contiguous()


def at_two_sizes(m, x):
    y = m.wide(x)
    return y.permute(0, 2, 3, 1).contiguous(), m.deep(y).permute(0, 3, 2, 1)


def computed_in_two_orders(m, x):
    y = m.wide(x)
    first = functional.linear(y.permute(0, 2, 3, 1).flatten(1), m.w * 2)
    return first + functional.linear(y.permute(0, 3, 2, 1).flatten(1), m.w * 3)


def one_layer_in_three_orders(m, x):
    y = m.wide(x)
    orders = (y, y.permute(0, 2, 3, 1), y.permute(0, 3, 2, 1))
    return sum(m.fc(order.flatten(1)) for order in orders)


class Large(Case):
    """A case of a window whose maps have more numbers than are written into code."""

    window = (3, 18, 17)

    def images(self):
        draw = torch.Generator().manual_seed(1)
        return torch.randn(2, 3, 20, 18, generator=draw, dtype=torch.float64)


def large(forward, **layers):
    return Large(forward, layers, "right")


def called(name):
    """Return a forward whose convolution has this name."""
    return lambda m, x: m.head(m.get_submodule(name)(x).flatten(1))


def strided():
    return nn.Conv2d(3, 4, (3, 4), stride=(2, 1))


TIED = {"fc": lambda: nn.Linear(4, 5), "narrow": narrow}
COUNTS = range(1, 9)  # a network of so few tensors may call its own one constant_5
OWN = (
    "images", "input", "output", "forward_h", "report", "stride", "field", "cells", "crop",
    "network", "x", "torch", "self_", "None_", "getattr", "a_1",
)  # fmt: skip
PYTHONS = ("graph", "code", "meta", "_graph", "add_submodule", "print_readable")

CASES = {
    "names-beside-a-tensor": right(beside_a_tensor, fc_weight=parameter(4), **TIED),
    "names-beside-a-layer": right(beside_a_layer, fc_weight=lambda: nn.Linear(4, 4), **TIED),
    "names-beside-an-underscore": right(beside_an_underscore, _fc_weight=parameter(4), **TIED),
    "names-in-two-orders": large(in_two_orders, wide=stem),
    "names-at-two-sizes": large(at_two_sizes, wide=stem, deep=lambda: nn.Conv2d(8, 8, 2)),
    "names-computed-in-two-orders": large(
        computed_in_two_orders, wide=stem, w=parameter(5, 8 * 16 * 15)),
    "names-one-layer-in-three-orders": large(
        one_layer_in_three_orders, wide=stem, fc=lambda: nn.Linear(8 * 16 * 15, 4)),
    **{f"names-constant-{n}": right(beside_numbers(f"constant_{n}"), head=head(),
                                    **{f"constant_{n}": parameter(4, 1, 1)}) for n in COUNTS},
    **{f"names-{name}": right(called(name), head=head(), **{name: strided}) for name in OWN},
    **{f"names-{name}": refused(called(name), "name is .*, expected another name", head=head(),
                                **{name: strided}) for name in PYTHONS},
    "names-keyword": refused(
        called("branches.class"), "branches.class: name is 'branches.class', expected another name",
        branches=lambda: nn.ModuleDict({"class": strided()}), head=head()),
    "names-spaces": right(
        called("branches.a-b c"), branches=lambda: nn.ModuleDict({"a-b c": strided()}),
        head=head()),
}  # fmt: skip
