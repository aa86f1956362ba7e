"""Draw the pictures of the README into `docs/`: the article's example, and a small classifier.

    python scripts/draw_figures.py

`docs/leaving.png` is `examples/leave_the_convolution.py`'s, which trains first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import convlin
from convlin import figures
from convlin.display.atomic import replacing
from convlin.teach.article_examples import IMAGE, KERNEL

DOCS = Path(__file__).parents[1] / "docs"
IMAGE, KERNEL = np.array(IMAGE), np.array(KERNEL)


def drawn() -> dict[str, Figure]:
    """Return every picture by the name of its file."""
    article = convlin.ConvMatrix(convlin.ConvGeometry(1, 1, (3, 3)), KERNEL[None, None], (6, 6))
    mixing = convlin.ConvMatrix(
        convlin.ConvGeometry(3, 2, (1, 1)),
        np.array([[1, 2, -1], [0, -2, 3]]).reshape(2, 3, 1, 1),
        (3, 3),
    )
    torch.manual_seed(0)
    classifier = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 10),
    ).eval()  # fmt: skip
    report = convlin.fully_convolutional(classifier, window=(1, 32, 32)).report
    return {
        "neuron.png": figures.neuron(article, IMAGE, (0, 0, 0)),
        "matrix.png": figures.matrix(article),
        "forms.png": figures.forms(article),
        "pointwise.png": figures.pointwise(mixing, np.arange(27).reshape(3, 3, 3) % 7),
        "exchange_map.png": figures.exchange_map(report),
    }


def main() -> None:
    """Draw them all."""
    for name, figure in drawn().items():
        with replacing(DOCS / name) as file:
            figure.savefig(file, format="png")
        print(f"wrote docs/{name}")


if __name__ == "__main__":
    main()
