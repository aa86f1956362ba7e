"""The recipe everybody uses, beside exact scores of windows: how many windows get another class.

The recipe runs a padded classifier over the whole image as one convolutional network, so that
padding is at the image's border alone, where the classifier has it around every window.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from rich.table import Table
from skimage import data
from sklearn.datasets import load_sample_image
from tables import console
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models._meta import _IMAGENET_CATEGORIES as CLASSES

import convlin

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from trained_net import efficientnet_lite0

WINDOW = (3, 224, 224)
TRAINED = "EfficientNet-Lite0"
NETS: dict[str, Callable[[], nn.Module]] = {
    TRAINED: efficientnet_lite0,
    "AlexNet": partial(get_model, "alexnet", weights=None),
    "ResNet-18": partial(get_model, "resnet18", weights=None),
    "VGG-11": partial(get_model, "vgg11", weights=None),
}
PHOTOGRAPHS = {
    "astronaut": data.astronaut,
    "chelsea": data.chelsea,
    "coffee": data.coffee,
    "rocket": data.rocket,
    "china": partial(load_sample_image, "china.jpg"),
    "flower": partial(load_sample_image, "flower.jpg"),
}


@torch.inference_mode()
def run() -> None:
    """Print, for every net, the windows of all photographs that get another class."""
    images = {name: photograph(load()) for name, load in PHOTOGRAPHS.items()}
    table = Table(
        title=f"Windows of {len(images)} photographs, one every 32 pixels: another class than the "
        "crop's own",
        title_justify="left",
    )
    table.add_column("net")
    for heading in ("windows", "padded at\nthe border", "off by", "sliding_\nwindow", "off by"):
        table.add_column(heading, justify="right")
    for name, build in NETS.items():
        torch.manual_seed(0)
        model = build().eval()
        recipe = convlin.fully_convolutional(
            model, WINDOW, allow_inexact=True, proofs=False, check=False
        )
        exact = convlin.sliding_window(model, WINDOW, stride=32, check=False)
        with console.status(name):
            own = torch.cat([on_crops(model, recipe, image) for image in images.values()])
            answers = [
                torch.cat([network(image)[0].flatten(1).T for image in images.values()])
                for network in (recipe, exact)
            ]
        compared = [text for answer in answers for text in beside(answer, own)]
        table.add_row(name, str(len(own)), *compared)
        if name == TRAINED:
            surest = as_other(answers[0], own)
            table.caption = f"{name} is trained: {surest}. The others have random weights."
    console.print(table)


def photograph(pixels) -> Tensor:
    """Return pixels (H, W, 3) as EfficientNet-Lite takes them."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float().sub(127).div(128)


def on_crops(model: nn.Module, network: convlin.FullyConvolutional, image: Tensor) -> Tensor:
    """Return what the classifier gives for each crop (windows, classes), a row of them at once."""
    rows, columns = network.cells(image.shape[2:])
    return torch.cat([
        model(torch.cat([image[network.crop((i, j))] for j in range(columns)])) for i in range(rows)
    ])  # fmt: skip


def beside(scores: Tensor, own: Tensor) -> tuple[str, str]:
    """Return how many windows get another class, and the largest difference of a score."""
    other = int((scores.argmax(1) != own.argmax(1)).sum())
    off = float((scores - own).abs().max() / own.abs().max())
    return f"[{'red' if other else 'green'}]{other}[/]", f"{off:.1e}"


def as_other(scores: Tensor, own: Tensor) -> str:
    """Return what the surest of the windows that get another class is, and becomes."""
    own, scores = own.softmax(1), scores.softmax(1)
    differ = scores.argmax(1) != own.argmax(1)
    window = int((own.amax(1) * differ).argmax())
    (sure, best), (other, instead) = own[window].max(0), scores[window].max(0)
    return (
        f"{CLASSES[int(best)]} ({float(sure):.0%}) is {CLASSES[int(instead)]} ({float(other):.0%}) "
        "where only the border is padded"
    )
