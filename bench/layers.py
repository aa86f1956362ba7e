"""One layer in two equal forms: VGG-16's fc6, and Qwen2-VL's patch embedding."""

from __future__ import annotations

import torch
from tables import show_race
from torch import nn
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
        embed = PatchEmbed(patch_size=14, temporal_patch_size=2, in_channels=3, embed_dim=1152)
        embed = embed.to(dtype)
        original, exchanged = embed.proj, convlin.to_linear(embed.proj)
        patches = torch.rand(PATCHES, 3, 2, 14, 14, dtype=dtype)
        show_race(
            f"Qwen2-VL patch embedding, {PATCHES} patches, {str(dtype).removeprefix('torch.')}",
            {
                "Conv3d 2×14×14": lambda c=original, p=patches: c(p),
                "linear": lambda m=exchanged, p=patches: m(p),
            },
            rounds,
        )
