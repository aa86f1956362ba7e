"""A layer with another class is the layer it was: fields, copies, files, gradients and compilers.

What it says of whole numbers is compared in `test_reclassed_outputs.py`; here, what happens to the
object, and what it does with tensors and under tools that are not the plain ones.
"""

import copy
import io
import pickle

import pytest
import torch
from torch import fx, nn
from torch.func import functional_call, vmap
from transformers.pytorch_utils import Conv1D

from convlin import ConvlinError
from convlin.layers.reclassed.reclass import reclass
from convlin.layers.reclassed.reclassed import Reclassed, restore
from rewrite.test_reclassed_outputs import assert_same, integers, said, took_its_form, whole

DOUBLE = torch.float64
# name → (layer, its base, target, an input of it)
LAYERS = {
    "patchify": (lambda: nn.Conv2d(3, 5, 2, stride=2), nn.Conv2d, "linear", (2, 3, 6, 8)),
    "pointwise": (lambda: nn.Conv1d(4, 6, 1, groups=2), nn.Conv1d, "linear", (3, 4, 7)),
    "unpatchify": (
        lambda: nn.ConvTranspose2d(3, 5, 2, stride=2), nn.ConvTranspose2d, "linear", (2, 3, 4, 6),
    ),
    "linear-conv": (lambda: nn.Linear(5, 7), nn.Linear, "conv", (2, 3, 5)),
    "linear-conv2d": (lambda: nn.Linear(5, 7), nn.Linear, "conv2d", (2, 3, 5)),
    "line": (lambda: nn.Conv1d(4, 6, 3, padding=1), nn.Conv1d, "conv2d", (2, 4, 7)),
    "transposed-line": (
        lambda: nn.ConvTranspose1d(4, 6, 3, stride=2), nn.ConvTranspose1d, "conv2d", (2, 4, 7),
    ),
    "frames": (
        lambda: nn.Conv3d(3, 5, (2, 3, 3), stride=(2, 1, 1)), nn.Conv3d, "conv2d", (2, 3, 4, 5, 6),
    ),
    "gpt2-linear": (lambda: Conv1D(7, 5), Conv1D, "linear", (2, 3, 5)),
    "gpt2-conv": (lambda: Conv1D(7, 5), Conv1D, "conv", (2, 3, 5)),
    "gpt2-conv2d": (lambda: Conv1D(7, 5), Conv1D, "conv2d", (2, 3, 5)),
}  # fmt: skip
EACH = pytest.mark.parametrize("name", LAYERS)


class Pair:
    """A layer with whole numbers, another of the same parameters with its class changed."""

    def __init__(self, name, dtype=DOUBLE):
        torch.manual_seed(0)
        make, self.base, self.target, shape = LAYERS[name]
        self.plain = make().to(dtype)
        whole(self.plain)
        self.layer = reclass(copy.copy(self.plain), self.base, self.target)
        self.x = integers(*shape).to(dtype)

    def assert_equal(self, *, form, x=None):
        """Both say the same of `x`, in the form or not."""
        x = self.x if x is None else x
        expected, _ = said(self.plain, x)
        got, ran = said(self.layer, x)
        assert_same(expected, got)
        assert not isinstance(expected, Exception), expected
        assert took_its_form(self.base, self.target, ran) == form


# The object


@EACH
def test_only_the_class_is_another_and_it_can_be_given_back(name):
    pair = Pair(name)
    layer, state = pair.layer, vars(pair.layer)
    assert isinstance(layer, pair.base) and isinstance(layer, Reclassed)
    assert state == vars(pair.plain) and layer.weight is pair.plain.weight
    assert list(layer.state_dict()) == list(pair.plain.state_dict())
    pair.assert_equal(form=True)
    assert restore(layer)
    assert type(layer) is pair.base and vars(layer) is state
    assert not restore(layer)
    pair.assert_equal(form=False)


@EACH
def test_the_constructor_is_the_bases(name):
    pair = Pair(name)
    if pair.base is Conv1D:
        made = type(pair.layer)(7, 5)
    else:
        sizes = (5, 7) if pair.base is nn.Linear else (3, 5, 2)
        made = type(pair.layer)(*sizes, bias=False)
        assert made.bias is None
    assert type(made) is type(pair.layer)
    assert {k: p.shape for k, p in made.named_parameters()}.keys() >= {"weight"}
    assert repr(pair.layer).partition("(")[2] == repr(pair.plain).partition("(")[2]


COPIES = {
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "deepcopy": copy.deepcopy,
}


@EACH
@pytest.mark.parametrize("way", COPIES)
def test_copies_are_of_the_class_and_compute_as_it_does(name, way):
    pair = Pair(name)
    pair.layer = COPIES[way](pair.layer)
    assert pair.layer.weight.data_ptr() != pair.plain.weight.data_ptr()
    pair.assert_equal(form=True)


def saved_and_loaded(layer, classes):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    with torch.serialization.safe_globals([*classes, set]):
        return torch.load(file, weights_only=True)


