"""What other tools do to a rewritten model: quantizers, adapters, serializers, compilers, tracers."""

import copy
import fnmatch
import io
import json
import pickle
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import convlin
from convlin import ConvlinError, Refused
from rewrite.real_models import MODELS, difference, run
from rewrite.two_processes import CASES

rewrite = partial(convlin.rewrite, proofs=False)  # proved where a test is about what a proof says
KEYS = ("same", "native")
ROUNDING = 1e-10
# Int8 weights keep 7 bits of each row's largest entry; a wrong layout is off by all of it.
QUANTIZED = 0.1


def small(**fields):
    """Return a network of three sites for "linear" and one convolution that is none."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 2, stride=2),
        nn.GELU(),
        nn.Conv2d(8, 6, 3, padding=1),
        nn.Conv2d(6, 10, 1, **fields),
        nn.GELU(),
        nn.Conv2d(10, 4, 1, bias=False),
    ).eval()


def pictures(batch=2, height=10, width=14, dtype=torch.float32):
    torch.manual_seed(4)
    return torch.randn(batch, 3, height, width, dtype=dtype)


def answers_of(result):
    return {row.site: row.answer for row in result.report.rows}


# Quantizers and adapters


def quantized(model):
    """Quantize with torchao; return how many weights it reached."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig())
    return sum(p.numel() for p in model.parameters() if type(p) is not nn.Parameter)


def with_lora(model, kinds=(nn.Linear,), **fields):
    """Return the model with LoRA on every layer of `kinds`, and how many weights that reaches."""
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    names = [n for n, m in model.named_modules() if isinstance(m, kinds) and n != "lm_head"]
    if not names:  # which PEFT refuses
        return model, 0
    adapted = get_peft_model(
        model, LoraConfig(r=2, target_modules=names, init_lora_weights=False, **fields)
    )
    layers = [m for m in adapted.modules() if isinstance(m, LoraLayer)]
    return adapted.eval(), sum(m.get_base_layer().weight.numel() for m in layers)


# More weights reached, or none more where no layer of the model has the form: Whisper's two
# convolutions look at three frames each, and PEFT knows GPT-2's Conv1D itself.
REACHED = {"convnext": True, "efficientnet_lite0": True, "whisper": False, "gpt2": True}


@pytest.fixture(params=REACHED)
def native(request, classifier):
    """A model, an example, a rewritten copy that may be changed, and whether it has sites."""
    name = request.param
    if name == "efficientnet_lite0":
        given = classifier("native")
        model, example, result = given.original, given.pictures, given.result
    else:
        model, example = MODELS[name].model(), MODELS[name].examples()[0]
        result = rewrite(model, "linear", keys="native", example=example, proofs=False)
    sites = [site for site, answer in answers_of(result).items() if answer == "exchanged"]
    assert bool(sites) == REACHED[name]
    gained = sum(model.get_submodule(site).weight.numel() for site in sites)
    return model, example, copy.deepcopy(result.model), gained


def test_int8_reaches_more_of_a_native_model(native):
    model, example, rewritten, gained = native
    before = quantized(copy.deepcopy(model))
    assert quantized(rewritten) == before + gained
    with torch.no_grad():
        assert difference(run(model, example), run(rewritten, example)) < QUANTIZED


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_lora_reaches_more_of_a_native_model(native):
    model, example, rewritten, gained = native
    _, before = with_lora(copy.deepcopy(model))
    adapted, after = with_lora(rewritten)
    assert after == before + gained
    with torch.no_grad():
        assert difference(run(model, example), run(adapted, example)) > 1e-3


def test_a_quantized_native_model_saves_and_loads_its_own_layout():
    model = rewrite(small(), "linear", keys="native", copy=True).model
    quantized(model)
    state = model.state_dict()
    assert sum(type(t) is not torch.Tensor for t in state.values()) == 3
    other = rewrite(small(), "linear", keys="native", copy=True).model
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    quantized(other)
    other.load_state_dict(state, strict=True, assign=True)
    with torch.no_grad():
        assert torch.equal(other(pictures()), model(pictures()))
    with pytest.raises(RuntimeError, match=r"Missing key|Unexpected key"):
        small().load_state_dict(state)


