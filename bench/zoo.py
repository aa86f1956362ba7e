"""The zoo: layers of whole models swapped by other tools and by `convlin.rewrite`.

Right, crashed or silently wrong; how many weights stand in layers of the wanted kind, before and
after; and what became of tied weights, frozen ones and the mode.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import timm
import torch
import transformers
from rich.table import Table
from tables import console
from torch import Tensor, nn
from torchvision import models

import convlin

EQUAL = 1e-10
SMALL = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


@dataclass(frozen=True)
class Net:
    """A model, and the size of the input that it is run on."""

    build: Callable[[], nn.Module]
    size: tuple[int, ...] = (2, 3, 64, 64)


def vit() -> nn.Module:
    config = transformers.ViTConfig(**SMALL, image_size=64, patch_size=8, num_labels=7)
    return transformers.ViTForImageClassification(config)


def convnext() -> nn.Module:
    config = transformers.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
    return transformers.ConvNextForImageClassification(config)


def whisper() -> nn.Module:
    config = transformers.WhisperConfig(
        d_model=48, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=96,
        num_mel_bins=8, max_source_positions=16,
    )  # fmt: skip
    return transformers.models.whisper.modeling_whisper.WhisperEncoder(config)


def beit() -> nn.Module:
    size = {"img_size": 64, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 2}
    return timm.create_model("beit_base_patch16_224", **size)


def tied() -> nn.Module:
    shared = nn.Conv2d(8, 8, 1).requires_grad_(False)
    return nn.Sequential(nn.Conv2d(3, 8, 3), shared, nn.ReLU(), shared)


def tied_linears() -> nn.Module:
    shared = nn.Linear(64, 64).requires_grad_(False)
    return nn.Sequential(shared, nn.ReLU(), shared)


CONVOLUTIONAL = {
    "ResNet-18": Net(lambda: models.resnet18()),
    "ResNet-50": Net(lambda: models.resnet50()),
    "ResNeXt-50": Net(lambda: models.resnext50_32x4d()),
    "RegNet-X-400MF": Net(lambda: models.regnet_x_400mf()),
    "MobileNetV3-small": Net(lambda: models.mobilenet_v3_small()),
    "ShuffleNetV2": Net(lambda: models.shufflenet_v2_x1_0()),
    "timm convnext_atto": Net(lambda: timm.create_model("convnext_atto")),
    "timm nf_resnet26": Net(lambda: timm.create_model("nf_resnet26")),
    "timm nfnet_l0": Net(lambda: timm.create_model("nfnet_l0")),
    "timm resnetv2_50x1_bit": Net(lambda: timm.create_model("resnetv2_50x1_bit")),
    "transformers ConvNeXt": Net(convnext),
    "grouped 1×1": Net(lambda: nn.Sequential(nn.Conv2d(3, 6, 1, groups=3))),
    "one image, no batch": Net(lambda: nn.Sequential(nn.Conv2d(3, 6, 1)), (3, 8, 8)),
    "a single 1×1": Net(lambda: nn.Conv2d(3, 6, 1)),
    "shared and frozen 1×1": Net(tied),
}
FULLY_CONNECTED = {
    "torchvision ViT": Net(
        lambda: models.VisionTransformer(64, 8, 2, 2, 48, 96, num_classes=7)
    ),
    "torchvision Swin": Net(
        lambda: models.SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=7)
    ),
    "timm BEiT": Net(beit),
    "transformers ViT": Net(vit),
    "transformers Whisper encoder": Net(whisper, (2, 8, 32)),
    "a single Linear": Net(lambda: nn.Linear(64, 32), (2, 9, 64)),
    "shared and frozen Linear": Net(tied_linears, (2, 9, 64)),
}  # fmt: skip


def by_torchao(model: nn.Module, example: Tensor) -> nn.Module:
    """Run torchao's own swap, which changes the model that it is given."""
    from torchao.quantization.quant_api import swap_conv2d_1x1_to_linear

    swap_conv2d_1x1_to_linear(model)
    return model