@EACH
def test_weights_only_loads_the_class_if_it_is_allowed(name):
    pair = Pair(name)
    cls = type(pair.layer)
    pair.layer = saved_and_loaded(pair.layer, [cls])
    assert type(pair.layer) is cls
    pair.assert_equal(form=True)


class Named(nn.Conv2d):
    """A convolution of somebody's own class, which computes as its base does."""

    def extra_repr(self):
        return f"named, {super().extra_repr()}"


class Other(nn.Conv2d):
    """Another."""


def test_a_subclass_of_a_layer_stays_what_it_is_and_computes_the_form():
    pair = Pair("patchify")
    vars(made := Named(3, 5, 2, stride=2)).update(vars(pair.plain))
    pair.plain = made
    pair.layer = reclass(copy.copy(made), nn.Conv2d, "linear")
    assert isinstance(pair.layer, Named) and isinstance(pair.layer, Reclassed)
    assert type(pair.layer).__name__ == "NamedAsLinear"
    assert "named, 3, 5" in repr(pair.layer)
    pair.assert_equal(form=True)
    first = type(pair.layer)
    assert type(reclass(Named(3, 5, 2), nn.Conv2d, "linear")) is first
    assert type(reclass(Other(3, 5, 2), nn.Conv2d, "linear")) is not first
    for way in COPIES:
        pair.layer = COPIES[way](pair.layer)
        assert type(pair.layer) is first
        pair.assert_equal(form=True)
    assert restore(pair.layer) and type(pair.layer) is Named


def test_hooks_and_attributes_stay():
    pair, called = Pair("patchify"), []
    pair.layer.register_forward_hook(lambda module, args, y: called.append(module))
    pair.layer.of_mine = called
    pair.layer(pair.x)
    assert called == [pair.layer]
    assert restore(pair.layer) and pair.layer.of_mine is called
    pair.layer(pair.x)
    assert called == [pair.layer] * 2


# Its fields, read at every call


CHANGES = {
    "stride": ("patchify", {"stride": (3, 2)}, True),
    "stride-1": ("patchify", {"stride": (1, 1)}, False),
    "stride-is-one-number": ("patchify", {"stride": 3}, True),
    "padding": ("patchify", {"padding": (1, 0)}, True),
    "dilation": ("patchify", {"dilation": (1, 2)}, False),
    "dilation-of-a-step-with-room": ("patchify", {"stride": (2, 3), "dilation": (1, 2)}, True),
    "groups": ("pointwise", {"groups": 1, "weight": (6, 4, 1)}, True),
    "another-kernel": ("patchify", {"weight": (5, 3, 1, 2)}, True),
    "an-overlapping-kernel": ("patchify", {"weight": (5, 3, 3, 2)}, False),
    "the-whole-image": ("patchify", {"weight": (5, 3, 6, 8)}, True),
    "more-outputs": ("linear-conv", {"weight": (11, 5), "bias": (11,)}, True),
    "no-bias": ("patchify", {"bias": None}, True),
    "padding-of-a-line": ("line", {"padding": (2,)}, True),
    "stride-of-frames": ("frames", {"stride": (1, 1, 1)}, False),
    "stride-of-pixels": ("unpatchify", {"stride": (3, 4)}, True),
    "stride-of-pixels-that-overlap": ("unpatchify", {"stride": (2, 1)}, False),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_fields_that_change_afterwards_are_followed(case):
    name, fields, form = CHANGES[case]
    pair = Pair(name)
    before = pair.layer(pair.x)
    for field, value in fields.items():
        if field in ("weight", "bias") and value is not None:
            value = nn.Parameter(integers(*value).to(DOUBLE))
        setattr(pair.plain, field, value)
        setattr(pair.layer, field, value)
    pair.assert_equal(form=form)
    after = pair.layer(pair.x)
    assert after.shape != before.shape or not torch.equal(after, before)


@pytest.mark.parametrize("mode", ["reflect", "circular"])
def test_a_padding_mode_that_changes_is_followed(mode):
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 5, 2, stride=2, padding=1, dtype=DOUBLE)
    whole(plain)
    layer, x = reclass(copy.copy(plain), nn.Conv2d, "linear"), integers(2, 3, 6, 8).to(DOUBLE)
    before = layer(x)
    plain.padding_mode = layer.padding_mode = mode
    assert torch.equal(layer(x), plain(x)) and not torch.equal(layer(x), before)


# Tensors that are not plain ones


class Marked(torch.Tensor):
    """A tensor of somebody's own class."""


NOT_PLAIN = {
    "a-subclass": lambda pair: pair.x.as_subclass(Marked),
    "sparse": lambda pair: pair.x.to_sparse(),
    "of-another-dtype": lambda pair: pair.x.float(),
    "on-another-device": lambda pair: pair.x.to("meta"),
    "no-tensor": lambda pair: pair.x.tolist(),
    "nothing": lambda pair: None,
}