@pytest.mark.parametrize(
    "fields",
    [{"padding": 1, "padding_mode": "reflect"}, {"dilation": 2}],
    ids=["reflect", "dilation"],
)
def test_lora_merged_is_unmerged_where_peft_goes_wrong_on_convolutions(fields):
    model = rewrite(small(**fields).double(), "linear", keys="native").model
    adapted, _ = with_lora(model)
    adapted.double()
    images = pictures(dtype=torch.float64)
    with torch.no_grad():
        plain = small(**fields).double()(images)
        unmerged = adapted(images)
        assert difference(plain, unmerged) > 1e-3
        adapted.merge_adapter()
        assert difference(unmerged, adapted(images)) < ROUNDING
        adapted.unmerge_adapter()
        assert difference(unmerged, adapted(images)) < ROUNDING
        assert difference(unmerged, adapted.merge_and_unload()(images)) < ROUNDING


@pytest.mark.parametrize("keys", KEYS)
def test_lora_finds_the_sites_by_their_names(keys):
    """PEFT builds its layer as `type(base)(…)`, from the base's own arguments."""
    model = rewrite(small().double(), "linear", keys=keys).model
    inner = "linear" if keys == "native" else None
    names = [name if inner is None else f"{name}.{inner}" for name in ("0", "3", "5")]
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=names, init_lora_weights=False))
    adapted = adapted.double().eval()
    images = pictures(dtype=torch.float64)
    with torch.no_grad():
        unmerged = adapted(images)
        assert difference(small().double()(images), unmerged) > 1e-3
        adapted.merge_adapter()
        assert difference(unmerged, adapted(images)) < ROUNDING


def test_the_report_says_that_same_keys_inherit_what_peft_does_to_convolutions():
    model = small(padding=1, padding_mode="reflect")
    text = " ".join(str(rewrite(model, "linear", keys="same").report).split())
    assert "PEFT's LoRA is wrong on those that pad with reflect or dilate" in text
    text = " ".join(str(rewrite(model, "linear", keys="native").report).split())
    assert "get wrong" not in text


@pytest.fixture(scope="module")
def said_by_two():
    """Run every case in one pair of processes, and return what both said of each."""
    script = Path(__file__).with_name("two_processes.py")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", script],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    rows = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    return {case: [r for r in rows if r["case"] == case] for case in CASES}, ran.stderr


@pytest.mark.parametrize("case", CASES)
def test_two_processes_shard_it(said_by_two, case):
    said, errors = said_by_two
    assert sorted(row["rank"] for row in said[case]) == [0, 1], errors[-3000:]
    way, _ = case.split("-")
    for row in said[case]:
        assert row["error"] == ""
        assert row["difference"] < 1e-5
        assert row["trained"] == {"int8": 0, "plain": 6, "lora": 6}[way]


# Serializers


def classes_of(model):
    return list({type(m) for m in model.modules()})


def test_a_model_with_the_same_keys_loads_with_its_classes_allow_listed():
    model = rewrite(small(), "linear", keys="same").model
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(stream, weights_only=True)
    stream.seek(0)
    with torch.serialization.safe_globals([*classes_of(model), set]):
        loaded = torch.load(stream, weights_only=True)
    assert [type(m) for m in loaded.modules()] == [type(m) for m in model.modules()]
    with torch.no_grad():
        assert torch.equal(loaded(pictures()), model(pictures()))


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(
    "copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy], ids=["pickled", "copied"]
)
def test_pickled_and_copied_models_say_the_same_and_share_nothing(keys, copied):
    model = rewrite(small(), "linear", keys=keys).model
    other = copied(model)
    with torch.no_grad():
        expected = model(pictures())
        assert torch.equal(other(pictures()), expected)
        assert list(other.state_dict()) == list(model.state_dict())
        for parameter in model.parameters():
            parameter.zero_()
        assert torch.equal(other(pictures()), expected)
        other.load_state_dict(small().state_dict(), strict=True)
        assert difference(small()(pictures()), other(pictures())) < 1e-5


