"""Every network is run against its model: whatever the rules say, what differs is not returned."""

import copy
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from lying import instead
from small_nets import NETS, Net, conv
from torch import nn
from torch.nn import functional

from convlin import Refused, fully_convolutional
from convlin.exchange import folded_pool
from convlin.models.dense.axis import Axis
from convlin.models.dense.rules import linear, pooling
from convlin.models.differences import relative
from convlin.models.grouped import AllGroupsAtOnce

WINDOW = (3, 12, 9)


def classifier(*behind, head=6 * 5 * 3):
    """Return conv, ReLU, pool, `behind`, and two Linears; the pool leaves (6, 5, 3)."""
    return nn.Sequential(
        conv(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), *behind, nn.Flatten(), nn.Linear(head, 8), nn.Tanh(),
        nn.Linear(8, 4),
    ).eval()  # fmt: skip


def seen(model, window=WINDOW, **options):
    return fully_convolutional(model, window, proofs=False, **options).report.seen


def refusal(model, window=WINDOW, **options):
    """Return the one refusal that running the network brings."""
    with pytest.raises(Refused) as caught:
        seen(model, window, **options)
    (only,) = caught.value.refusals
    assert "when run, though they were derived to be equal" in only.reason
    fully_convolutional(model, window, proofs=False, check=False, **options)  # nothing else objects
    return only


# Rules that lie. name: (what to change, model, the layer to be named, where it is seen)
def off_by_a_bit(conv):
    with torch.no_grad():
        conv.weight = nn.Parameter(conv.weight.clone())
        conv.weight[1, 2, 0, 0] *= 1 + 2.0**-20
    return conv


def other_order(conv):
    conv.weight = nn.Parameter(conv.weight.flip(1).contiguous())
    return conv


def without_bias(conv):
    conv.bias = None
    return conv


def undilated(conv):
    conv.dilation = (1, 1)
    return conv


def lying_linear(lie):
    def install(monkeypatch):
        honest = linear._made

        def made(call, layer, exchange):
            return honest(call, layer, lambda given: lie(exchange(given)) if call.site.endswith("4") else exchange(given))  # fmt: skip

        monkeypatch.setattr(linear, "_made", made)

    return install


def unread_padding(monkeypatch):
    """Padding that breaks no cell: the derivation calls a padded network exact."""
    honest = Axis.windowed

    def windowed(self, *args, **options):
        return replace(honest(self, *args, **options), broken=(frozenset(),) * honest(self, *args, **options).size)  # fmt: skip

    monkeypatch.setattr(Axis, "windowed", windowed)


def strided_pool(monkeypatch):
    """An adaptive pool with its own stride: only every other window is computed."""
    honest = pooling.grid.POOLS["avg", 2]
    monkeypatch.setitem(
        pooling.grid.POOLS, ("avg", 2), lambda kernel, stride, **o: honest(kernel, kernel, **o)
    )


def wrong_fold(monkeypatch):
    honest = folded_pool.weights
    monkeypatch.setattr(
        folded_pool, "weights", lambda n, o: [row[::-1] for row in honest(n, o)][::1]
    )


def adaptive():
    return nn.Sequential(conv(3, 6, 3), nn.AdaptiveAvgPool2d((5, None)), nn.ReLU(), nn.Flatten(),
                         nn.Linear(6 * 5 * 7, 4)).eval()  # fmt: skip


def padded():
    """Return a network that is not exact: padding behind the pool."""
    return classifier(conv(6, 6, 3, padding=1))


def folding():
    return nn.Sequential(conv(3, 6, 3), nn.AdaptiveAvgPool2d((4, 3)), nn.Identity(), nn.Flatten(),
                         nn.Linear(6 * 4 * 3, 4)).eval()  # fmt: skip


