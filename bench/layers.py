"""One layer in two equal forms: VGG-16's fc6, and the patch embeddings of ViT and Qwen2-VL."""

from __future__ import annotations

import torch
from tables import show_race
from torch import nn
from torchvision.models import vit_b_16
from transformers.models.qwen2_vl.modeling_qwen2_vl import PatchEmbed

import convlin

PATCHES = 1024


def run(rounds: int = 15) -> None:
    """Race convolution against linear, in float32 and bfloat16."""
    torch.manual_seed(0)
    fc6 = nn.Linear(512 * 7 * 7, 4096)
    conv = convlin.to_conv(fc6, feature_size=(512, 7, 7))
    for batch in (1, 8):
        maps = torch.rand(batch, 512, 7, 7)
        show_race(
            f"VGG-16 fc6, batch {batch}",
            {
                "convolution 7×7": lambda m=maps: conv.conv(m),
                "linear": lambda m=maps: fc6(m.flatten(1)),
            },
            rounds,
        )
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        patchify = vit_b_16().conv_proj.to(dtype)
        tokens = convlin.to_linear(patchify)
        images = torch.rand(8, 3, 224, 224, dtype=dtype)
        show_race(
            f"ViT-B/16 patch embedding, batch 8, {name}",
            {
                "Conv2d 16×16": lambda c=patchify, x=images: c(x),
                "linear": lambda m=tokens, x=images: m(x),
            },
            rounds,
        )
        embed = PatchEmbed(patch_size=14, temporal_patch_size=2, in_channels=3, embed_dim=1152)
        embed = embed.to(dtype)
        original, exchanged = embed.proj, convlin.to_linear(embed.proj)
        patches = torch.rand(PATCHES, 3, 2, 14, 14, dtype=dtype)
        show_race(
            f"Qwen2-VL patch embedding, {PATCHES} patches, {name}",
            {
                "Conv3d 2×14×14": lambda c=original, p=patches: c(p),
                "linear": lambda m=exchanged, p=patches: m(p),
            },
            rounds,
        )