@pytest.mark.parametrize("keys", KEYS)
def test_classes_are_found_by_their_names_in_another_process(keys, tmp_path):
    model = rewrite(small(), "linear", keys=keys).model
    (tmp_path / "model.pickle").write_bytes(
        pickle.dumps((model, pictures(), model(pictures()).detach()))
    )
    code = (
        "import pickle, sys, torch\n"
        "model, x, y = pickle.load(open(sys.argv[1], 'rb'))\n"
        "assert torch.allclose(model(x), y, atol=1e-6)\n"
        "print([type(m).__module__ for m in model][0])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.pickle"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stdout.startswith("convlin."), ran.stderr


# Compilers and tracers


@pytest.mark.parametrize("keys", KEYS)
def test_export_with_dynamic_batch_height_and_width(keys):
    model = rewrite(small(), "linear", keys=keys).model
    batch, half_height, half_width = (torch.export.Dim(name, min=2, max=64) for name in "bhw")
    program = torch.export.export(
        model, (pictures(),), dynamic_shapes=({0: batch, 2: 2 * half_height, 3: 2 * half_width},)
    )
    for sizes in ((2, 10, 14), (3, 8, 22), (5, 30, 6)):
        images = pictures(*sizes)
        with torch.no_grad():
            assert difference(small()(images), program.module()(images)) < 1e-5


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(
    ("build", "to", "sizes"),
    [
        (small, "linear", [(2, 3, 10, 14), (3, 3, 8, 6)]),
        (
            lambda: nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3)),
            "conv",
            [(2, 7, 6), (4, 6)],
        ),
        (
            lambda: nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3)),
            "conv2d",
            [(2, 7, 6), (4, 6)],
        ),
        (lambda: nn.Conv1d(6, 5, 3, padding=1), "conv2d", [(2, 6, 9), (6, 11)]),
        (lambda: nn.Conv3d(3, 5, (2, 4, 4), stride=(2, 4, 4)), "linear", [(2, 3, 4, 8, 12)]),
        (
            lambda: nn.Conv3d(3, 5, (2, 3, 3), stride=(2, 1, 1), padding=(0, 1, 1)),
            "conv2d",
            [(2, 3, 4, 5, 6)],
        ),
    ],
    ids=[
        "small",
        "linears-conv",
        "linears-conv2d",
        "conv1d-conv2d",
        "conv3d-linear",
        "conv3d-conv2d",
    ],
)
def test_compiled_whole_and_traced(keys, build, to, sizes):
    torch.manual_seed(0)
    original = build().double()
    result = rewrite(original, to, keys=keys)
    assert set(answers_of(result).values()) <= {"exchanged", "not exchanged"}
    assert "exchanged" in answers_of(result).values()
    torch._dynamo.reset()
    compiled = torch.compile(result.model, fullgraph=True, backend="aot_eager")
    for size in sizes:
        x = torch.randn(size, dtype=torch.float64)
        with torch.no_grad():
            expected = original(x)
            assert difference(expected, result.model(x)) < ROUNDING
            assert difference(expected, compiled(x)) < ROUNDING
            assert result.model(x).stride() == expected.stride()
    torch.fx.symbolic_trace(result.model)


@pytest.mark.parametrize("keys", KEYS)
def test_a_symbolic_trace_of_the_model_computes_it(keys):
    result = rewrite(small().double(), "linear", keys=keys)
    traced = torch.fx.symbolic_trace(result.model)
    images = pictures(dtype=torch.float64)
    with torch.no_grad():
        assert difference(small().double()(images), traced(images)) < ROUNDING


