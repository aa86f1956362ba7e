"""Forms inside of other people's models, which read their layers, load, save, quantize and adapt."""

import copy

import peft
import pytest
import torch
import transformers
from torch import nn
from torchao.quantization import Int8WeightOnlyConfig, quantize_
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

from convlin import to_conv, to_linear

SMALL = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2}
IMAGES = SMALL | {"intermediate_size": 48, "image_size": 16, "patch_size": 4}
MODELS = {
    "vit": (transformers.ViTModel, transformers.ViTConfig(**IMAGES)),
    "deit": (transformers.DeiTModel, transformers.DeiTConfig(**IMAGES)),
    "clip": (transformers.CLIPVisionModel, transformers.CLIPVisionConfig(**IMAGES)),
    "siglip": (transformers.SiglipVisionModel, transformers.SiglipVisionConfig(**IMAGES)),
    "dinov2": (
        transformers.Dinov2Model,
        transformers.Dinov2Config(**SMALL, mlp_ratio=2, image_size=16, patch_size=4),
    ),
    "qwen2-vl": (
        Qwen2VisionTransformerPretrainedModel,
        Qwen2VLVisionConfig(depth=2, embed_dim=32, hidden_size=24, num_heads=4, patch_size=4),
    ),
}
models = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def plain(name):
    """Return a small model in float64 with numbers everywhere, zero-initialised ones too."""
    cls, config = MODELS[name]
    torch.manual_seed(0)
    model = cls(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def site(model):
    """Return the name of the model's patch embedding."""
    (name,) = (n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Conv3d))
    return name


def swap(model, name):
    """Put a form of a layer in its place."""
    layer = model.get_submodule(name)
    model.set_submodule(name, to_conv(layer) if isinstance(layer, nn.Linear) else to_linear(layer))
    return model


@torch.no_grad()
def outputs(model):
    generator = torch.Generator().manual_seed(1)
    if isinstance(model, Qwen2VisionTransformerPretrainedModel):
        pixels = torch.randn(16, 3 * 2 * 4 * 4, dtype=torch.float64, generator=generator)
        return model(pixels, grid_thw=torch.tensor([[1, 4, 4]]))[0]
    return model(torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=generator))[0]


def deviation(one, other):
    return ((one - other).abs().max() / other.abs().max()).item()


def assert_same(state, expected):
    assert list(state) == list(expected)
    assert all(torch.equal(state[key], expected[key]) for key in expected)


@models
def test_a_model_runs_with_a_form_in_place_of_a_layer_that_it_reads(name):
    model = plain(name)
    given, expected, checkpoint = site(model), outputs(model), copy.deepcopy(model.state_dict())
    swap(model, given)
    assert not isinstance(model.get_submodule(given), nn.Conv2d | nn.Conv3d)
    assert deviation(outputs(model), expected) < 1e-10
    assert_same(model.state_dict(), checkpoint)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model.load_state_dict(checkpoint)
    assert deviation(outputs(model), expected) < 1e-10


@models
def test_what_is_saved_with_a_form_loads_without(name, tmp_path):
    model = plain(name)
    expected, checkpoint = outputs(model), copy.deepcopy(model.state_dict())
    swap(model, site(model)).save_pretrained(tmp_path)
    again = MODELS[name][0].from_pretrained(tmp_path, dtype=torch.float64).eval()
    assert_same(again.state_dict(), checkpoint)
    assert deviation(outputs(again), expected) < 1e-6  # float32 tables that are no part of a state


def swapping(cls, given):
    """Return a model class whose models are made with a form in them."""

    class Swapped(cls):
        def __init__(self, config):
            super().__init__(config)
            swap(self, given)

    return Swapped


LOADED = pytest.mark.parametrize("name", ["clip", "siglip", "qwen2-vl"])  # whose keys are current


@LOADED
def test_a_checkpoint_loads_into_a_model_that_is_made_with_a_form(name, tmp_path):
    model = plain(name)
    model.save_pretrained(tmp_path)
    swapped, said = swapping(type(model), site(model)).from_pretrained(
        tmp_path, dtype=torch.float64, output_loading_info=True
    )
    assert not any(said.values())
    assert_same(swapped.state_dict(), model.state_dict())
    assert deviation(outputs(swapped.eval()), outputs(model)) < 1e-6


