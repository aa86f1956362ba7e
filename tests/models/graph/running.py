"""A classifier around one operation: a convolution in front of it, a Linear behind."""

from functools import partial

import torch
from torch import nn

from models.graph.every_operation import EVERY


class Lstm(nn.LSTM):
    """A class of one's own is none of PyTorch's layers: it is the operation that has a rule."""


class Gru(nn.GRU):
    """As `Lstm`."""


class Rnn(nn.RNN):
    """As `Lstm`."""


RECURRENT = {"lstm": Lstm, "gru": Gru, "rnn_tanh": Rnn,
             "rnn_relu": partial(Rnn, nonlinearity="relu")}  # fmt: skip


class Running(nn.Module):
    """Runs an operation between a convolution and a Linear."""

    def __init__(self, name):
        super().__init__()
        generator = torch.Generator().manual_seed(3)

        def drawn(*shape):
            return nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))

        ndim = next((int(d) for d in "123" if f"{d}d" in name), 2)
        self.window = (3, *(9, 8, 7)[:ndim])
        self.forward_of = EVERY[name]
        convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[ndim]
        self.first, self.second = (convolution(3, 6, 3).double() for _ in range(2))
        self.kernel, self.per_channel, self.small = drawn(5, 6, 2, 2), drawn(6), drawn(6, 6)
        self.square = drawn(252, 252)
        if name in RECURRENT:
            self.recurrent = RECURRENT[name](6, 2, batch_first=True).double()
        self.eval()
        with torch.no_grad():
            size = self.features(torch.zeros(2, *self.window, dtype=torch.float64)).shape[1]
        self.head = nn.Linear(size, 2).double().eval()

    def other(self, y):
        """Return another map of the same images, as large."""
        return self.second(self.images)

    def features(self, x):
        object.__setattr__(self, "images", x)
        made = self.forward_of(self, self.first(x))
        return made.flatten(1).to(x.dtype)

    def forward(self, x):
        return self.head(self.features(x))
