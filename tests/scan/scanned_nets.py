"""Small classifiers in one, two and three dimensions, and their scores without convlin."""

import itertools

import numpy as np
import torch
from torch import nn

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
WINDOWS = {1: (2, 19), 2: (3, 13, 11), 3: (2, 7, 9, 8)}


class Classifier(nn.Module):
    """Features, then a head on the flattened map; two outputs if asked for."""

    def __init__(self, ndim, *, padding, seed=0, several=False, mode="zeros"):
        super().__init__()
        torch.manual_seed(seed)
        channels, *size = WINDOWS[ndim]
        self.features = nn.Sequential(
            CONVS[ndim](channels, 4, 3, padding=padding, padding_mode=mode), nn.ReLU(),
            MAX[ndim](2), CONVS[ndim](4, 5, (2,) * ndim, padding=0), nn.Tanh(),
        )  # fmt: skip
        with torch.no_grad():
            made = self.features(torch.zeros(1, channels, *size))
        self.map = tuple(made.shape[2:])
        self.head = nn.Linear(made[0].numel(), 7)
        self.other = nn.Linear(made[0].numel(), 2) if several else None
        self.double().eval()

    def forward(self, x):
        flat = self.features(x).flatten(1)
        if self.other is None:
            return self.head(flat)
        return {"kinds": self.head(flat), "box": self.other(flat)}


class Residual(nn.Module):
    """A padded net with a 1×1 shortcut of stride 2, and a global pool."""

    def __init__(self, seed=3):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)
        self.left = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.right = nn.Conv2d(4, 6, 1, stride=2)
        self.head = nn.Linear(6, 5)
        self.double().eval()

    def features(self, x):
        x = torch.relu(self.norm(self.first(x)))
        return torch.relu(self.left(x) + self.right(x))

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


def window_scores(model, image, window, stride, cells):
    """Return the model's outputs on each crop (list of arrays), for these cells."""
    found = []
    for cell in cells:
        part = tuple(slice(i * s, i * s + p) for i, s, p in zip(cell, stride, window, strict=True))
        with torch.no_grad():
            found.append(model(torch.as_tensor(image)[(None, slice(None), *part)]))
    return found


def image_scores(features, head, image, size):
    """Return the head on every part, as large as the window's map, of the whole image's features.

    Such is "image semantics": padding is at the image's border alone.
    """
    with torch.no_grad():
        whole = features(torch.as_tensor(image)[None])
        counts = [n - m + 1 for n, m in zip(whole.shape[2:], size, strict=True)]
        rows = {}
        for cell in itertools.product(*map(range, counts)):
            part = tuple(slice(i, i + m) for i, m in zip(cell, size, strict=True))
            rows[cell] = head(whole[(slice(None), slice(None), *part)])[0].numpy()
    made = np.empty((len(next(iter(rows.values()))), *counts))
    for cell, row in rows.items():
        made[(slice(None), *cell)] = row
    return made


def noise(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def padded():
    return Classifier(2, padding=1)


def unpadded():
    return Classifier(2, padding=0)


def trained_digits():
    from sklearn.datasets import load_digits

    torch.manual_seed(0)
    net = digit_net()
    data = load_digits()
    images = torch.tensor(data.images[:, None] / 16, dtype=torch.float32)
    targets = torch.tensor(data.target)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), targets).backward()
        optimizer.step()
    return net.eval()


def digit_net():
    """The same net without its training: weights come from a file."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 3 * 3, 10)
    )
