"""A form stands for its layer: what code around it reads, sets, saves and loads is the layer's."""

import copy
import io
import pickle
import subprocess
import sys
from collections import OrderedDict
from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.utils import parametrize
from transformers.pytorch_utils import Conv1D

from convlin import Refused, to_conv, to_conv1d, to_conv2d, to_linear, to_pointwise
from geometry_strategies import conv, fill, integers

LAST = torch.channels_last


def linear(features, outputs, bias=True):
    return fill(nn.Linear(features, outputs, bias=bias, dtype=torch.float64), seed=20)


def gpt2(features, outputs):
    return fill(Conv1D(outputs, features).double(), seed=20)


# What the exchange keeps a view of: layer, how it is exchanged, an input.
VIEWS = {
    "pointwise": (conv(1, 3, 5, 1, stride=2, bias=False), to_linear, (2, 3, 7)),
    "patchify": (conv(2, 3, 8, (4, 2), stride=(4, 2)), to_linear, (2, 3, 9, 6)),
    "patchify-3d": (conv(3, 3, 5, (2, 3, 4), stride=(2, 3, 4)), to_linear, (1, 3, 4, 6, 4)),
    "covering": (conv(2, 3, 5, (4, 6)), partial(to_linear, input_size=(4, 6)), (2, 3, 4, 6)),
    "windows": (conv(2, 3, 5, (3, 2), padding=1, dilation=(1, 2), padding_mode="reflect"), partial(to_linear, exchange="windows"), (2, 3, 7, 6)),
    "last": (conv(2, 3, 8, (4, 2), stride=(4, 2)).to(memory_format=LAST), to_linear, (2, 3, 8, 6)),
    "grouped": (conv(2, 4, 6, (3, 2), stride=(3, 2), groups=2), to_linear, (2, 4, 6, 5)),
    "depthwise": (conv(1, 4, 4, 3, stride=3, groups=4, bias=False), to_linear, (2, 4, 9)),
    "transposed": (conv(2, 4, 6, (3, 2), stride=(3, 2), transposed=True), to_linear, (2, 4, 3, 5)),
    "transposed-grouped": (conv(1, 4, 6, 2, stride=2, groups=2, transposed=True), to_linear, (2, 4, 5)),
    "gpt2-linear": (gpt2(6, 5), to_linear, (2, 7, 6)),
    "gpt2-conv": (gpt2(6, 5), to_conv, (2, 7, 6)),
    "rows": (linear(6, 5), to_conv, (2, 7, 6)),
    "rows-1d": (linear(6, 5, bias=False), partial(to_conv, ndim=1), (3, 6)),
    "map": (linear(60, 7), partial(to_conv, feature_size=(3, 4, 5), order="HWC"), (2, 60)),
    "rows-2d": (linear(6, 5), to_conv2d, (2, 7, 6)),
    "line": (conv(1, 4, 6, 3, padding=1, groups=2), to_conv2d, (2, 4, 9)),
    "lines": (conv(2, 3, 5, (1, 4), stride=(2, 1)), to_conv1d, (2, 3, 4, 6)),
    "space-to-depth": (conv(2, 3, 5, 3, stride=3, bias=False), to_pointwise, (2, 3, 7, 6)),
    "frames": (conv(3, 3, 5, (2, 3, 2), stride=(2, 1, 2)), to_conv2d, (2, 3, 4, 5, 6)),
}  # fmt: skip
# Where the inner weight holds other numbers than the layer's, or no view has their order.
COPIES = {
    "blocks": (conv(2, 4, 6, (3, 2), stride=(3, 2), groups=2), partial(to_linear, groups="block_diagonal"), (2, 4, 6, 5)),
    "dense": (conv(2, 3, 4, 3, padding=1), partial(to_linear, input_size=(5, 6)), (2, 3, 5, 6)),
    "dense-transposed": (conv(1, 3, 4, 3, stride=2, output_padding=1, transposed=True), partial(to_linear, input_size=5), (2, 3, 5)),
    "matrices": (conv(2, 4, 6, 3, padding=1, groups=2), partial(to_linear, input_size=(5, 6)), (2, 4, 5, 6)),
    "scattered": (linear(6, 5), partial(to_conv, feature_size=(3, 2, 1), order=[4, 1, 0, 2, 5, 3], copy=True), (2, 6)),
}  # fmt: skip
ALL = VIEWS | COPIES
views = pytest.mark.parametrize("name", VIEWS)
copies = pytest.mark.parametrize("name", COPIES)
every = pytest.mark.parametrize("name", ALL)


