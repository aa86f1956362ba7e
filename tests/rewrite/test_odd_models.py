"""Models and layers that are not as others: what a rewrite of them says, and what it leaves whole."""

import types
from collections import UserDict

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

import convlin
from convlin import Proved, Refused

KEYS = ("same", "native")


def rewritten(model, to="linear", **options):
    return convlin.rewrite(model, to, **{"proofs": False, **options})


def row(layer, to="linear", **options):
    (only,) = rewritten(nn.Sequential(layer), to, **options).report.rows
    return only


def pixels(*size):
    return torch.randn(2, 3, *(size or (4, 6)))


class Around(nn.Module):
    """A model around one convolution, called as `call` has it."""

    def __init__(self, call, layer=None):
        super().__init__()
        self.conv = layer or nn.Conv2d(3, 5, 1)
        self.call = call
        self.listed = [self.conv]

    def forward(self, x, *more):
        return self.call(self, x, *more)


# Layers that something else holds


@pytest.mark.parametrize("keys", KEYS)
def test_a_layer_that_a_closure_holds_is_not_left_behind_unnoticed(keys):
    model = Around(None)
    model.forward = lambda x: model.conv(x)
    with pytest.raises(Refused, match="conv: layer is not called in the copy"):
        rewritten(model, keys=keys, example=pixels())
    result = rewritten(model, in_place=True, example=pixels())
    assert type(result.model.conv) is not nn.Conv2d


def test_a_layer_that_a_list_holds_too_is_exchanged_as_the_object_that_it_is():
    model = Around(lambda self, x: self.listed[0](x))
    result = rewritten(model, example=pixels())
    assert result.model.listed[0] is result.model.conv
    with pytest.raises(Refused, match="conv: layer is not called in the copy"):
        rewritten(model, keys="native", example=pixels())


# State that a form in a layer's place would not have


class Counting(nn.Conv2d):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.register_buffer("steps", torch.zeros(1))


class Remembering(nn.Conv2d):
    def get_extra_state(self):
        return 7

    def set_extra_state(self, state):
        assert state == 7


def renaming(*sizes):
    layer = nn.Conv2d(*sizes)
    layer.register_load_state_dict_pre_hook(lambda *_: None)
    return layer


@pytest.mark.parametrize(
    ("make", "field"),
    [(Counting, "steps"), (Remembering, "get_extra_state"),
     (renaming, "_load_state_dict_pre_hooks")],
    ids=["buffer", "extra-state", "hook"],
)  # fmt: skip
def test_state_of_the_layers_own_keeps_it_in_place(make, field):
    refused = row(make(3, 5, 1), keys="native")
    assert refused.answer == "not exchanged" and field in [r.field for r in refused.refusals]
    model = nn.Sequential(make(3, 5, 1))
    result = rewritten(model)
    assert result.report.rows[0].answer == "exchanged"
    assert result.model.state_dict().keys() == model.state_dict().keys()


def test_what_was_noted_on_a_parameter_is_noted_on_the_native_one():
    model = nn.Sequential(nn.Conv2d(3, 5, 1))
    model[0].weight.no_decay = True
    assert rewritten(model, keys="native").model[0].linear.weight.no_decay


@pytest.mark.parametrize(("field", "value"), [("stride", (1, 1)), ("dilation", (2, 2))])
def test_the_geometry_of_a_native_form_cannot_be_set(field, value):
    form = rewritten(nn.Sequential(nn.Conv2d(3, 5, 2, 2)), keys="native").model[0]
    with pytest.raises(Refused, match=f"{field} is"):
        setattr(form, field, value)
    setattr(form, field, getattr(form, field))


def test_weights_that_no_order_of_axes_maps_get_no_native_form():
    refused = row(nn.ConvTranspose1d(4, 6, 3, 3, groups=2), keys="native")
    assert [r.field for r in refused.refusals] == ["weight.shape"]
    assert row(nn.ConvTranspose1d(4, 6, 3, 3, groups=2)).answer == "exchanged"


# Layers whose own code a form would not run


def tiling(self, x, weight, bias):
    return functional.conv2d(functional.pad(x, (2, 0, 0, 0), mode="circular"), weight, bias)


def test_a_method_set_on_one_layer_is_run_before_and_after():
    layer = nn.Conv2d(3, 5, 1)
    result = rewritten(nn.Sequential(layer)).model[0]
    for each in (layer, result):
        each._conv_forward = types.MethodType(tiling, each)
    assert torch.equal(result(images := pixels()), layer(images))
    assert [r.field for r in row(layer).refusals] == ["_conv_forward"]


class Dropping(nn.Linear):
    def forward(self, x):
        return super().forward(functional.dropout(x, 0.5, self.training))


class Demanding(nn.Conv2d):
    def __init_subclass__(cls, *, tag):
        del tag


@pytest.mark.parametrize("keys", KEYS)
def test_what_draws_in_training_stays_in_eval_mode_too(keys):
    assert row(Dropping(3, 5).eval(), "conv", keys=keys).answer == "not exchanged"


def test_a_class_that_cannot_be_derived_from_is_one_refusal():
    model = nn.Sequential(Demanding(3, 5, 1), nn.Conv2d(5, 4, 1))
    assert [r.answer for r in rewritten(model).report.rows] == ["not exchanged", "exchanged"]