@EACH
@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_what_is_no_plain_input_goes_to_the_layers_own_forward(name, kind):
    pair = Pair(name)
    x = NOT_PLAIN[kind](pair)
    expected, _ = said(pair.plain, x)
    got, ran = said(pair.layer, x)
    assert not took_its_form(pair.base, pair.target, ran)
    if isinstance(expected, Exception):
        assert_same(expected, got)
    else:
        assert type(got) is type(expected) and got.shape == expected.shape
        assert got.is_meta or torch.equal(got, expected)


def test_a_weight_of_a_class_of_its_own_goes_to_the_layers_own_forward():
    pair = Pair("patchify")
    weight = nn.Parameter(pair.plain.weight.detach().as_subclass(Marked))
    assert type(weight) is not nn.Parameter
    pair.plain.weight = pair.layer.weight = weight
    pair.assert_equal(form=False)


def test_a_nested_batch_goes_to_the_layers_own_forward():
    pair = Pair("linear-conv")
    x = torch.nested.nested_tensor([integers(n, 5).to(DOUBLE) for n in (2, 3)], layout=torch.jagged)
    expected, _ = said(pair.plain, x)
    got, ran = said(pair.layer, x)
    assert not took_its_form(pair.base, pair.target, ran)
    assert got.is_nested
    assert all(map(torch.equal, got.unbind(), expected.unbind()))


@EACH
def test_autocast_makes_dtypes_one_in_both_forms(name):
    pair = Pair(name, torch.float32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected, got = pair.plain(pair.x), pair.layer(pair.x)
        narrow = pair.layer(pair.x.bfloat16())
    assert got.dtype == expected.dtype == narrow.dtype == torch.bfloat16
    # Whole numbers of a few hundred, each rounded once and, with the bias apart, once more.
    assert torch.allclose(got.float(), expected.float(), rtol=2**-7, atol=2)
    assert torch.equal(got, narrow)


# Gradients and transformations


@EACH
def test_gradients_and_their_gradients_are_equal(name):
    pair = Pair(name)

    def gradients(layer):
        x = pair.x.clone().requires_grad_()
        y = layer(x)
        torch.manual_seed(1)
        asked = [x, layer.weight, layer.bias]
        first = torch.autograd.grad(y, asked, integers(*y.shape).to(DOUBLE), create_graph=True)
        second = torch.autograd.grad((first[0] ** 2).sum() + (first[1] ** 2).sum(), asked[:2])
        return *first, *second

    for mine, theirs in zip(gradients(pair.layer), gradients(pair.plain), strict=True):
        assert torch.equal(mine, theirs) and mine.abs().sum() > 0


@EACH
def test_functional_call_and_vmap_over_weights(name):
    pair = Pair(name)
    stacked = {k: integers(3, *p.shape).to(DOUBLE) for k, p in pair.plain.named_parameters()}

    def ensemble(layer):
        return vmap(lambda weights: functional_call(layer, weights, pair.x))(stacked)

    got = ensemble(pair.layer)
    assert torch.equal(got, ensemble(pair.plain))
    assert not torch.equal(got[0], got[1])
    one = {key: tensor[0] for key, tensor in stacked.items()}
    assert torch.equal(functional_call(pair.layer, one, pair.x), got[0])


# Tools that read the forward


@EACH
def test_fx_traces_the_form(name):
    pair = Pair(name)
    pair.layer = fx.symbolic_trace(nn.Sequential(pair.layer))
    assert any(node.op == "call_function" for node in pair.layer.graph.nodes)
    pair.assert_equal(form=True)


@EACH
def test_it_compiles_whole(name):
    pair = Pair(name)
    torch._dynamo.reset()
    compiled = torch.compile(pair.layer, fullgraph=True, backend="eager")
    with torch.no_grad():
        for x in (pair.x, pair.x[:1]):
            assert torch.equal(compiled(x), pair.plain(x))


EXPORTED = {
    "patchify": ((3, 3, 10, 14), (0, 2, 3)),
    "line": ((3, 4, 11), (0, 2)),
    "linear-conv2d": ((4, 6, 5), (0, 1)),
    "unpatchify": ((3, 3, 5, 7), (0, 2, 3)),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_it_exports_with_sizes_that_stay_open(name):
    pair = Pair(name)
    shape, open_axes = EXPORTED[name]
    dynamic = (dict.fromkeys(open_axes, torch.export.Dim.DYNAMIC),)
    program = torch.export.export(nn.Sequential(pair.layer), (pair.x,), dynamic_shapes=dynamic)
    other = integers(*shape).to(DOUBLE)
    with torch.no_grad():
        assert torch.equal(program.module()(pair.x), pair.plain(pair.x))
        assert torch.equal(program.module()(other), pair.plain(other))


@EACH
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_torchscript_is_refused_by_name(name):
    pair = Pair(name)
    cls = type(pair.layer).__name__
    words = f"torch.jit.script: module is {cls}, expected torch.jit.trace.* class back first"
    with pytest.raises(ConvlinError, match=words):
        torch.jit.script(nn.Sequential(pair.layer))
