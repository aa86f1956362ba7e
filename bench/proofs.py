"""How the time of a proof grows with the layer."""

from __future__ import annotations

import time

import torch
from rich.table import Table
from tables import console
from torch import nn

import convlin

FEATURES = [(16, 5, 6), (64, 7, 6), (256, 6, 7), (512, 7, 7)]
OUTPUTS = [32, 256, 1024, 4096]


def run() -> None:
    """Print proof time against layer size."""
    table = Table(title="Proof time: linear ⇒ full-size convolution", title_justify="left")
    for heading in ("multiply-adds", "audit", "failure ≤", "prove (aliased)", "failure ≤"):
        table.add_column(heading, justify="right")
    for feature_size, outputs in zip(FEATURES, OUTPUTS, strict=True):
        inputs = torch.Size(feature_size).numel()
        linear = nn.Linear(inputs, outputs)
        row = [f"{inputs * outputs:,}"]
        for judge in (
            lambda s=feature_size, m=linear, n=inputs: convlin.audit(
                lambda layer: convlin.to_conv(layer, feature_size=s), m, (n,)
            ),
            lambda s=feature_size, m=linear, n=inputs: convlin.prove(
                m, convlin.to_conv(m, feature_size=s), (n,)
            ),
        ):
            start = time.perf_counter()
            verdict = judge()
            seconds = time.perf_counter() - start
            if not isinstance(verdict, convlin.Proved):
                raise SystemExit(f"not proved: {verdict}")
            row += [f"{seconds:.2f} s", f"{verdict.failure_probability:.0e}"]
        table.add_row(*row)
    console.print(table)