def pair(name, seed=None):
    """Return a layer of a case and a form of it that shares its weights, and an input."""
    layer, _, shape = ALL[name]
    layer = copy.deepcopy(layer)
    if seed is not None:
        fill(layer, seed)
    return layer, exchanged(layer, name), integers(*shape, seed=3)


def exchanged(layer, name):
    _, convert, _ = ALL[name]
    return convert(layer)


def inner(form):
    """Return the weight that the form computes with."""
    return next(p for key, p in form.named_parameters() if not key.endswith("bias"))


CONV = {
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups",
    "padding_mode", "output_padding", "transposed",
}  # fmt: skip
OTHERS = {nn.Linear: {"in_features", "out_features"}, Conv1D: {"nf", "nx"}}


@every
def test_a_form_has_the_attributes_of_its_layer(name):
    layer, _, _ = pair(name)
    layer.tag, layer._is_hf_initialized = ["of the user"], True
    form = exchanged(layer, name)
    for attribute in {"tag", "_is_hf_initialized"} | OTHERS.get(type(layer), CONV):
        assert getattr(form, attribute) == getattr(layer, attribute), attribute
    assert form.tag is layer.tag


def test_what_the_form_is_by_itself_is_not_taken_over():
    layer = nn.Conv2d(3, 5, 2, stride=2)
    layer.geometry, layer.extra_repr = "the user's", "too"
    form = to_linear(layer)
    assert form.geometry.in_channels == 3
    assert "patchify" in form.extra_repr()


@views
def test_the_weight_is_a_view_of_the_inner_one_in_the_layers_shape(name):
    layer, form, _ = pair(name)
    assert form.weight.shape == layer.weight.shape
    assert torch.equal(form.weight, layer.weight)
    assert form.weight.data_ptr() == inner(form).data_ptr() == layer.weight.data_ptr()
    assert form.bias is layer.bias
    assert form.get_parameter("weight").shape == layer.weight.shape
    inner(form).data = inner(form).data * 2  # in other memory
    assert torch.equal(form.weight, layer.weight * 2)


@copies
def test_the_weight_is_the_inner_one_where_no_view_is_the_layers(name):
    _, form, _ = pair(name)
    assert form.weight is inner(form)


@views
def test_gradients_flow_through_the_weight(name):
    layer, form, _ = pair(name)
    factors = integers(*layer.weight.shape, seed=8)
    (form.weight * factors).sum().backward()
    gradient = inner(form).grad
    form.weight = nn.Parameter(factors)
    assert torch.equal(inner(form), gradient)


@every
def test_initialisers_reach_the_inner_weight(name):
    _, form, x = pair(name)
    nn.init.constant_(form.weight, 0.5)
    assert (inner(form) == 0.5).all()
    form.weight.data.fill_(2)
    assert (inner(form) == 2).all()
    with torch.no_grad():
        form.weight.mul_(0)
        if form.bias is not None:
            form.bias.fill_(3)
    assert (form(x) == (0 if form.bias is None else 3)).all()


@every
def test_setting_the_weight_sets_the_inner_one(name):
    layer, form, x = pair(name)
    given = nn.Parameter(integers(*layer.weight.shape, seed=40), requires_grad=False)
    given.noted = "by a loader"
    layer.weight = form.weight = given
    assert torch.equal(form(x), layer(x))
    assert inner(form).noted == "by a loader"
    assert not inner(form).requires_grad
    assert "_is_param" not in vars(inner(form))
    if layer.bias is not None:
        layer.bias = form.bias = nn.Parameter(integers(*layer.bias.shape, seed=41))
        assert torch.equal(form(x), layer(x))
        assert (form.bias is layer.bias) == (not name.startswith("dense"))


