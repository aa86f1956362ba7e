"""Conversions as their own packages bring them."""

from __future__ import annotations

import copy
from importlib.metadata import version

import torch
from timm.layers.test_time_pool import TestTimePoolHead
from torch import Tensor, nn
from torchao.quantization.quant_api import swap_conv2d_1x1_to_linear
from transformers.core_model_loading import Conv3dToLinear
from transformers.fusion_mapping import PatchEmbeddingsFusionSpec

from convlin.testing.case import Case
from published.entry import Entry, Pair


def torchao(layer: nn.Module) -> nn.Module:
    """Swap in a model of this layer alone: it cannot swap the root."""
    model = nn.Sequential(layer)
    swap_conv2d_1x1_to_linear(model)
    return model


class Patches(nn.Module):
    """A patch embedding as vision models have it: one patch a row, flattened."""

    def __init__(self, proj: nn.Conv3d) -> None:
        super().__init__()
        self.proj, self.embed_dim = proj, proj.out_channels

    def forward(self, patches: Tensor) -> Tensor:
        patches = patches.view(-1, self.proj.in_channels, *self.proj.kernel_size)
        return self.proj(patches).view(-1, self.embed_dim)


def transformers(case: Case) -> Pair:
    """Fuse a patch embedding as loading a model does: another class, and its weights laid over."""
    layer, spec = case.layer(), PatchEmbeddingsFusionSpec()
    original = Patches(layer)

    def fused() -> nn.Module:
        if not spec.is_fusable(original):
            raise ValueError("not fusable")
        new = spec.make_fused_class(Patches)(copy.deepcopy(layer))
        laid = Conv3dToLinear(layer.in_channels, layer.kernel_size).convert(
            {"weight": layer.weight.detach()}, ["weight"], ["weight"]
        )
        new.linear_proj.load_state_dict(
            laid if layer.bias is None else {**laid, "bias": layer.bias.detach()}
        )
        return new

    return original, fused, (layer.in_channels * layer.weight[0, 0].numel() * layer.groups,)


class Classifier(nn.Module):
    """What timm asks of a model: feature maps, and a Linear on their mean."""

    def __init__(self, fc: nn.Linear, between: nn.Module) -> None:
        super().__init__()
        self.fc, self.between = fc, between
        self.num_features, self.num_classes = fc.in_features, fc.out_features

    def forward_features(self, maps: Tensor) -> Tensor:
        return maps

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, _: int) -> None:
        self.fc = nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        return self.fc(self.between(maps.mean((2, 3))))


def timm(case: Case, between: nn.Module | None = None) -> Pair:
    """Put the head that pools at test time behind a classifier's maps, at its usual size."""
    original = Classifier(case.layer(), between or nn.Identity()).eval()

    def headed() -> nn.Module:
        return TestTimePoolHead(copy.deepcopy(original), original_pool=2).eval()

    return original, headed, (case.channels[0], 2, 2)


def timm_on_convnext(case: Case) -> Pair:
    """Do the same to a model that normalises between its mean and its Linear."""
    norm = nn.LayerNorm(case.channels[0], dtype=case.dtype)
    with torch.no_grad():
        norm.weight.uniform_(1, 2)
        norm.bias.uniform_(1, 2)
    return timm(case, norm)


def package(name: str) -> str:
    return f"{name} {version(name)}"


PACKAGED = (
    Entry("swap_conv2d_1x1_to_linear", package("torchao"), "kernel size", (nn.Conv2d,), torchao),
    Entry(
        "fusion of patch embeddings", package("transformers"),
        "stride, padding, dilation, groups", (nn.Conv3d,), pair=transformers,
    ),
    Entry("TestTimePoolHead", package("timm"), "nothing", (nn.Linear,), pair=timm),
    Entry(
        "TestTimePoolHead, normalised heads", package("timm"), "nothing", (nn.Linear,),
        pair=timm_on_convnext,
    ),
)  # fmt: skip
