"""How far does training leave the convolution, once nothing holds it there?

A small convolutional network learns the 1,797 real digits of scikit-learn. Midway its first layer
becomes the equal fully connected layer, and its second the equal locally connected one: at that
moment not one output changes. Then training goes on, weights free to differ, and after every epoch
each layer is projected back onto the convolutions. Its energy ‖W‖² splits into what is still
shared, what is local but no longer shared, and what has grown where no tap reaches.

    python examples/leave_the_convolution.py --epochs 120 -o out/leaving.png

After d'Ascoli, Sagun, Biroli and Bruna, "Finding the needle in the haystack with convolutions: on
the benefits of architectural bias", NeurIPS 2019, who relax convolutions of larger networks.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from rich.progress import track
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import convlin
from convlin import ConvGeometry
from convlin.figures.canvas import Drawing
from convlin.structure import Energy

HELD_OUT = 450
BATCH = 64
SIZES = {"first": (8, 8), "second": (4, 4)}  # of the maps that the two layers read


@dataclass
class History:
    """What was measured after every epoch; `relaxed` is the epoch after which layers were freed."""

    relaxed: int
    accuracy: list[float] = field(default_factory=list)
    first: list[Energy] = field(default_factory=list)
    second: list[Energy] = field(default_factory=list)
    change_at_relaxing: float = 0.0


class Network(nn.Module):
    """Two convolutions and a classifier; either convolution may be exchanged for another form."""

    def __init__(self) -> None:
        super().__init__()
        self.first: nn.Module = nn.Conv2d(1, 8, 3, padding=1)
        self.second: nn.Module = nn.Conv2d(8, 16, 3, padding=1)
        self.head = nn.Linear(16 * 4 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (N, 10) of images (N, 1, 8, 8)."""
        x = functional.max_pool2d(self.first(x).relu(), 2)
        scores: Tensor = self.head(self.second(x).relu().flatten(1))
        return scores


def relax(network: Network) -> None:
    """Free both convolutions in place, without changing an output."""
    network.first = convlin.to_linear(network.first, SIZES["first"], exchange="dense_at_size")
    network.second = convlin.to_local(network.second, SIZES["second"])


def energy_of(layer: nn.Module, geometry: ConvGeometry, size: tuple[int, int]) -> Energy:
    """Return how the energy of a layer, in whatever form, splits against its convolution."""
    if isinstance(layer, nn.Conv2d):
        matrix = convlin.unroll(layer, size).tocsr()
    else:
        matrix = getattr(layer, "linear", layer)
    return convlin.nearest_conv(matrix, geometry, size).energy


def run(epochs: int, seed: int = 0, rate: float = 1e-3) -> History:
    """Train, relax after half of the epochs, train on; measure after every epoch."""
    torch.manual_seed(seed)
    images, labels, held_images, held_labels = digits(seed)
    network, history = Network(), History(relaxed=epochs // 2)
    geometries = ConvGeometry.of(network.first), ConvGeometry.of(network.second)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for epoch in track(range(epochs), "training", transient=True):
        if epoch == history.relaxed:
            with torch.no_grad():
                before = network(held_images)
                relax(network)
                history.change_at_relaxing = float((network(held_images) - before).abs().max())
            optimizer = torch.optim.Adam(network.parameters(), lr=rate)
        for batch in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            right = network(held_images).argmax(1) == held_labels
        history.accuracy.append(float(right.float().mean()))
        history.first.append(energy_of(network.first, geometries[0], SIZES["first"]))
        history.second.append(energy_of(network.second, geometries[1], SIZES["second"]))
    return history


def digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images (N, 1, 8, 8) from 0 to 1 and labels, to train on and held out."""
    data = load_digits()
    order = np.random.default_rng(seed).permutation(len(data.images))
    images = torch.tensor(data.images[order] / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(data.target[order])
    return images[HELD_OUT:], labels[HELD_OUT:], images[:HELD_OUT], labels[:HELD_OUT]


def draw(history: History) -> Figure:
    """Return the figure: each layer's energies over the epochs, and the accuracy below."""
    figure = Drawing(figsize=(9, 5.2), dpi=150, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[3, 1])
    courses = {
        "layer 1: convolution, then fully connected": history.first,
        "layer 2: convolution, then locally connected": history.second,
    }
    convlin.figures.energy(courses, into=top)
    accuracy = bottom.subplots()
    epochs = np.arange(1, len(history.accuracy) + 1)
    accuracy.plot(epochs, history.accuracy, color="#333333", linewidth=1.5)
    low = min(history.accuracy[len(history.accuracy) // 10 :])
    accuracy.set(xlabel="epoch", ylabel="accuracy,\nheld out", ylim=(max(0.0, low - 0.02), 1.005))
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    accuracy.grid(alpha=0.25)
    accuracy.spines[["top", "right"]].set_visible(False)
    for ax in figure.get_axes():
        ax.axvline(history.relaxed + 0.5, color="#999999", linestyle=":", linewidth=1.2)
    accuracy.annotate(
        "relaxed", (history.relaxed + 0.5, accuracy.get_ylim()[0]), xytext=(4, 5),
        textcoords="offset points", fontsize=9, color="#666666",
    )  # fmt: skip
    return figure


def main() -> None:
    """Run, say what came out, and draw it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of Adam")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/leaving.png"))
    options = parser.parse_args()
    history = run(options.epochs, options.seed, options.rate)
    print(f"relaxed after epoch {history.relaxed}: outputs moved by at most "
          f"{history.change_at_relaxing:.1e}")  # fmt: skip
    for name, form in (("first", "fully connected"), ("second", "locally connected")):
        print(f"{name} layer, {form}: {getattr(history, name)[-1]}")
    print(f"accuracy {history.accuracy[history.relaxed - 1]:.1%} before, "
          f"{history.accuracy[-1]:.1%} in the end")  # fmt: skip
    options.output.parent.mkdir(parents=True, exist_ok=True)
    draw(history).savefig(options.output)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