def test_a_bias_may_come_and_go():
    layer, form, x = pair("rows-1d")
    form.bias = layer.bias = nn.Parameter(integers(5))
    assert torch.equal(form(x), layer(x))
    assert list(form.state_dict()) == ["weight", "bias"]
    layer.load_state_dict(form.state_dict())
    form.bias = None
    assert list(form.state_dict()) == ["weight"]


def test_a_tensor_without_gradients_is_set_as_loaders_mean_it():
    _, form, _ = pair("patchify")
    form.linear.weight.requires_grad_(False)
    form.weight = integers(8, 3, 4, 2)
    assert torch.equal(form.weight, integers(8, 3, 4, 2))
    assert not form.linear.weight.requires_grad
    with pytest.raises(TypeError, match="cannot assign 'torch.DoubleTensor' as parameter 'weight'"):
        form.weight = integers(8, 3, 4, 2).requires_grad_() * 2


@every
def test_a_weight_of_another_shape_is_refused(name):
    layer, form, _ = pair(name)
    with pytest.raises(Refused) as caught:
        form.weight = nn.Parameter(torch.zeros(3, 2))
    shape = tuple(layer.weight.shape)
    assert str(caught.value) == f"{type(form).__name__}: weight.shape is (3, 2), expected {shape}"


class Net(nn.Module):
    """A site beside other layers, a part that is shared, and a list."""

    def __init__(self, site):
        super().__init__()
        self.first = nn.BatchNorm1d(3)
        self.site, self.again = site, site
        self.rest = nn.ModuleList([nn.PReLU(2), site])


@views
def test_a_model_saves_what_it_saved_before(name):
    layer, form, _ = pair(name)
    state, expected = Net(form).state_dict(), Net(layer).state_dict()
    assert list(state) == list(expected)
    assert state._metadata == expected._metadata
    for key in expected:
        assert torch.equal(state[key], expected[key])
        assert not state[key].requires_grad
        assert not isinstance(state[key], nn.Parameter)
    assert state["site.weight"].data_ptr() == layer.weight.data_ptr()
    given = OrderedDict(mine=1)
    assert form.state_dict(destination=given, prefix="a.") is given
    assert list(given) == ["mine", *(f"a.{key}" for key in layer.state_dict())]


@views
def test_variables_are_kept_where_they_are_asked_for(name):
    _, form, _ = pair(name)
    inner(form).noted = "by a loader"
    kept = form.state_dict(keep_vars=True)
    assert all(isinstance(value, nn.Parameter) for value in kept.values())
    assert kept["weight"].noted == "by a loader"
    kept["weight"].sum().backward()
    assert (inner(form).grad == 1).all()


@copies
def test_forms_that_copy_save_the_inner_layer(name):
    _, form, _ = pair(name)
    held = [f"{child}.{name}" for child, _ in form.named_children() for name in ("weight", "bias")]
    assert list(form.state_dict()) == (held or ["matrices", "bias"])


@pytest.mark.parametrize("assign", [False, True], ids=["copied", "assigned"])
@every
def test_both_layouts_load(name, assign):
    layer, form, x = pair(name)
    new, other, _ = pair(name, seed=60)
    others = nn.Module.state_dict(Net(nn.Identity()))
    for state in (new.state_dict(), {key: p.detach() for key, p in other.named_parameters()}):
        net = Net(exchanged(copy.deepcopy(layer), name))
        sites = {
            f"{site}.{key}": state[key] for site in ("site", "again", "rest.1") for key in state
        }
        net.load_state_dict(others | sites, assign=assign)
        assert torch.equal(net.site(x), new(x))
        assert all(p.requires_grad for p in net.site.parameters())
    form.load_state_dict(form.state_dict())  # onto itself
    assert torch.equal(form(x), layer(x))


@every
def test_a_form_without_numbers_is_given_them(name):
    layer, _, x = pair(name)
    form = (
        exchanged(copy.deepcopy(layer).to("meta"), name)
        if name in VIEWS
        else exchanged(layer, name).to("meta")
    )
    assert all(p.is_meta for p in form.parameters())
    form.load_state_dict(layer.state_dict(), assign=True)
    assert not any(p.is_meta for p in form.parameters())
    if name == "scattered":
        form.gather = torch.argsort(torch.tensor(form.exchange.elements))  # no part of any state
    assert torch.equal(form(x), layer(x))


