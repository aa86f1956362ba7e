"""What making a classifier fully convolutional costs, and running the result against it."""

from __future__ import annotations

from functools import partial

import torch
from tables import show_race
from torchvision.models import get_model

from convlin import fully_convolutional

WINDOW = (3, 224, 224)
MODELS = ("vgg16", "convnext_tiny", "resnet50", "densenet121")


def run(rounds: int = 5) -> None:
    """Race the conversion with its check against the conversion alone, both without proofs."""
    torch.manual_seed(0)
    for name in MODELS:
        model = get_model(name, weights=None).eval()
        convert = partial(fully_convolutional, model, WINDOW, allow_inexact=True, proofs=False)
        show_race(
            f"{name} ⇒ fully convolutional, window {WINDOW[1]}",
            {
                "converted, and run against the model": convert,
                "converted": partial(convert, check=False),
            },
            rounds,
        )
