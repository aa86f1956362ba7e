"""A fixed-size classifier over a whole image: one dense pass against sliding in batches of 64."""

from __future__ import annotations

import torch
from tables import console, show_race
from torch import Tensor, nn
from torchvision.models import alexnet

import convlin

IMAGE = 512


def unpadded_alexnet() -> nn.Module:
    """AlexNet (random weights: speed does not depend on them) with every padding set to 0."""
    torch.manual_seed(0)
    model = alexnet(weights=None).eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding = (0, 0)
    return model


def slide(model: nn.Module, image: Tensor, window: int, stride: int) -> Tensor:
    """Return the scores of every window, in batches of 64, as (rows, columns, classes)."""
    windows = image.unfold(1, window, stride).unfold(2, window, stride).movedim(0, 2)
    rows, columns = windows.shape[:2]
    batches = windows.flatten(0, 1).split(64)
    return torch.cat([model(batch) for batch in batches]).unflatten(0, (rows, columns))


def run(rounds: int = 9) -> None:
    """Race the sliding classifier against its two dense forms, at both windows."""
    model = unpadded_alexnet()
    image = torch.rand(3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(1))
    for window in (355, 224):
        dense = {
            head: convlin.fully_convolutional(model, (3, window, window), head=head, proofs=False)
            for head in ("conv", "linear")
        }
        stride = dense["conv"].stride[0]
        truth = slide(model, image, window, stride).movedim(2, 0)
        for head, net in dense.items():
            worst = (net(image[None])[0] - truth).abs().max() / truth.abs().max()
            console.print(
                f"window {window}, head as {head}: largest relative difference {worst:.1e}"
            )
        show_race(
            f"AlexNet without padding, window {window}, on {IMAGE}×{IMAGE}: "
            f"{truth.shape[1]}×{truth.shape[2]} windows",
            {
                "sliding, batches of 64": lambda w=window, s=stride: slide(model, image, w, s),
                "dense, head as convolution": lambda n=dense["conv"]: n(image[None]),
                "dense, head as unfold + linear": lambda n=dense["linear"]: n(image[None]),
            },
            rounds,
        )
