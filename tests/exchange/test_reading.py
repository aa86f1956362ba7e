"""Layers that compute more than their class says are refused, by name."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from convlin import Refused, to_conv, to_linear
from geometry_strategies import conv, fill, integers


def layer():
    return conv(2, 3, 5, 1)


def a_hook(*_):
    return None


def hooked(register, *, on="layer"):
    made = layer()
    target = made if on == "layer" else made.get_parameter(on)
    getattr(target, register)(a_hook)
    return made


class Scaled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


class Standardised(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight - weight.mean(), bias)


class Renamed(nn.Conv2d):
    """Computes what nn.Conv2d does."""


def patched():
    made = layer()
    made.forward = lambda x: x
    return made


def with_buffer_weight():
    made = layer()
    weight = made.weight.data
    del made.weight
    made.register_buffer("weight", weight)
    return made


class Tagged(torch.Tensor):
    pass


def with_tensor_subclass():
    made = layer()
    made.weight = nn.Parameter(made.weight.data.as_subclass(Tagged))
    return made


HOOK = "a hook may change what the layer computes"
ODD = {
    "forward-hook": (
        lambda: hooked("register_forward_hook"),
        [f"Conv2d: _forward_hooks is a_hook, expected none ({HOOK})"],
    ),
    "forward-pre-hook": (
        lambda: hooked("register_forward_pre_hook"),
        [f"Conv2d: _forward_pre_hooks is a_hook, expected none ({HOOK})"],
    ),
    "backward-hook": (
        lambda: hooked("register_full_backward_hook"),
        [f"Conv2d: _backward_hooks is a_hook, expected none ({HOOK})"],
    ),
    "backward-pre-hook": (
        lambda: hooked("register_full_backward_pre_hook"),
        [f"Conv2d: _backward_pre_hooks is a_hook, expected none ({HOOK})"],
    ),
    "gradient-hook": (
        lambda: hooked("register_hook", on="weight"),
        ["Conv2d: weight._backward_hooks is a_hook, expected none (the exchanged parameter would lose it)"],
    ),
    "accumulation-hook": (
        lambda: hooked("register_post_accumulate_grad_hook", on="weight"),
        ["Conv2d: weight._post_accumulate_grad_hooks is a_hook, expected none (the exchanged parameter would lose it)"],
    ),
    "own-forward": (
        lambda: Scaled(3, 5, 1),
        [f"Scaled: forward is {__name__}.Scaled.forward, expected nn.Conv2d's "
         "(an nn.Conv2d with these parameters would do)"],
    ),
    "own-conv-forward": (
        lambda: Standardised(3, 5, 1),
        [f"Standardised: _conv_forward is {__name__}.Standardised._conv_forward, expected nn.Conv2d's "
         "(an nn.Conv2d with these parameters would do)"],
    ),
    "patched-forward": (patched, ["Conv2d: forward is set on this one layer, expected nn.Conv2d's"]),
    "parametrization": (
        lambda: parametrizations.weight_norm(layer()),
        ["ParametrizedConv2d: parametrizations is weight, expected none "
         "(torch.nn.utils.parametrize.remove_parametrizations first)"],
    ),
    "lazy": (
        lambda: nn.LazyConv2d(5, 1),
        ["LazyConv2d: type is LazyConv2d, expected nn.Conv2d (run a lazy layer once first)"],
    ),
    "linear": (
        lambda: nn.Linear(3, 5),
        ["Linear: type is Linear, expected nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, "
         "nn.ConvTranspose2d, nn.ConvTranspose3d (from torch.nn.modules.linear)"],
    ),
    "buffer-weight": (
        with_buffer_weight,
        ["Conv2d: weight is computed from other parameters, expected an nn.Parameter "
         "(torch.nn.utils.remove_weight_norm, remove_spectral_norm or prune.remove first)"],
    ),
    "tensor-subclass": (
        with_tensor_subclass,
        ["Conv2d: weight is a Tagged, expected an nn.Parameter of plain Tensor"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("make, words", ODD.values(), ids=ODD)
def test_odd_layers_are_refused_by_name(make, words):
    with pytest.raises(Refused) as caught:
        to_linear(make())
    assert [str(refusal) for refusal in caught.value.refusals] == words


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "apply, hook",
    [
        (weight_norm, "WeightNorm"),
        (spectral_norm, "SpectralNorm"),
        (lambda made: prune.random_unstructured(made, "weight", 1), "RandomUnstructured"),
    ],
    ids=["weight_norm", "spectral_norm", "prune"],
)
def test_weights_computed_by_hooks_are_refused_with_the_cure(apply, hook):
    made = apply(layer())
    with pytest.raises(Refused) as caught:
        to_linear(made)
    fields = {refusal.field: refusal for refusal in caught.value.refusals}
    assert fields["_forward_pre_hooks"].value == hook
    assert (
        "remove_weight_norm, remove_spectral_norm or prune.remove first" in fields["weight"].reason
    )


def test_after_the_cure_they_fit():
    made = parametrizations.weight_norm(layer())
    nn.utils.parametrize.remove_parametrizations(made, "weight")
    x = integers(1, 3, 4, 6)
    assert torch.equal(to_linear(made)(x), made(x))


def test_several_oddities_are_all_named():
    made = Scaled(3, 5, 1)
    made.register_forward_hook(a_hook)
    made.weight.register_hook(a_hook)
    with pytest.raises(Refused) as caught:
        to_linear(made)
    fields = [refusal.field for refusal in caught.value.refusals]
    assert fields == ["forward", "_forward_hooks", "weight._backward_hooks"]


def test_a_subclass_that_computes_what_its_base_does_fits():
    made = fill(Renamed(3, 5, 1).double())
    x = integers(2, 3, 4, 6)
    form = to_linear(made)
    assert torch.equal(form(x), made(x))
    assert type(form.to_conv()) is nn.Conv2d


def test_quantized_layers_are_refused():
    quantized = torch.ao.nn.quantized.Conv2d(3, 5, 1)
    with pytest.raises(
        Refused, match=r"type is Conv2d, expected nn.Conv1d.*from torch.ao.nn.quantized"
    ):
        to_linear(quantized)
    with pytest.raises(
        Refused, match=r"type is Linear, expected nn.Linear .from torch.ao.nn.quantized"
    ):
        to_conv(torch.ao.nn.quantized.Linear(3, 5))


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def test_linears_are_read_alike():
    with pytest.raises(Refused, match=r"Doubled: forward is .*test_reading\.Doubled\.forward"):
        to_conv(Doubled(3, 5))
    with pytest.raises(Refused, match=r"Conv2d: type is Conv2d, expected nn.Linear"):
        to_conv(layer())
    with pytest.raises(Refused, match="run a lazy layer once first"):
        to_conv(nn.LazyLinear(5))
    hooked_linear = nn.Linear(3, 5)
    hooked_linear.register_forward_hook(a_hook)
    with pytest.raises(Refused, match="_forward_hooks is a_hook"):
        to_conv(hooked_linear)
    attention = nn.MultiheadAttention(4, 2).out_proj
    assert type(attention) is not nn.Linear
    x = torch.randint(-3, 4, (2, 4)).float()
    attention.weight.data.copy_(integers(4, 4))
    assert torch.equal(to_conv(attention)(x), attention(x))


FORMS = {
    "sliding": lambda: to_linear(layer()),
    "batched": lambda: to_linear(conv(2, 4, 6, 1, groups=2)),
    "fixed-size": lambda: to_linear(conv(2, 3, 5, 2), (3, 4)),
}


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_forms_with_hooks_have_no_way_back(make):
    form = make()
    form.register_forward_hook(a_hook)
    with pytest.raises(Refused, match="_forward_hooks is a_hook"):
        form.to_conv()


def test_forms_whose_child_was_replaced_have_no_way_back():
    form = to_linear(layer())
    form.linear = nn.Sequential(form.linear)
    with pytest.raises(Refused, match=r"Sequential: type is Sequential, expected nn.Linear"):
        form.to_conv()
    form = to_conv(nn.Linear(3, 5))
    form.conv.register_forward_hook(a_hook)
    with pytest.raises(Refused, match="_forward_hooks is a_hook"):
        form.to_linear()