LIES = {
    "one-bit": (lying_linear(off_by_a_bit), classifier, "4", "at the window"),
    "channels-flipped": (lying_linear(other_order), classifier, "4", "at the window"),
    "bias-dropped": (lying_linear(without_bias), classifier, "4", "at the window"),
    "dilation-lost": (lying_linear(undilated), adaptive, "4", "at the window"),
    "another-activation": (instead(nn.Tanh, nn.Softsign), classifier, "5", "at the window"),
    "another-pool": (instead(nn.MaxPool2d, lambda: nn.AvgPool2d(2)), classifier, "2", "at the window"),
    "padding-unread": (unread_padding, padded, "3", "on the crop"),
    "pool-keeps-its-stride": (strided_pool, adaptive, "4", "Error"),
    "fold-mirrored": (wrong_fold, folding, "4", "at the window"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_rule_that_lies_is_found_and_its_layer_named(name, monkeypatch):
    install, build, layer, where = LIES[name]
    torch.manual_seed(7)
    model = build()
    assert seen(model, allow_inexact=True).windows in (3, 9)
    install(monkeypatch)
    found = refusal(model)
    assert found.site == layer, found
    assert where in str(found.value)


# Networks that do something else where they are traced. name: (forward, the layer named)
def asks_for_the_type(m, x):
    y = m.a(x)
    return m.head((y * 2 if type(y) is torch.Tensor else y).flatten(1))


def asks_for_inference_mode(m, x):
    y = m.a(x)
    return m.head((y if torch.is_inference_mode_enabled() else y * 2).flatten(1))


def is_alone(m, x):
    y = m.a(x)
    return m.head((y * 2 if len(x) == 1 else y).flatten(1))


BLIND = {
    "type": (asks_for_the_type, "head"),
    "inference-mode": (asks_for_inference_mode, "head"),
    "one-image-alone": (is_alone, "head"),
}


@pytest.mark.parametrize("name", BLIND)
def test_what_the_tracer_is_blind_to_is_seen(name):
    forward, layer = BLIND[name]
    torch.manual_seed(1)
    model = Net(forward, a=conv(3, 4, 3), head=nn.Linear(4 * 10 * 7, 5)).eval()
    found = refusal(model)
    assert (found.site, found.field) == (layer, "input")


def padding_set_afterwards():
    layer = conv(3, 6, 3, padding=1, padding_mode="circular")
    layer.padding = (0, 0)  # PyTorch still pads
    return layer


def stride_set_afterwards():
    layer = conv(3, 6, 3, padding=1, padding_mode="reflect")
    layer._reversed_padding_repeated_twice = [0, 0, 0, 0]  # it pads no more
    return layer


def forward_replaced():
    layer = conv(3, 6, 3)
    layer.forward = lambda x: functional.conv2d(x, layer.weight.to(x.dtype), stride=2)
    return layer


@pytest.mark.parametrize("build", [padding_set_afterwards, stride_set_afterwards])
@pytest.mark.parametrize("allow_inexact", [False, True])
def test_a_layer_that_is_not_what_its_attributes_say_gives_no_network(build, allow_inexact):
    layer = build()
    features = layer(torch.zeros(1, *WINDOW)).numel()
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(features, 4)).eval()
    with pytest.raises(Refused) as caught:
        seen(model, allow_inexact=allow_inexact)
    assert caught.value.refusals[0].site in ("0", "2")


def test_a_forward_that_was_replaced_is_what_the_layer_does():
    model = nn.Sequential(forward_replaced(), nn.Flatten(), nn.Linear(6 * 5 * 4, 4)).eval()
    assert seen(model).windows == 9


@pytest.mark.parametrize("name", NETS)
def test_every_window_of_an_exact_network_is_seen_in_float64(name):
    torch.manual_seed(2)
    build, window, _ = NETS[name]
    found = seen(build().eval(), window)
    casts = name == "adaptive-divides-one-way-then-strides"  # to float32 and back, in forward
    assert found.dtype == ("float32" if casts else "float64")
    assert found.windows == (6 if len(window) == 2 else 9)
    assert found.unseen == 0 < found.outputs
    # 1e-13: some hundred roundings of 1e-16, for networks of at most ten layers
    assert found.difference < (2.0**-12 if casts else 1e-13)
    assert found.crops is None


def test_an_inexact_network_is_seen_at_the_window_and_its_crops_are_reported():
    torch.manual_seed(3)
    network = fully_convolutional(padded(), WINDOW, allow_inexact=True, proofs=False)
    found = network.report.seen
    assert found.windows == 3 and found.difference < 1e-13
    assert 1e-3 < found.crops < 1
    text = " ".join(str(network.report).split())
    assert "derived, and seen on 3 windows at the window: within" in text
    assert f"crops of a larger image are off by up to {found.crops:.2g} of the largest" in text


def test_an_output_that_hardly_varies_is_not_seen():
    torch.manual_seed(4)
    model = classifier()
    with torch.no_grad():
        model[6].weight[1] *= 1e-12  # its bias alone is left
    found = seen(model)
    assert (found.outputs, found.unseen) == (4, 1)
    assert "1 of 4 outputs hardly vary, and are not seen" in str(found)
    with torch.no_grad():
        model[6].weight *= 1e-12
    assert str(seen(model)).startswith("derived, not seen: every output varies hardly")


def test_an_output_that_is_zero_but_for_rounding_is_no_difference():
    torch.manual_seed(5)
    model = Net(lambda m, x: m.head(m.a(x).flatten(1)) - m.twin(m.a(x).permute(0, 2, 3, 1).flatten(1)),
                a=conv(3, 4, 3), head=nn.Linear(4 * 10 * 7, 5), twin=nn.Linear(4 * 10 * 7, 5)).eval()  # fmt: skip
    kernel = model.head.weight.detach().reshape(5, 4, 10, 7)
    model.twin.weight = nn.Parameter(kernel.permute(0, 2, 3, 1).reshape(5, -1).clone())
    model.twin.bias = model.head.bias
    assert seen(model).windows == 9


def test_nothing_is_said_to_be_seen_that_was_not_run():
    network = fully_convolutional(classifier(), WINDOW, proofs=False, check=False)
    assert network.report.seen is None
    assert "derived, not seen (check=False)" in str(network.report)
    assert network.report.as_dict()["seen"] is None


def test_the_check_leaves_everything_as_it_was():
    class Counting(nn.BatchNorm2d):
        def forward(self, x):
            self.num_batches_tracked += 1
            return super().forward(x)

    Counting.__module__ = "torch.nn.modules.batchnorm"
    model = classifier(Counting(6))
    state = copy.deepcopy(model.state_dict())
    versions = [p._version for p in model.parameters()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    assert seen(model).windows == 9
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [p._version for p in model.parameters()] == versions
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_cannot_be_copied_is_run_as_it_is(dtype):
    class Single(nn.Module):
        def __deepcopy__(self, memo):
            if torch.float64 in {t.dtype for t in memo.values() if isinstance(t, torch.Tensor)}:
                raise RuntimeError("there is one of me")
            return type(self)().eval()

        def forward(self, x):
            return x * 2

    torch.manual_seed(6)
    model = classifier(Single().eval()).to(dtype)
    found = seen(model)
    assert found.dtype == str(dtype).removeprefix("torch.")
    assert found.windows == 9
    assert found.difference < (2.0**-12 if dtype == torch.float32 else 2.0**-4)


def test_a_model_that_fails_in_float64_is_run_in_its_own_dtype():
    table = torch.randn(4, 6, 3, 3)  # no buffer, and so no part of what is copied
    model = Net(lambda m, x: m.head(functional.conv2d(m.a(x), table).flatten(1)), a=conv(3, 6, 3),
                head=nn.Linear(4 * 8 * 5, 5)).eval()  # fmt: skip
    assert seen(model).dtype == "float32"


def test_an_error_of_the_network_alone_names_the_layer(monkeypatch):
    class Fails(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError("by design")

    instead(nn.Tanh, Fails)(monkeypatch)
    found = refusal(classifier())
    assert (found.site, found.value) == ("5", "ZeroDivisionError: by design")


def test_relative_differences():
    one = torch.tensor([1.0, -4.0, float("inf"), float("nan")])
    assert relative(one, one) == 0
    assert relative(one, one * torch.tensor([1, 1.25, 1, 1])) == pytest.approx(0.2)
    assert relative(one, -one) == float("inf")
    assert relative(one, torch.tensor([1.0, -4.0, 7.0, float("nan")])) == float("inf")
    assert relative(one, one[:2]) == float("inf")
    assert relative(torch.zeros(2), torch.zeros(2)) == 0


@pytest.mark.parametrize("options", [
    {"groups": 6}, {"groups": 2, "stride": (2, 1)}, {"groups": 3, "padding": (2, 1), "dilation": (1, 2)},
    {"groups": 6, "padding": (1,), "stride": [2]}, {"groups": 3, "padding": "same"}, {"groups": 1},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("biased", [False, True])
def test_grouped_convolutions_are_the_same_all_at_once(options, biased):
    draw = torch.Generator().manual_seed(3)
    image = torch.randint(-9, 10, (2, 6, 9, 8), generator=draw).double()
    weight = torch.randint(-9, 10, (12, 6 // options["groups"], 3, 2), generator=draw).double()
    bias = torch.arange(12.0).double() if biased else None
    expected = functional.conv2d(image, weight, bias, **options)
    with AllGroupsAtOnce():
        assert torch.equal(functional.conv2d(image, weight, bias, **options), expected)
        assert torch.equal(functional.conv2d(image[0], weight, bias, **options), expected[0])
