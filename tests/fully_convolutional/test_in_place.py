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

# name: (operation, whether only the check can tell: the tracer takes y *= 2 for y = y * 2)
OPERATIONS = {
    "relu-keyword": (lambda y: functional.relu(y, inplace=True), False),
    "relu-positional": (lambda y: functional.relu(y, True), False),
    "relu-torch": (torch.relu_, False),
    "relu-method": (lambda y: y.relu_(), False),
    "relu-module": ("act", False),
    "leaky": (lambda y: functional.leaky_relu(y, 0.1, True), False),
    "elu": (lambda y: functional.elu_(y), False),
    "hardswish": (lambda y: functional.hardswish(y, True), False),
    "dropout": (lambda y: functional.dropout(y, 0.5, False, True), False),
    "mul": (lambda y: y.mul_(2), False),
    "add": (lambda y: y.add_(0.5), False),
    "neg": (torch.neg_, False),
    "clamp": (lambda y: y.clamp_(-1, 1), False),
    "add-map": (lambda y: y.add_(y * 2), False),
    "imul": (lambda y: operator.imul(y, 2), True),
    "isub": (lambda y: operator.isub(y, 1.5), True),
}
REFUSED = {
    "zero": (lambda y: y.zero_(), "operation is zero_"),
    "fill": (lambda y: y.fill_(2), "operation is fill_"),
    "copy": (lambda y: y.copy_(y * 2), "operation is copy_"),
    "setitem": (lambda y: operator.setitem(y, (slice(None), 0), 1.0), "item assignment"),
    "out": (lambda y: torch.mul(y, 2, out=y), "out is a tensor"),
    "out-exp": (lambda y: torch.exp(y, out=y), "out is a tensor"),
    "unsqueeze": (lambda y: y.unsqueeze_(1), "unsqueeze_"),
    "swapaxes": (lambda y: y.swapaxes_(1, 1), "swapaxes_"),
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
MAY_BE_A_VIEW = {on_a_view, under_a_view}


def network_of(position, change):
    torch.manual_seed(5)
    return Net(
        lambda m, x: position(m, x, getattr(m, change) if isinstance(change, str) else change),
        act=nn.ReLU(inplace=True), a=conv(3, 4, 3), head=nn.Linear(4 * 6 * 5, 7),
        other=nn.Linear(4 * 6 * 5, 2), last=nn.Linear(7, 3), narrow=nn.Linear(4, 3),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("position", POSITIONS)
def test_the_network_is_right_or_the_layer_refused(position, operation):
    change, blind = OPERATIONS[operation]
    model = network_of(position, change)
    try:
        network = fully_convolutional(model, WINDOW)
    except Refused as refused:
        (only,) = refused.refusals
        unseen_by_the_tracer = blind and "when run" in only.reason
        assert unseen_by_the_tracer or (position in MAY_BE_A_VIEW and only.field == "inplace"), only
        return
    assert all(row.verdict for row in network.report.rows if "Linear" in row.operation)
    images = torch.randn(2, 3, 10, 8, generator=torch.Generator().manual_seed(1)).double()
    given = images.clone()
    assert worst(copy.deepcopy(model), copy.deepcopy(network), images) < 1e-10
    assert torch.equal(images, given)


@pytest.mark.parametrize("operation", REFUSED)
@pytest.mark.parametrize("position", [on_the_map, on_the_permuted, between_two_heads])
def test_what_no_rule_knows_is_refused_by_name(position, operation):
    change, words = REFUSED[operation]
    with pytest.raises(Refused) as caught:
        fully_convolutional(network_of(position, change), WINDOW, check=False)
    assert any(words in str(refusal) for refusal in caught.value.refusals), caught.value
