"""Operations in place whose result nobody takes: the right network, or a refusal by name."""

import copy
import operator

import pytest
import torch
from dense_oracle import worst
from small_nets import Net, conv
from torch import nn
from torch.nn import functional

from convlin import Refused, fully_convolutional

WINDOW = (3, 8, 7)

OPERATIONS = {
    "relu-keyword": lambda y: functional.relu(y, inplace=True),
    "relu-positional": lambda y: functional.relu(y, True),
    "relu-torch": torch.relu_,
    "relu-method": lambda y: y.relu_(),
    "relu-module": "act",
    "leaky": lambda y: functional.leaky_relu(y, 0.1, True),
    "elu": lambda y: functional.elu_(y),
    "hardswish": lambda y: functional.hardswish(y, True),
    "dropout": lambda y: functional.dropout(y, 0.5, False, True),
    "mul": lambda y: y.mul_(2),
    "add": lambda y: y.add_(0.5),
    "neg": torch.neg_,
    "clamp": lambda y: y.clamp_(-1, 1),
    "add-map": lambda y: y.add_(y * 2),
    "imul": lambda y: operator.imul(y, 2),
    "isub": lambda y: operator.isub(y, 1.5),
    "zero": lambda y: y.zero_(),
    "fill": lambda y: y.fill_(2),
    "copy": lambda y: y.copy_(y * 2),
    "setitem": lambda y: operator.setitem(y, (slice(None), 0), 1.0),
    "out": lambda y: torch.mul(y, 2, out=y),
    "out-exp": lambda y: torch.exp(y, out=y),
    "unsqueeze": lambda y: y.unsqueeze_(1),
    "swapaxes": lambda y: y.swapaxes_(1, 1),
}


def on_the_map(m, x, change):
    y = m.a(x)
    change(y)
    return m.head(y.flatten(1))


def behind_a_layer(m, x, change):
    y = torch.tanh(m.a(x))
    change(y)
    return m.head(y.flatten(1))


def on_the_flattened(m, x, change):
    y = m.a(x).flatten(1)
    change(y)
    return m.head(y)


def on_a_view(m, x, change):
    y = m.a(x)
    change(y.flatten(1))
    return m.head(y.flatten(1))


def under_a_view(m, x, change):
    y = m.a(x)
    z = y.flatten(1)
    change(y)
    return m.head(z)


def on_the_permuted(m, x, change):
    y = m.a(x).permute(0, 2, 3, 1)
    change(y)
    return m.head(y.flatten(1))


def on_an_alias(m, x, change):
    y = m.a(x)
    skip = y
    change(y)
    return m.head((skip + y).flatten(1))


def beside_a_copy(m, x, change):
    y = m.a(x)
    skip = y.clone()
    change(y)
    return m.head((skip + y).flatten(1))


def on_a_copy_of_the_images(m, x, change):
    y = x.clone()
    change(y)
    return m.head(m.a(y).flatten(1)) + m.head(m.a(x).flatten(1))


def between_two_heads(m, x, change):
    y = m.a(x)
    first = m.head(y.flatten(1))
    change(y)
    return first, m.other(y.flatten(1))


def between_linears(m, x, change):
    y = m.head(m.a(x).flatten(1))
    change(y)
    return m.last(y)


def on_the_output(m, x, change):
    y = m.head(m.a(x).flatten(1))
    change(y)
    return y


def pooled(m, x, change):
    y = m.a(x).mean((2, 3))
    change(y)
    return m.narrow(y)


POSITIONS = [on_the_map, behind_a_layer, on_the_flattened, on_a_view, under_a_view, on_the_permuted,
             on_an_alias, beside_a_copy, on_a_copy_of_the_images, between_two_heads, between_linears,
             on_the_output, pooled]  # fmt: skip
# where y[:, 0] is no channel: a row of cells, or one cell of all
CELLS = [on_the_flattened, on_a_view, on_the_permuted]


def network_of(position, change):
    torch.manual_seed(5)
    return Net(
        lambda m, x: position(m, x, getattr(m, change) if isinstance(change, str) else change),
        act=nn.ReLU(inplace=True), a=conv(3, 4, 3), head=nn.Linear(4 * 6 * 5, 7),
        other=nn.Linear(4 * 6 * 5, 2), last=nn.Linear(7, 3), narrow=nn.Linear(4, 3),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("position", POSITIONS)
def test_the_network_is_right_or_a_write_to_some_cells_refused(position, operation):
    model = network_of(position, OPERATIONS[operation])
    if operation == "setitem" and position in CELLS:
        with pytest.raises(Refused, match="select_scatter: part is .* writes to some cells"):
            fully_convolutional(model, WINDOW)
        return
    try:
        with torch.no_grad():
            model(torch.zeros(2, *WINDOW))
    except RuntimeError:  # an axis more is too much for some of them
        with pytest.raises(Refused, match="at batch 2: RuntimeError"):
            fully_convolutional(model, WINDOW)
        return
    network = fully_convolutional(model, WINDOW)
    linear = [row for row in network.report.rows if "Linear" in row.operation]
    assert linear and all(row.verdict for row in linear)
    images = torch.randn(2, 3, 10, 8, generator=torch.Generator().manual_seed(1)).double()
    given = images.clone()
    assert worst(copy.deepcopy(model), copy.deepcopy(network), images) < 1e-10
    assert torch.equal(images, given)
