"""GPT-2's `Conv1D`, whose weight is (in, out), as a Linear and as a convolution, and back."""

import copy
import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from convlin import ConvGeometry, Proved, Refused, audit, to_conv, to_linear
from convlin.exchange import choose_conv
from convlin.exchange.in_out import InOut, in_out
from geometry_strategies import fill, integers


def layer(inputs=30, outputs=7):
    return fill(Conv1D(outputs, inputs).double())


WAYS = {
    "linear": (to_linear, {}),
    "rows": (to_conv, {}),
    "rows-1d": (to_conv, {"ndim": 1}),
    "map": (to_conv, {"feature_size": (3, 2, 5), "order": "WCH"}),
}
TABLE = pytest.mark.parametrize("way, options", WAYS.values(), ids=WAYS)


def by_loops(given, x):
    y = torch.zeros(*x.shape[:-1], given.nf, dtype=x.dtype)
    for o in range(given.nf):
        y[..., o] = given.bias[o]
        for i in range(given.nx):
            y[..., o] += given.weight[i, o] * x[..., i]
    return y


@TABLE
@pytest.mark.parametrize("shape", [(4, 30), (2, 3, 30), (30,), (0, 30)], ids=str)
def test_the_outputs_are_those_of_the_loops(way, options, shape):
    given, x = layer(), integers(*shape, seed=3)
    with torch.no_grad():
        assert torch.equal(way(given, **options)(x), by_loops(given, x))


@TABLE
def test_weights_are_shared_and_the_layer_comes_back(way, options):
    given = layer().eval()
    form = way(given, **options)
    inner = form.linear if way is to_linear else form.conv
    assert inner.weight.data_ptr() == given.weight.data_ptr()
    assert inner.bias is given.bias
    back = form.to_original()
    assert type(back) is Conv1D and repr(back) == repr(given)
    assert back.weight.data_ptr() == given.weight.data_ptr()
    assert back.weight.stride() == given.weight.stride()
    assert torch.equal(back.weight, given.weight) and back.bias is given.bias
    assert not back.training
    x = integers(4, 30, seed=3)
    assert torch.equal(back(x), given(x))
    own = way(given, copy=True, **options)
    assert own.state_dict().keys() == form.state_dict().keys()
    assert not {p.data_ptr() for p in own.parameters()} & {p.data_ptr() for p in given.parameters()}


@TABLE
def test_it_stands_for_its_layer(way, options):
    given = layer()
    form = way(given, copy=True, **options)
    own, state = form.state_dict(), given.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[key], state[key]) for key in own)
    form.load_state_dict({key: value + 1 for key, value in state.items()})
    assert torch.equal(form.to_original().weight, given.weight + 1)
    assert (form.nx, form.nf) == (30, 7)


def test_a_convolution_of_it_gives_a_linear_too():
    given = layer()
    for options in ({}, WAYS["map"][1]):
        form = to_conv(given, **options)
        linear = form.to_linear()
        assert type(linear) is nn.Linear
        assert torch.equal(linear.weight, given.weight.T)
        assert linear.weight.data_ptr() == given.weight.data_ptr()
    plain = nn.Linear(30, 7)
    assert type(to_conv(plain).to_original()) is nn.Linear


@TABLE
def test_proved_for_all_weights_and_inputs(way, options):
    verdict = audit(lambda given: way(given, **options), Conv1D(7, 30), (30,))
    assert isinstance(verdict, Proved), str(verdict)
    assert verdict.failure_probability < 1e-15


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_weight_maps_on_plain_arrays(kind):
    stored = integers(30, 7, seed=5)
    stored = stored.numpy() if kind == "numpy" else stored
    plain = InOut(ConvGeometry(30, 7, (1,)))
    on_map = in_out(choose_conv(30, 7, (3, 2, 5), "HWC"))
    weight, kernel = plain.weight(stored), on_map.kernel(stored)
    for o, (c, h, w) in itertools.product(
        range(7), itertools.product(range(3), range(2), range(5))
    ):
        i = (h * 5 + w) * 3 + c
        assert weight[o, i] == stored[i, o] == kernel[o, c, h, w]
    assert np.array_equal(plain.kernel(weight), stored)
    assert np.array_equal(on_map.weight(kernel), stored)


def test_an_order_of_no_axes_is_copied_there_and_back():
    given, order = layer(), torch.randperm(30, generator=torch.Generator().manual_seed(1))
    form = to_conv(given, (3, 2, 5), order=order, copy=True)
    x = integers(4, 30, seed=3)
    assert torch.equal(form(x), given(x))
    assert torch.equal(copy.deepcopy(form).to_original().weight, given.weight)


def test_in_out_says_what_such_a_layer_has_not():
    strided = ConvGeometry(3, 6, (2, 1), stride=2, groups=3)
    assert [r.field for r in InOut.refusals(strided)] == ["kernel", "stride", "groups"]
    assert InOut.refusals(ConvGeometry(3, 6, (1,))) == ()


class Scaled(Conv1D):
    def forward(self, x):
        return super().forward(x) * 2


def odd(**attributes):
    given = layer()
    for name, value in attributes.items():
        setattr(given, name, value)
    return given


REFUSED = {
    "forward": (Scaled(7, 30), {}, "Scaled: forward is .*Scaled.forward, expected Conv1D's"),
    "sizes": (odd(nf=9), {}, r"Conv1D: nf is 9, expected 7 .weight.shape = .30, 7.."),
    "bias": (odd(bias=None), {}, "Conv1D: bias is None, expected an nn.Parameter"),
    "weight": (odd(weight=nn.Parameter(torch.zeros(30, 7, 1))), {}, r"weight.shape is \(30, 7, 1\), expected \(in, out\)"),
    "size": (layer(), {"input_size": 3}, r"to_linear: input_size is 3, expected None .Conv1D is on rows."),
    "exchange": (layer(), {"exchange": "windows"}, "to_linear: exchange is 'windows', expected None"),
}  # fmt: skip


@pytest.mark.parametrize("given, options, words", REFUSED.values(), ids=REFUSED)
def test_refusals_name_the_field(given, options, words):
    with pytest.raises(Refused, match=words):
        to_linear(given, **options)
    if not options:
        with pytest.raises(Refused, match=words):
            to_conv(given)


def test_transformers_is_not_imported_for_its_sake():
    code = (
        "import sys, torch, convlin; convlin.to_linear(torch.nn.Conv2d(3, 5, 1));"
        "convlin.to_conv(torch.nn.Linear(3, 5)).to_original(); print('transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