@pytest.mark.parametrize("field", ["weight", "bias"])
def test_pruned_layers_stay(field):
    layer = nn.Conv2d(3, 5, 1)
    prune.random_unstructured(layer, field, 0.5)
    assert [r.field for r in row(layer).refusals] == [field]


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_layers_without_outputs_stay():
    assert [r.field for r in row(nn.Linear(3, 0), "conv").refusals] == ["weight.shape"]


def test_another_form_has_a_row_and_stays():
    once = rewritten(nn.Sequential(nn.Linear(3, 5)), "conv").model
    (left,) = rewritten(once, "conv2d").report.rows
    assert left.answer == "not exchanged" and "gives it back" in str(left.refusals[0])


# Examples, and what comes of them


def filled(self, x, cache):
    cache.append(self.conv(x))
    return torch.cat(cache)


def differentiated(self, x):
    return torch.autograd.grad(self.conv(x).square().sum(), x)[0]


EXAMPLES = {
    "a-cache": (filled, lambda: (pixels(), [])),
    "a-mapping": (lambda self, x: self.conv(x), lambda: UserDict(x=pixels())),
    "an-input-that-learns": (differentiated, lambda: pixels().requires_grad_()),
    "a-nested-tensor": (
        lambda self, x: torch.stack([t.sum() for t in torch.nested.nested_tensor(
            [self.conv(x), self.conv(x[:1])]).unbind()]),
        pixels,
    ),
    "a-sparse-output": (lambda self, x: self.conv(x).to_sparse(), pixels),
}  # fmt: skip


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_any_example_is_run_and_left_as_it_was(name, keys):
    call, example = EXAMPLES[name]
    given = example()
    outputs = rewritten(Around(call), keys=keys, example=given).report.outputs
    assert outputs.difference < 1e-5 and outputs.in_float64 < 1e-10
    assert name != "a-cache" or given[1] == []


def with_argument(self, x):
    return self.conv(x, output_size=[9, 13])


def test_an_argument_that_a_native_form_does_not_take_is_said():
    model = Around(with_argument, nn.ConvTranspose2d(3, 5, 2, 2))
    with pytest.raises(Refused, match=r"unexpected keyword argument 'output_size'.*keys='same'"):
        rewritten(model, keys="native", example=pixels())
    assert rewritten(model, example=pixels()).report.outputs.in_float64 == 0


@pytest.mark.parametrize(
    "give", [lambda self, x: None, lambda self, x: self.conv(x) * torch.nan], ids=["none", "nan"]
)
def test_nothing_to_compare_is_not_seen(give):
    def call(self, x):
        self.conv(x)
        return give(self, x)

    report = rewritten(Around(call), example=pixels()).report
    assert report.verdict.startswith("derived, not seen") and "no number" in str(report.outputs)


def test_models_on_the_meta_device_are_observed():
    model = Around(lambda self, x: self.conv(x), nn.Conv2d(3, 5, 1, device="meta"))
    report = rewritten(model, example=pixels().to("meta")).report
    assert report.rows[0].seen and report.verdict.startswith("derived, not seen")


def test_complex_models_are_compared():
    model = nn.Sequential(nn.Linear(5, 4)).to(torch.complex64)
    outputs = rewritten(model, "conv", example=torch.randn(1, 5, dtype=torch.complex64))
    assert outputs.report.outputs.difference < 1e-5


def test_attention_with_a_mask_takes_the_same_paths_on_both_sides():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)

        def forward(self, x, mask):
            return self.head(self.encoder(x, src_key_padding_mask=mask))

    mask = torch.arange(5) >= torch.tensor([[5], [3]])
    with torch.no_grad():
        report = rewritten(Masked().eval(), "conv", example=(torch.randn(2, 5, 8), mask)).report
    assert report.outputs.in_float64 < 1e-10


# Proofs, whatever else is set


def proved(**options):
    (only,) = convlin.rewrite(nn.Sequential(nn.Conv2d(3, 5, 1)), **options).report.rows
    return isinstance(only.verdict, Proved)


def test_proofs_are_made_in_place_too():
    assert proved(in_place=True) and proved(in_place=True, example=pixels())


def test_proofs_do_not_depend_on_the_callers_settings():
    with torch.autocast("cpu", torch.bfloat16):
        assert proved(example=pixels())
    conv = nn.Sequential(nn.Conv2d(3, 5, 1))
    with torch.device("meta"):
        (only,) = convlin.rewrite(conv).report.rows
    assert isinstance(only.verdict, Proved)


def test_a_refuted_exchange_is_not_made(monkeypatch):
    from convlin.layers import sliding

    right = sliding.as_linear
    monkeypatch.setattr(sliding, "as_linear", lambda *args: right(*args) + 1)
    result = convlin.rewrite(nn.Sequential(nn.Conv2d(3, 5, 1)))
    assert result.report.rows[0].answer == "not exchanged" and not result.mapping.entries
    assert type(result.model[0]) is nn.Conv2d


def test_jit_trace_records_the_layers_own_operation():
    model = rewritten(nn.Sequential(nn.Conv2d(3, 5, 2, 2)).double()).model
    with pytest.warns((FutureWarning, torch.jit.TracerWarning)):
        traced = torch.jit.trace(model, pixels(8, 8).double())
    images = pixels(6, 10).double()
    assert (traced(images) - model(images)).abs().max() < 1e-12