class ConvInPlaceOfLinear(nn.Module):
    """A Linear on the last axis as a 1×1 convolution, as converters for phones write it."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            linear.in_features, linear.out_features, 1, bias=linear.bias is not None
        )
        self.conv.weight = nn.Parameter(linear.weight.detach()[:, :, None, None])
        if linear.bias is not None:
            self.conv.bias = nn.Parameter(linear.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, S, C) or (N, C)."""
        maps = x.movedim(-1, 1)
        missing = 4 - x.dim()
        maps = maps.reshape(*maps.shape, *[1] * missing)
        return self.conv(maps).reshape(len(x), -1, *x.shape[1:-1]).movedim(1, -1)


def by_recursion(model: nn.Module, example: Tensor) -> nn.Module:
    """Put a 1×1 convolution where a Linear is an attribute, all over the model."""
    for name, child in model.named_children():
        if isinstance(child, nn.Linear):
            setattr(model, name, ConvInPlaceOfLinear(child))
        else:
            by_recursion(child, example)
    return model


def by_convlin(to: str) -> Callable[[nn.Module, Tensor], nn.Module]:
    return lambda model, example: (
        convlin.rewrite(model, to, keys="native", example=example, proofs=False).model
    )


def audible(model: nn.Module) -> nn.Module:
    """Draw what fresh networks leave at 0 or at 1, so that every layer shows in the scores."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, (len(parameter) / parameter.numel()) ** 0.5)
            else:
                parameter.uniform_(0.2, 1)
    return model.eval().double()


def scores(model: nn.Module, example: Tensor) -> Tensor:
    outputs = model(example)
    return outputs if isinstance(outputs, Tensor) else outputs[0]


def weights_in(model: nn.Module, kind: type | tuple[type, ...]) -> int:
    """Return how many weights stand in layers of a kind."""
    found = {id(m.weight): m.weight.numel() for m in model.modules() if isinstance(m, kind)}
    return sum(found.values())


def outcome(swap, model: nn.Module, example: Tensor, kind) -> tuple[str, str, str]:
    """Return the verdict, the weights reached, and what changed that should not have."""
    expected = scores(model, example)
    trainable = sum(p.requires_grad for p in model.parameters())
    given = copy.deepcopy(model)
    try:
        swapped = swap(given, example)
        outputs = scores(swapped, example)
    except Exception as error:  # whatever a peer raises is its answer
        return f"[red]crashed[/]: {type(error).__name__}", "–", "–"
    relative = ((outputs - expected).abs().max() / expected.abs().max()).item()
    if [type(m) for m in swapped.modules()] == [type(m) for m in model.modules()]:
        verdict = "nothing swapped"
    elif relative < EQUAL:
        verdict = f"right ({relative:.0e})"
    else:
        verdict = f"[red]silently wrong[/]: off by {relative:.2g}"
    changes = [
        f"{len([*model.parameters()])} → {len([*swapped.parameters()])} parameters"
        if len([*model.parameters()]) != len([*swapped.parameters()])
        else "",
        "unfrozen" if sum(p.requires_grad for p in swapped.parameters()) > trainable else "",
        "train mode" if any(m.training for m in swapped.modules()) else "",
    ]
    weights = f"{weights_in(model, kind):,} → {weights_in(swapped, kind):,}"
    return verdict, weights, ", ".join(filter(None, changes)) or "none"


def show(title: str, nets: dict[str, Net], contenders: dict, kind) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("net", "by", "outcome", "weights in such layers", "side effects"):
        table.add_column(heading)
    for name, net in nets.items():
        torch.manual_seed(0)
        model = audible(net.build())
        example = torch.randn(net.size, dtype=torch.float64)
        for i, (contender, swap) in enumerate(contenders.items()):
            with console.status(f"{name}, by {contender}"):
                answer = outcome(swap, model, example, kind)
            table.add_row("" if i else name, contender, *answer)
    console.print(table)


def run() -> None:
    """Print both directions."""
    with torch.no_grad():
        show(
            "The zoo: 1×1, patchify and full-size convolutions ⇒ Linear",
            CONVOLUTIONAL,
            {"torchao": by_torchao, "convlin": by_convlin("linear")},
            nn.Linear,
        )
        show(
            "The zoo: Linear ⇒ 1×1 convolution",
            FULLY_CONNECTED,
            {"recursion": by_recursion, "convlin": by_convlin("conv2d")},
            (nn.Conv1d, nn.Conv2d, nn.Conv3d),
        )


if __name__ == "__main__":
    run()