def test_a_state_dict_that_does_not_fit_is_an_error_by_key():
    _, form, _ = pair("patchify")
    net = nn.Sequential(form)
    good = copy.deepcopy(net.state_dict())
    wrong = {
        "size mismatch for 0.weight: copying a param with shape (8, 24) from checkpoint, the shape in current model is (8, 3, 4, 2).":
            good | {"0.weight": torch.zeros(8, 24)},
        "size mismatch for 0.bias: copying a param with shape (7,)": good | {"0.bias": torch.zeros(7)},
        "size mismatch for 0.weight: copying a param with shape str": good | {"0.weight": "lost"},
        'Unexpected key(s) in state_dict: "0.gain".': good | {"0.gain": torch.zeros(1)},
        'Unexpected key(s) in state_dict: "0.weight".': good | {"0.linear.weight": torch.zeros(8, 24)},
        'Missing key(s) in state_dict: "0.linear.weight".': {"0.bias": good["0.bias"]},
    }  # fmt: skip
    for message, state in wrong.items():
        with pytest.raises(RuntimeError) as caught:
            net.load_state_dict(state)
        assert message in str(caught.value)
        assert str(caught.value).count("\n") == 1  # one error for one fault
    lacking = net.load_state_dict({"0.bias": good["0.bias"] + 1}, strict=False)
    assert lacking.missing_keys == ["0.linear.weight"]
    assert torch.equal(net[0].bias, good["0.bias"] + 1)
    bare = to_linear(conv(2, 3, 8, 1, bias=False))
    with pytest.raises(RuntimeError, match='Unexpected key.s. in state_dict: "bias".'):
        bare.load_state_dict({**bare.state_dict(), "bias": torch.zeros(8)})


def test_matrices_load_that_were_saved_as_the_weight():
    layer, form, x = pair("grouped")
    former = {"weight": form.matrices.detach() * 2, "bias": form.bias.detach()}
    form.load_state_dict(former)
    with torch.no_grad():
        layer.weight.copy_(form.weight)
    assert torch.equal(form.matrices, former["weight"])
    assert torch.equal(form(x), layer(x))


def test_a_changed_memory_format_still_saves_the_layers_weight():
    layer = linear(60, 7)
    form = to_conv(layer, (3, 4, 5)).to(memory_format=LAST)
    assert form.weight is form.conv.weight  # no view of it is a matrix any more
    assert torch.equal(form.state_dict()["weight"], layer.weight)


def test_an_inner_layer_that_is_plain_no_more_has_its_own_keys():
    layer, form, x = pair("patchify")
    kept = copy.deepcopy(form)

    class Half(nn.Module):
        def forward(self, weight):
            return weight / 2

    parametrize.register_parametrization(form.linear, "weight", Half())
    assert list(form.state_dict()) == ["linear.bias", "linear.parametrizations.weight.original"]
    assert torch.equal(form.weight, layer.weight / 2)
    form.load_state_dict(form.state_dict())
    with pytest.raises(RuntimeError, match='Unexpected key.s. in state_dict: "weight"'):
        form.load_state_dict(layer.state_dict())

    kept.linear = nn.Sequential(kept.linear)
    assert list(kept.state_dict()) == ["linear.0.weight", "linear.0.bias"]
    assert kept.weight.dtype == torch.float64
    assert torch.equal(kept(x), layer(x))


def test_a_quantized_inner_layer_has_a_dtype():
    form = to_linear(nn.Conv2d(3, 8, 2, stride=2))
    torch.ao.quantization.quantize_dynamic(form, {nn.Linear}, inplace=True)
    assert form.weight.dtype == torch.qint8
    assert form.bias.shape == (8,)
    assert "weight" not in form.state_dict()