@pytest.mark.parametrize("keys", KEYS)
def test_torchscript_is_refused_by_name(keys):
    model = rewrite(small(), "linear", keys=keys).model
    with pytest.raises(Refused, match=r"torch\.jit\.script"):
        torch.jit.script(model)


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last], ids=["NCHW", "NHWC"]
)
@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.Conv2d(3, 5, 1),
        lambda: nn.Conv2d(3, 5, 1, stride=2),
        lambda: nn.Conv2d(3, 6, 1, groups=3),
        lambda: nn.Conv2d(3, 5, 2, stride=2),
        lambda: nn.Conv2d(3, 5, 1, padding=1),
    ],
    ids=["1x1", "1x1-s2", "1x1-g3", "patchify", "1x1-p1"],
)
def test_output_memory_is_the_layers_own(keys, layout, layer):
    class Viewed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = layer().to(memory_format=layout)

        def forward(self, x):
            y = self.conv(x)
            return y.view(len(x), -1) if y.is_contiguous() else y

    torch.manual_seed(0)
    model = Viewed().double()
    result = rewrite(model, "linear", keys=keys)
    assert answers_of(result) == {"conv": "exchanged"}
    images = pictures(dtype=torch.float64).to(memory_format=layout)
    assert result.model.conv(images).stride() == model.conv(images).stride()
    assert difference(model(images), result.model(images)) < ROUNDING
    assert result.model(images).shape == model(images).shape


# Models as people write them


