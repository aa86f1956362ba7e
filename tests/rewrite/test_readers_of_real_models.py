"""Which layers of published models are called and which are read, in a run and in their code."""

from collections import Counter

import accelerate
import pytest
import timm
import torch
import torchvision
import transformers
from torch import nn
from transformers.pytorch_utils import Conv1D

from convlin.models.rewrite.calls_and_reads import observed
from convlin.models.rewrite.code_reads import code_reads

SITES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv1D)
BLOCKS = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2}
SEEING = BLOCKS | HEADS | {"image_size": 32, "patch_size": 16}
SAYING = BLOCKS | HEADS | {"vocab_size": 50, "max_position_embeddings": 8}
IDS = torch.tensor([[1, 2, 3, 4]])
IMAGE = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)


def last(name):
    return name.rpartition(".")[2]


def run_of(model, run):
    """Return how many sites there are, how often which are read by whom, and who is not reached."""
    sites = {name: m for name, m in model.named_modules() if isinstance(m, SITES)}
    seen, _ = observed(model, sites, run)
    read = Counter(
        (last(name), reader.layer, one.calls)
        for name, one in seen.items()
        for reader in one.readers
    )
    missed = [name for name, one in seen.items() if not one.calls and not one.readers]
    return len(sites), read, missed


def code_of(model):
    """Return how often which sites are read, by whose code."""
    modules = dict(model.named_modules())
    return Counter(
        (last(name), type(modules[reader]).__name__, 0)
        for name, readers in code_reads(model).items()
        if isinstance(modules[name], SITES)
        for reader in readers
    )


def image_classifiers():
    attention = {("out_proj", "MultiheadAttention", 0): 12}
    swin = {(name, "ShiftedWindowAttention", 0): 12 for name in ("qkv", "proj")}
    return [
        (torchvision.models.vit_b_16, 224, 38, attention),
        (torchvision.models.swin_t, 224, 53, swin),
        (timm.models.beit_base_patch16_224, 224, 50, {("qkv", "Attention", 0): 12}),
        (timm.models.eva02_tiny_patch14_224, 224, 49, {("qkv", "EvaAttention", 0): 12}),
        (timm.models.swinv2_tiny_window8_256, 256, 77, {("qkv", "WindowAttention", 0): 12}),
        (timm.models.vit_tiny_patch16_224, 224, 50, {}),
        (timm.models.nf_resnet26, 224, 30, {}),
        (timm.models.nfnet_l0, 224, 82, {}),
        (timm.models.resnetv2_50x1_bit, 224, 54, {}),
        (timm.models.convnext_tiny, 224, 59, {}),
    ]


@pytest.mark.parametrize(
    "make, size, count, read", image_classifiers(), ids=lambda value: getattr(value, "__name__", "")
)
def test_classifiers(make, size, count, read):
    with torch.device("meta"):
        model, image = make().eval(), torch.empty(1, 3, size, size)
    assert run_of(model, lambda: model(image)) == (count, read, [])
    assert code_of(model) == read


def test_heads_that_only_training_uses():
    with torch.device("meta"):
        model = torchvision.models.googlenet(aux_logits=True, init_weights=False)
        image = torch.empty(2, 3, 224, 224)
    heads = [f"aux{n}.{layer}" for n in (1, 2) for layer in ("conv.conv", "fc1", "fc2")]
    assert run_of(model.eval(), lambda: model(image)) == (64, {}, heads)
    assert run_of(model.train(), lambda: model(image)) == (64, {}, [])
    assert code_of(model) == {}


@pytest.mark.parametrize("grad", [True, False])
def test_torchvisions_attention_by_both_of_its_ways(grad):
    model = torchvision.models.VisionTransformer(32, 16, 2, 2, 8, 12).eval()
    with torch.set_grad_enabled(grad):
        count, read, missed = run_of(model, lambda: model(IMAGE))
    assert (count, read, missed) == (8, {("out_proj", "MultiheadAttention", 0): 2}, [])


def language_and_image_models():
    t = transformers
    vision, text = SEEING, SAYING
    return {
        "gpt2": (
            t.GPT2LMHeadModel, t.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50,
                                            bos_token_id=1, eos_token_id=2),
            {"input_ids": IDS}, 9, {}, {},
        ),
        "mamba": (
            t.MambaModel, t.MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2),
            {"input_ids": IDS}, 10,
            {(name, "MambaMixer", 0): 2 for name in ("conv1d", "dt_proj")},
            # in a branch for accelerators, two more
            {(name, "MambaMixer", 0): 2 for name in ("conv1d", "dt_proj", "x_proj", "out_proj")},
        ),
        "vit": (t.ViTModel, t.ViTConfig(**vision), {"pixel_values": IMAGE}, 14, {}, {}),
        "beit": (t.BeitModel, t.BeitConfig(**vision), {"pixel_values": IMAGE}, 13, {}, {}),
        "siglip": (
            t.SiglipVisionModel, t.SiglipVisionConfig(**vision), {"pixel_values": IMAGE}, 16,
            {("out_proj", "MultiheadAttention", 0): 1}, {("out_proj", "MultiheadAttention", 0): 1},
        ),
        "clip": (
            t.CLIPModel,
            t.CLIPConfig(vision_config=vision,
                         text_config=text | {"bos_token_id": 1, "eos_token_id": 2}),
            {"input_ids": IDS, "pixel_values": IMAGE}, 27, {}, {},
        ),
        "whisper": (
            t.WhisperModel,
            t.WhisperConfig(
                d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, vocab_size=50,
                max_source_positions=20, num_mel_bins=8, pad_token_id=0, bos_token_id=1,
                eos_token_id=2, decoder_start_token_id=1),
            {"input_features": torch.ones(1, 8, 40), "decoder_input_ids": IDS}, 34, {}, {},
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", language_and_image_models())
def test_transformers(name):
    kind, config, inputs, count, read, in_code = language_and_image_models()[name]
    model = kind(config).eval()
    assert run_of(model, lambda: model(**inputs)) == (count, read, [])
    assert code_of(model) == in_code


def test_a_vision_tower_that_asks_for_a_dtype():
    config = transformers.models.qwen2_vl.configuration_qwen2_vl.Qwen2VLVisionConfig(
        depth=2, embed_dim=16, hidden_size=12, num_heads=2, patch_size=4
    )
    tower = transformers.models.qwen2_vl.modeling_qwen2_vl.Qwen2VisionTransformerPretrainedModel
    model = tower(config).eval()
    patches = torch.ones(16, 3 * 2 * 4 * 4)
    count, read, missed = run_of(model, lambda: model(patches, grid_thw=torch.tensor([[1, 4, 4]])))
    assert (count, read, missed) == (11, {}, [])
    assert code_of(model) == {}


def test_a_model_that_is_offloaded():
    model = nn.Sequential(nn.Linear(3, 3), nn.MultiheadAttention(4, 2), nn.Conv1d(3, 3, 1))
    accelerate.cpu_offload(model[0], execution_device="cpu")
    accelerate.hooks.add_hook_to_module(model[2], accelerate.hooks.ModelHook())
    x = torch.ones(5, 3)
    assert run_of(model, lambda: model[2](model[0](x).T)) == (3, {}, ["1.out_proj"])
