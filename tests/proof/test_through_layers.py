"""Bounds of what rounding can do to a network's outputs, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convlin.numerics.roundoff import unit
from convlin.proof.through_layers import NoBound, through_layers


def trained(norm):
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.1, 2)
        norm.weight.normal_()
    return norm


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, groups=2)

    def forward(self, x):
        return torch.cat([x - self.conv(x) * 0.5, x[:, :1].flip(-1)], 1)


NETS = {
    "linear": lambda: nn.Linear(7, 3),
    "chain": lambda: nn.Sequential(nn.Conv2d(2, 3, (2, 1)), nn.Conv2d(3, 5, 2)),
    "classifier": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False), trained(nn.BatchNorm2d(4)), nn.ReLU(inplace=True),
        nn.MaxPool2d(2), Residual(), nn.ReLU6(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d((1, 2)),
        nn.Flatten(), nn.Dropout(), nn.Linear(10, 3),
    ),
    "padded": lambda: nn.Sequential(nn.Conv2d(2, 3, 1), nn.ZeroPad2d(1), nn.Conv2d(3, 2, 2)),
    "mean": lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 2, stride=2), nn.AdaptiveAvgPool2d(1)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
@pytest.mark.parametrize("draw", range(5))
def test_a_run_in_the_dtype_stays_within_the_bound(net, dtype, draw):
    """What 16 bits sum in float32 is nearer still."""
    torch.manual_seed(draw)
    net = net().eval().to(dtype)
    x = torch.randn(2, *((7,) if isinstance(net, nn.Linear) else (2, 11, 13))).to(dtype)
    y, bound = through_layers(net, x, dtype)
    with torch.no_grad():
        own = net(x).double()
        exact = net.double()(x.double())
    assert torch.allclose(y, exact, rtol=1e-12)
    assert ((own - exact).abs() <= bound).all()
    assert bound.max() < 1e5 * unit(dtype) * exact.abs().max()


def test_the_bound_of_two_layers_is_the_one_by_hand():
    """e₁ = γ·(|W₁||x| + |b₁|), then e₂ = |W₂|e₁ + γ·(|W₂|(|h| + e₁) + |b₂|), in NumPy."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    x = torch.randn(1, 5)
    (w1, b1), (w2, b2) = (
        (net[i].weight.detach().double().numpy(), net[i].bias.detach().double().numpy())
        for i in (0, 2)
    )
    u = 2.0**-24
    first, second = 6 * u / (1 - 6 * u), 5 * u / (1 - 5 * u)
    z = x.double().numpy()[0]
    e = first * (abs(w1) @ abs(z) + abs(b1))
    h = np.maximum(w1 @ z + b1, 0)
    e = abs(w2) @ e + second * (abs(w2) @ (h + e) + abs(b2))
    _, bound = through_layers(net, x, torch.float32)
    assert np.allclose(bound[0], e, rtol=1e-6)


def test_rounded_weights_add_their_share():
    torch.manual_seed(0)
    linear, x = nn.Linear(5, 4), torch.randn(1, 5)
    _, plain = through_layers(linear, x, torch.float32)
    _, more = through_layers(linear, x, torch.float32, rounded={"weight"})
    share = 2.0**-24 * (linear.weight.double().abs() @ x[0].double().abs())
    assert torch.allclose((more - plain)[0], share, rtol=1e-5)


@pytest.mark.parametrize(
    ("net", "step"),
    [
        (nn.Sequential(nn.Linear(7, 3), nn.Sigmoid()), "aten.sigmoid"),
        (nn.Sequential(nn.Linear(7, 3), nn.GELU()), "aten.gelu"),
        (nn.Sequential(nn.Linear(7, 3), nn.BatchNorm1d(3)), "aten.native_batch_norm"),
    ],
)
def test_through_anything_else_there_is_none(net, step):
    with pytest.raises(NoBound, match=step):
        through_layers(net, torch.randn(2, 7), torch.float32)


def test_memory_that_others_read_is_not_written_unseen():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(7, 4)

        def forward(self, x):
            y = self.linear(x)
            y[:, :2] += 1
            return y

    with pytest.raises(NoBound, match="others read"):
        through_layers(Writes(), torch.randn(2, 7), torch.float32)