@every
def test_copies_load_for_themselves(name):
    layer, form, x = pair(name)
    new, _, _ = pair(name, seed=60)
    file = io.BytesIO()
    torch.save(form, file)
    file.seek(0)
    twins = (
        copy.deepcopy(form),
        pickle.loads(pickle.dumps(form)),
        torch.load(file, weights_only=False),
    )
    for twin in twins:
        twin.load_state_dict(new.state_dict())
        assert torch.equal(twin(x), new(x))
        assert torch.equal(form(x), layer(x))


class Reader(nn.Module):
    """A parent that reads all of its child."""

    def __init__(self, site):
        super().__init__()
        self.site = site

    def forward(self, x):
        own = self.site(x.to(self.site.weight.dtype))
        geometry = self.site.stride, self.site.padding, self.site.dilation, self.site.groups
        return own + torch.conv2d(x, 3 * self.site.weight, self.site.bias, *geometry)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", ["patchify", "last", "grouped", "windows"])
def test_tracers_follow_a_parent_that_reads_its_child(name):
    layer, convert, shape = ALL[name]
    layer = copy.deepcopy(layer)
    if name == "windows":  # a parent does not pad by reflection
        layer = conv(2, 3, 5, (3, 2), padding=1, dilation=(1, 2))
    form = convert(layer)
    net, x = Reader(form), integers(*shape, seed=3)
    y = Reader(layer)(x)
    assert torch.equal(net(x), y)
    torch._dynamo.reset()
    assert torch.equal(torch.compile(net, backend="aot_eager", fullgraph=True)(x), y)
    assert torch.equal(torch.jit.trace(net, x)(x), y)
    free = ({0: torch.export.Dim("n")},)
    for strict in (False, True):
        exported = torch.export.export(net, (x,), dynamic_shapes=free, strict=strict)
        assert torch.equal(exported.module()(x[:1]), y[:1])

    parameters = {key: p.detach() for key, p in net.named_parameters()}
    tripled = {key: 3 * p for key, p in parameters.items()}
    assert torch.equal(functional_call(net, tripled, (x,)), 3 * y)
    stacked = {key: torch.stack([parameters[key], tripled[key]]) for key in parameters}
    assert torch.equal(vmap(lambda p: functional_call(net, p, (x,)))(stacked)[1], 3 * y)
    net(x).sum().backward()
    gradients = grad(lambda p: functional_call(net, p, (x,)).sum())(parameters)
    for key, p in net.named_parameters():
        assert torch.equal(gradients[key], p.grad)


FX = """
import torch
from torch import fx, nn
from convlin import to_conv, to_linear

class Reader(nn.Module):
    def __init__(self, site, use):
        super().__init__()
        self.site, self.use = site, use
    def forward(self, x):
        y = self.site(x.to(self.site.weight.dtype))
        return y + self.use(x, 3 * self.site.weight, self.site.bias)

def strided(x, weight, bias):
    return torch.conv2d(x, weight, bias, 2)

def grouped(x, weight, bias):
    return torch.conv2d(x, weight, bias, 2, groups=2)

for layer, use, shape in (
    (nn.Conv2d(3, 5, 2, stride=2), strided, (2, 3, 4, 6)),
    (nn.Conv2d(4, 6, 2, stride=2, groups=2), grouped, (2, 4, 4, 6)),
    (nn.Linear(6, 4), nn.functional.linear, (2, 6)),
):
    layer = layer.double()
    form = to_conv(layer) if isinstance(layer, nn.Linear) else to_linear(layer)
    traced = fx.symbolic_trace(Reader(form, use))
    x = torch.randint(-9, 10, shape).double()
    with torch.no_grad():
        for parameter in form.parameters():
            parameter.copy_(torch.randint(-9, 10, parameter.shape))
    assert torch.equal(traced(x), Reader(layer, use)(x))
    traced(x).sum().backward()
    assert all(p.grad is not None for p in form.parameters())
    print(type(form).__name__)
"""


def test_fx_follows_a_parent_that_reads_its_child():
    # In a process of its own: here every annotation is checked, and fx passes proxies for tensors.
    done = subprocess.run([sys.executable, "-c", FX], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["SlidingLinear", "BatchedLinear", "PointwiseConv"]
