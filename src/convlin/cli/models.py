"""Models that the user names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from convlin.cli.terminal import output, shown
from convlin.errors import InputError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["open_classifier", "open_model"]


def open_model(spec: str, weights: Path | None, trust: bool, json: bool) -> nn.Module:
    """Load a model, and say whose code runs for it; the working directory is searched first."""
    from convlin.models.load import load_model

    console = output(json)
    if ":" in spec:
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)
        filled = shown(weights) if weights else "as it makes them"
        console.print(f"[dim]runs the code of {shown(spec)}; weights: {filled}[/]")
    elif trust:
        console.print(f"[dim]trusts {shown(spec)}: it may run code of its own[/]")
    return load_model(spec, weights, trust=trust)


def open_classifier(spec: str, weights: Path | None, trust: bool, json: bool) -> nn.Module:
    """Load a model to be made fully convolutional, which a `.pt2` cannot be."""
    if spec.lower().endswith(".pt2"):
        raise InputError(f"{spec}: a .pt2 serves `convlin prove` only; give an import path")
    return open_model(spec, weights, trust, json)