class AsksTheDtype(nn.Module):
    """As 78 files of transformers do."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Conv2d(3, 5, 2, stride=2)
        self.head = nn.Linear(5, 4)

    def forward(self, x):
        y = self.proj(x.to(self.proj.weight.dtype).to(self.proj.weight.device))
        assert self.proj.weight.shape[0] == self.proj.out_channels
        assert self.proj.bias is not None
        return self.head(y.flatten(2).transpose(1, 2).to(self.head.weight.dtype))


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(("to", "site"), [("linear", "proj"), ("conv", "head"), ("conv2d", "head")])
def test_asking_a_weight_for_its_dtype_is_no_reading(keys, to, site):
    torch.manual_seed(0)
    model = AsksTheDtype().double()
    images = pictures()
    result = rewrite(model, to, keys=keys, example=images)
    assert answers_of(result)[site] == "exchanged"
    with torch.no_grad():
        assert difference(model(images), result.model(images)) < ROUNDING


class Held(nn.Module):
    def __init__(self, held):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 1)
        self.resource = held

    def forward(self, x):
        return self.conv(x)


@pytest.mark.parametrize(
    "held", [threading.Lock, lambda: (i for i in range(3))], ids=["lock", "generator"]
)
@pytest.mark.parametrize("keys", KEYS)
def test_what_cannot_be_copied_is_refused_and_rewritten_in_place(held, keys):
    model = nn.Sequential(nn.ReLU(), Held(held()))
    before = [type(m) for m in model.modules()]
    with pytest.raises(Refused, match=r"1: resource is a") as caught:
        rewrite(model, "linear", keys=keys)
    assert "in_place" in str(caught.value)
    assert [type(m) for m in model.modules()] == before
    x = pictures()
    expected = model(x)
    result = rewrite(model, "linear", keys=keys, in_place=True)
    assert result.model is model
    assert answers_of(result) == {"1.conv": "exchanged"}
    assert difference(expected, model(x)) < 1e-5


def test_copy_and_in_place_exclude_each_other():
    with pytest.raises((Refused, TypeError, ValueError), match="copy|in_place"):
        rewrite(small(), "linear", copy=True, in_place=True)


def test_a_refused_rewrite_in_place_leaves_the_model_whole():
    model = small()
    before = [type(m) for m in model.modules()]
    with pytest.raises(ConvlinError):
        rewrite(model, "linear", in_place=True, only="nothing*")
    assert [type(m) for m in model.modules()] == before


NESTED = {"encoder.0.conv": nn.Conv2d, "encoder.1.conv": nn.Conv2d, "head": nn.Conv2d}


def nested():
    block = lambda: nn.ModuleDict({"conv": nn.Conv2d(3, 3, 1)})  # noqa: E731
    return nn.ModuleDict(
        {
            "encoder": nn.Sequential(block(), block()),
            "head": nn.Conv2d(3, 2, 1),
            "patch": nn.Conv1d(2, 3, 1),
        }
    )


@pytest.mark.parametrize(
    ("choice", "sites"),
    [
        ({"only": "encoder.*"}, {"encoder.0.conv", "encoder.1.conv"}),
        ({"only": ["head", "encoder.1.*"]}, {"encoder.1.conv", "head"}),
        ({"only": nn.Conv1d}, {"patch"}),
        ({"only": [nn.Conv1d, "head"]}, {"patch", "head"}),
        ({"only": lambda name, module: module.out_channels == 2}, {"head"}),
        ({"skip": "encoder.*"}, {"head", "patch"}),
        ({"skip": nn.Conv2d}, {"patch"}),
        ({"skip": lambda name, module: name.endswith("conv")}, {"head", "patch"}),
        ({"only": nn.Conv2d, "skip": "*.0.*"}, {"encoder.1.conv", "head"}),
    ],
    ids=[
        "only-glob",
        "only-several",
        "only-type",
        "only-type-or-name",
        "only-predicate",
        "skip-glob",
        "skip-type",
        "skip-predicate",
        "only-and-skip",
    ],
)
def test_only_and_skip(choice, sites):
    model = nested()
    result = rewrite(model, "linear", **choice)
    changed = {
        name
        for name, module in model.named_modules()
        if type(result.model.get_submodule(name)) is not type(module)
    }
    assert changed == sites
    assert {s for s, answer in answers_of(result).items() if answer == "exchanged"} == sites


@pytest.mark.parametrize(
    ("choice", "near"),
    [
        ({"only": "encodr.*"}, "encoder"),
        ({"only": ["head", "encoder.2.conv"]}, "encoder.1.conv"),
        ({"skip": "heads"}, "head"),
        ({"only": nn.Conv3d}, "Conv3d"),
        ({"skip": nn.ConvTranspose2d}, "ConvTranspose2d"),
    ],
    ids=str,
)
def test_a_pattern_that_matches_nothing_is_an_error_that_names_what_is_near(choice, near):
    with pytest.raises(ConvlinError) as caught:
        rewrite(nested(), "linear", **choice)
    assert near in str(caught.value)
    pattern = next(iter(choice.values()))
    if isinstance(pattern, str):
        assert pattern in str(caught.value)
        assert not fnmatch.filter(NESTED, pattern)


@pytest.mark.parametrize(
    "value",
    [{"to": "matmul"}, {"keys": "old"}, {"only": 3}, {"to": "Linear"}, {"skip": [None]}],
    ids=str,
)
def test_words_that_do_not_exist_are_refused_with_those_that_do(value):
    with pytest.raises(ConvlinError) as caught:
        rewrite(small(), **({"to": "linear"} | value))
    assert str(next(iter(value.values()))).strip("[]") in str(caught.value)


# Layers that are not what their class says: right, or refused by name; never silently wrong


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias, self.stride)


class PadsItself(nn.Conv2d):
    def forward(self, x):
        return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))


class Causal(nn.Conv1d):
    def forward(self, x):
        return super().forward(nn.functional.pad(x, (self.dilation[0], 0)))[..., : x.shape[-1]]


class Scaled(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight * 2, bias)


class ScaledCall(nn.Conv2d):
    def __call__(self, x):
        return 2 * super().__call__(x)


class Property(nn.Conv2d):
    @property
    def scale(self):
        return 3

    def forward(self, x):
        return super().forward(x) * self.scale


class Attribute(nn.Conv2d):
    def __getattr__(self, name):
        found = super().__getattr__(name)
        return found * 2 if name == "weight" else found


class Stateful(nn.Conv2d):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls


class ScaledLinear(nn.Linear):
    def forward(self, x):
        return super().forward(x) * self.in_features**-0.5


class SquaredLinear(nn.Linear):
    def forward(self, x):
        return super().forward(x) ** 2


def with_own_forward():
    layer = nn.Conv2d(3, 5, 1)
    plain = layer.forward
    layer.forward = lambda x: plain(x) + 1
    return layer


def with_weight_norm():
    return parametrizations.weight_norm(nn.Conv2d(3, 5, 1))


def with_spectral_norm():
    return parametrizations.spectral_norm(nn.Conv2d(3, 5, 1)).eval()


def with_pruning():
    from torch.nn.utils import prune

    return prune.l1_unstructured(nn.Conv2d(3, 5, 1), "weight", amount=0.5)


def with_hooks():
    layer = nn.Conv2d(3, 5, 1)
    layer.register_forward_pre_hook(lambda module, given: (given[0] * 2,))
    layer.register_forward_hook(lambda module, given, result: result + 1)
    return layer


def with_another_kernel():
    """A field changed after construction, as surgery on strides does."""
    layer = nn.Conv2d(3, 5, 1)
    layer.stride = (2, 2)
    return layer


def with_a_float_in_complex():
    return nn.Conv2d(3, 5, 1, dtype=torch.complex128)


NOT_WHAT_THEY_SEEM = {
    "standardised": (lambda: Standardised(3, 5, 1), "linear", (2, 3, 6, 5)),
    "pads itself": (lambda: PadsItself(3, 5, 2, stride=2), "linear", (2, 3, 6, 5)),
    "causal": (lambda: Causal(3, 5, 1), "linear", (2, 3, 6)),
    "causal in 2-D": (lambda: Causal(3, 5, 2), "conv2d", (2, 3, 6)),
    "scaled": (lambda: Scaled(3, 5, 1), "linear", (2, 3, 6, 5)),
    "scaled call": (lambda: ScaledCall(3, 5, 1), "linear", (2, 3, 6, 5)),
    "property": (lambda: Property(3, 5, 1), "linear", (2, 3, 6, 5)),
    "attribute": (lambda: Attribute(3, 5, 1), "linear", (2, 3, 6, 5)),
    "stateful": (lambda: Stateful(3, 5, 1), "linear", (2, 3, 6, 5)),
    "own forward": (with_own_forward, "linear", (2, 3, 6, 5)),
    "weight norm": (with_weight_norm, "linear", (2, 3, 6, 5)),
    "spectral norm": (with_spectral_norm, "linear", (2, 3, 6, 5)),
    "pruned": (with_pruning, "linear", (2, 3, 6, 5)),
    "hooks": (with_hooks, "linear", (2, 3, 6, 5)),
    "another kernel": (with_another_kernel, "linear", (2, 3, 6, 5)),
    "complex": (with_a_float_in_complex, "linear", (2, 3, 6, 5)),
    "scaled linear": (lambda: ScaledLinear(6, 5), "conv", (2, 3, 6)),
    "squared linear": (lambda: SquaredLinear(6, 5), "conv2d", (2, 3, 6)),
}
# What these do is part of the layer that would be exchanged; the others may be proved all the same.
MUST_BE_REFUSED = {
    "standardised", "pads itself", "scaled", "property", "stateful", "own forward", "weight norm",
    "spectral norm", "pruned", "scaled linear", "squared linear",
}  # fmt: skip


@pytest.mark.parametrize("example", [False, True], ids=["unseen", "seen"])
@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("name", NOT_WHAT_THEY_SEEM)
def test_layers_that_are_not_what_they_seem_are_never_silently_wrong(name, keys, example):
    build, to, size = NOT_WHAT_THEY_SEEM[name]
    torch.manual_seed(0)
    layer = build()
    dtype = torch.complex128 if name == "complex" else torch.float64
    model = nn.Sequential(layer.to(dtype), nn.Identity())
    x = torch.randn(size, dtype=dtype)
    result = rewrite(model, to, keys=keys, example=x if example else None, proofs=not example)
    with torch.no_grad():
        for images in (x, torch.randn(size, dtype=dtype)):
            expected, given = model(images), result.model(images)
            if name == "stateful":  # every run scales it by another number
                expected, given = expected / expected.abs().max(), given / given.abs().max()
            assert given.shape == expected.shape
            assert ((expected - given).abs().max() / expected.abs().max()) < ROUNDING
    (row,) = (row for row in result.report.rows if row.site == "0")
    if name in MUST_BE_REFUSED:
        assert row.answer == "not exchanged"
        assert row.refusals


def test_a_parametrized_site_is_told_to_be_swapped_first():
    model = nn.Sequential(with_weight_norm(), nn.Conv2d(5, 4, 1))
    result = rewrite(model, "linear")
    assert answers_of(result) == {"0": "not exchanged", "1": "exchanged"}
    assert "parametri" in " ".join(map(str, result.report.rows[0].refusals))
    with torch.no_grad():
        assert difference(model(pictures()), result.model(pictures())) < 1e-5


@pytest.mark.parametrize("keys", KEYS)
def test_hooks_of_a_site_still_run(keys):
    calls = []
    model = nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU())
    model[0].register_forward_hook(lambda module, given, result: calls.append(module))
    result = rewrite(model, "linear", keys=keys)
    calls.clear()
    result.model(pictures())
    assert calls == [result.model[0]]
    if keys == "same":
        assert answers_of(result)["0"] == "exchanged"


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_stays_half_precision(keys, dtype):
    model = small().to(dtype)
    result = rewrite(model, "linear", keys=keys)
    assert {p.dtype for p in result.model.parameters()} == {dtype}
    with torch.no_grad():
        given = result.model(pictures().to(dtype))
        assert given.dtype == dtype
        assert difference(small()(pictures()), given.float()) < 0.05


@pytest.mark.parametrize("keys", KEYS)
def test_unbatched_and_empty_inputs_go_through(keys):
    model = small().double()
    rewritten = rewrite(model, "linear", keys=keys).model
    images = pictures(dtype=torch.float64)
    with torch.no_grad():
        assert difference(model(images[0]), rewritten(images[0])) < ROUNDING
        assert rewritten(images[:0]).shape == model(images[:0]).shape
        assert rewritten[5](torch.zeros(10, 4, 5).double()).shape == (4, 4, 5)


@pytest.mark.parametrize("keys", KEYS)
def test_a_model_without_any_site_is_returned_as_it_is(keys):
    model = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3))
    result = rewrite(model, "linear", keys=keys)
    assert answers_of(result) == {"1": "not exchanged"}
    assert torch.equal(result.model(pictures()), model(pictures()))


def test_a_reference_in_a_list_follows_the_layer_under_the_same_keys():
    model = nn.Sequential(nn.Conv2d(3, 5, 1))
    model.watched = [model[0]]
    result = rewrite(model, "linear", keys="same")
    assert result.model.watched[0] is result.model[0]
    in_place = rewrite(model, "linear", keys="same", in_place=True).model
    assert in_place.watched[0] is in_place[0]


@pytest.mark.parametrize("keys", KEYS)
def test_another_dtype_reaches_the_forms(keys):
    model = small()
    rewritten = rewrite(model, "linear", keys=keys).model
    rewritten.double()
    images = pictures(dtype=torch.float64)
    assert rewritten(images).dtype == torch.float64
    with torch.no_grad():
        assert difference(small().double()(images), rewritten(images)) < ROUNDING