@LOADED
def test_a_weight_that_a_checkpoint_lacks_is_said_and_drawn(name, tmp_path):
    model = plain(name)
    key = f"{site(model)}.weight"
    state = {other: value for other, value in model.state_dict().items() if other != key}
    model.save_pretrained(tmp_path, state_dict=state)
    swapped, said = swapping(type(model), site(model)).from_pretrained(
        tmp_path, dtype=torch.float64, output_loading_info=True
    )
    assert said["missing_keys"] == {key}
    weight = swapped.get_parameter(key)
    assert weight.isfinite().all()
    assert 0 < weight.std() < 1
    assert swapped.get_submodule(site(model)).linear.weight.requires_grad


@torch.no_grad()
def test_a_tied_head_as_a_convolution_stays_tied_and_is_saved_once(tmp_path):
    config = transformers.GPT2Config(n_embd=32, n_head=4, n_layer=1, vocab_size=50, n_positions=8)
    model = transformers.GPT2LMHeadModel(config).double().eval()
    tokens = torch.tensor([[3, 1, 4]])
    expected, checkpoint = model(tokens).logits, copy.deepcopy(model.state_dict())
    swap(model, "lm_head")
    assert deviation(model(tokens).logits, expected) < 1e-10
    assert_same(model.state_dict(), checkpoint)
    held = model.lm_head.conv.weight
    model.tie_weights()
    assert model.lm_head.conv.weight is held  # which an optimizer may step
    assert model.lm_head.weight.data_ptr() == model.transformer.wte.weight.data_ptr()
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path, dtype=torch.float64)
    assert_same(again.state_dict(), checkpoint)


def small():
    """Return a net whose convolutions no quantizer and no adapter reaches, and an input."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(8, 32, 4, stride=4), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.Flatten(),
        nn.Linear(128, 16),
    )  # fmt: skip
    return net.eval(), torch.randn(3, 8, 8, 8)


def reached(net):
    """Return how many numbers the Linears hold."""
    return sum(m.weight.numel() for m in net.modules() if isinstance(m, nn.Linear))


def test_int8_reaches_the_inner_layers():
    net, x = small()
    y, checkpoint = net(x), copy.deepcopy(net.state_dict())
    assert reached(net) == 16 * 128
    for name in ("0", "2"):
        swap(net, name)
    assert reached(net) == 16 * 128 + 32 * 128 + 32 * 32
    quantize_(net, Int8WeightOnlyConfig())
    kind = type(net[4].weight)
    for form in (net[0], net[2]):
        assert type(form.weight) is type(form.linear.weight) is kind is not nn.Parameter
        assert form.weight.dtype == torch.float32
    assert 0 < deviation(net(x), y) < 0.05
    saved = net.state_dict()
    assert list(saved) == [
        "0.linear.weight",
        "0.linear.bias",
        "2.linear.weight",
        "2.linear.bias",
        "4.weight",
        "4.bias",
    ]
    again, _ = small()
    for name in ("0", "2"):
        swap(again, name)
    again.load_state_dict(saved, assign=True)
    assert torch.equal(again(x), net(x))
    with pytest.raises(RuntimeError, match=r"0\.linear\.weight"):  # not left as it was, silently
        net.load_state_dict(checkpoint)


def test_lora_reaches_the_inner_layers():
    net, x = small()
    y, checkpoint = net(x), copy.deepcopy(net.state_dict())
    for name in ("0", "2"):
        swap(net, name)
    config = peft.LoraConfig(target_modules=["linear"], r=2, init_lora_weights=False)
    adapted = peft.get_peft_model(net, config).eval()
    form = adapted.base_model.model[0]
    assert isinstance(form.linear, peft.tuners.lora.Linear)
    assert form.weight.shape == (32, 8, 4, 4)
    assert (form.weight.dtype, form.bias.shape) == (torch.float32, (32,))
    assert "0.linear.base_layer.weight" in adapted.base_model.model.state_dict()
    with_adapter = adapted(x)
    assert deviation(with_adapter, y) > 0.01

    with torch.no_grad():
        form.weight.zero_()
    missing = adapted.base_model.model.load_state_dict(checkpoint, strict=False)
    assert not missing.unexpected_keys
    assert all("lora_" in key for key in missing.missing_keys)
    assert torch.equal(adapted(x), with_adapter)

    merged = adapted.merge_and_unload()
    assert deviation(merged(x), with_adapter) < 1e-5
    original, _ = small()
    original.load_state_dict(merged.state_dict())  # back in the layers, with the adapter in them
    assert deviation(original(x), with_adapter) < 1e-5
