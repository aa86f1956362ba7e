"""A working directory with a user's own models in it, and the commands run there."""

import sys

import pytest
from typer.testing import CliRunner

from convlin.cli import app
from written_here import check_here

MODELS = """
import torch
from torch import nn

def unpadded():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, (3, 2)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 4 * 3, 5)
    return nn.Sequential(*layers)

def padded():
    torch.manual_seed(1)
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 10 * 7, 5)
    return nn.Sequential(*layers)

class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.a, self.b = nn.Conv2d(1, 3, 3), nn.Linear(3 * 5 * 4, 2), nn.Linear(3 * 5 * 4, 6)
    def forward(self, x):
        x = self.conv(x).relu().permute(0, 3, 2, 1).flatten(1)
        return {"a": self.a(x), "b": (self.b(x).softmax(1), self.a(x))}

def enlarging():
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Flatten(), nn.Linear(4 * 6 * 10, 2))

def linear():
    torch.manual_seed(3)
    return nn.Linear(12, 5)

def pointwise(layer):
    if isinstance(layer, nn.Linear):
        return layer
    if layer.kernel_size != (1, 1):
        raise ValueError("not pointwise")
    new = nn.Conv2d(layer.in_channels, layer.out_channels, 1, bias=False).train(layer.training)
    new.weight, new.bias = layer.weight, layer.bias
    return new

def exits(layer):
    raise SystemExit(0)

class Exiting(nn.Module):
    def forward(self, x):
        raise SystemExit(0)

number = 7

def same_as_conv():
    given, conv = linear(), nn.Conv2d(2, 5, (3, 2))
    conv.weight.data, conv.bias.data = given.weight.data.reshape(5, 2, 3, 2), given.bias.data
    return nn.Sequential(nn.Unflatten(-1, (2, 3, 2)), conv, nn.Flatten(-3))

def one_weight_off():
    other = same_as_conv()
    other[1].weight.data[3, 1, 2, 0] *= 1.0001
    return other

def two_linears():
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(12, 6), nn.Linear(6, 5))

def merged():
    (w1, b1), (w2, b2) = ((l.weight.data.double(), l.bias.data.double()) for l in two_linears())
    one = nn.Linear(12, 5)
    one.weight.data, one.bias.data = (w2 @ w1).float(), (w2 @ b1 + b2).float()
    return one

def with_relu():
    return nn.Sequential(linear(), nn.ReLU())

def with_relu_and_more():
    return nn.Sequential(linear(), nn.ReLU(), nn.Identity())
"""


@pytest.fixture
def house(tmp_path, monkeypatch):
    """The working directory, with `models_here.py` in it."""
    (tmp_path / "models_here.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("models_here", "models_there"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def run(house):
    """Run a command in the working directory: its result with `exit_code`, `stdout`, `stderr`."""
    return lambda *arguments, **more: CliRunner().invoke(app, [str(a) for a in arguments], **more)


@pytest.fixture
def checked_here(monkeypatch):
    """Let `convert` check what it wrote in this process."""
    check_here(monkeypatch)
