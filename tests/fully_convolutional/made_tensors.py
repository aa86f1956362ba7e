"""Forwards that make tensors: constants like the images, normalisation, numbers from NumPy.

Constants are eighths, so a network that was made in float32 is exact in float64 too.
"""

import math

import einops
import numpy as np
import torch
from einops.layers.torch import Rearrange, Reduce
from torch import nn
from traced_case import either, head, narrow, on_the_images, on_the_map, right, table, to_scores

MEAN = [0.5, 0.25, -0.375]
STD = [0.25, 0.5, 2.0]
TENSOR = torch.tensor(MEAN).view(3, 1, 1)
ARRAY = np.array(MEAN, dtype=np.float32)
TABLE = {"mean": TENSOR, "std": torch.tensor(STD).view(3, 1, 1)}


def like(x):
    return {"dtype": x.dtype, "device": x.device}


def images_mean(x):
    return torch.tensor(MEAN, **like(x)).view(1, 3, 1, 1)


def by_mean_and_std(x):
    mean, std = (torch.tensor(v, **like(x))[:, None, None] for v in (MEAN, STD))
    return (x - mean) / std


def by_in_place(x):
    return x.clone().sub_(images_mean(x)).div_(2)


def by_channel(x):
    channels = [(x[:, i] - MEAN[i]) / STD[i] for i in range(3)]
    return torch.stack(channels, dim=1)


def by_channel_unsqueezed(x):
    return torch.cat([x[:, i].unsqueeze(1) * STD[i] + MEAN[i] for i in range(3)], 1)


def by_channels_last(x):
    return (x.permute(0, 2, 3, 1) - x.new_tensor(MEAN)).permute(0, 3, 1, 2)


def by_as_tensor(x):
    mean = torch.as_tensor(MEAN, dtype=x.dtype, device=x.device)
    if mean.ndim == 1:
        mean = mean.view(-1, 1, 1)
    if (torch.as_tensor(STD) == 0).any():
        raise ValueError("a standard deviation is 0")
    return x - mean


NORMALISATIONS = {
    "tensor-like-x": lambda x: x - images_mean(x),
    "tensor-of-default-dtype": lambda x: x - torch.tensor(MEAN).view(3, 1, 1),
    "tensor-to-x": lambda x: x - torch.tensor(MEAN).view(3, 1, 1).to(x),
    "tensor-to-device": lambda x: x - torch.tensor(MEAN).view(3, 1, 1).to(x.device),
    "tensor-type-as": lambda x: x - torch.tensor(MEAN).type_as(x).view(3, 1, 1),
    "tensor-type": lambda x: x - torch.tensor(MEAN).type(x.dtype).reshape(1, 3, 1, 1),
    "new-tensor": lambda x: x - x.new_tensor(MEAN).view(1, -1, 1, 1),
    "new-tensor-in-float": lambda x: x.sub(x.new_tensor(0.5)),
    "as-tensor": by_as_tensor,
    "global-tensor": lambda x: x - TENSOR,
    "global-tensor-to-x": lambda x: x - TENSOR.to(x),
    "global-table": lambda x: (x - TABLE["mean"]) / TABLE["std"],
    "global-array": lambda x: x - torch.from_numpy(ARRAY).view(3, 1, 1),
    "global-array-to": lambda x: x - torch.as_tensor(ARRAY, **like(x)).view(3, 1, 1),
    "numpy-number": lambda x: x * np.float32(0.5) - float(np.float64(0.25)),
    "numpy-mean": lambda x: x - float(ARRAY.mean()),
    "mean-and-std": by_mean_and_std,
    "in-place": by_in_place,
    "by-channel": by_channel,
    "by-channel-unsqueezed": by_channel_unsqueezed,
    "channels-last": by_channels_last,
    "expanded": lambda x: x - images_mean(x).expand_as(x),
    "expanded-to-the-window": lambda x: x - images_mean(x).expand(len(x), 3, *x.shape[2:]),
    "repeated": lambda x: x - images_mean(x).repeat(len(x), 1, 1, 1),
    "stacked": lambda x: x - torch.stack([torch.tensor(v, **like(x)) for v in MEAN])[:, None, None],
    "addcmul": lambda x: torch.addcmul(x, x, images_mean(x), value=0.5),
    "grey": lambda x: x.mean(1, keepdim=True).expand(-1, 3, -1, -1),
    "grey-by-matmul": lambda x: torch.einsum("nchw,cd->ndhw", x, torch.full((3, 3), 0.25, **like(x))),
    "bgr": lambda x: x[:, [2, 1, 0]],
    "bgr-by-flip": lambda x: x.flip(1),
    "bgr-by-index": lambda x: x.index_select(1, torch.tensor([2, 1, 0], device=x.device)),
    "clamped": lambda x: x.clamp(min=torch.tensor(-0.5, **like(x))),
}  # fmt: skip

# Made beside the map, with its dtype and device, of one number or one a channel.

MADE = {
    "zeros": lambda y: y + torch.zeros(4, 1, 1, **like(y)),
    "zeros-like": lambda y: torch.maximum(y, torch.zeros_like(y)),
    "ones-like": lambda y: y + torch.ones_like(y),
    "full-like": lambda y: y * torch.full_like(y, 0.5),
    "ones": lambda y: y * 2 + torch.ones(1, **like(y)),
    "full": lambda y: y * torch.full((4, 1, 1), 0.5, **like(y)),
    "arange": lambda y: y * torch.arange(1, 5, **like(y)).view(1, 4, 1, 1),
    "arange-of-the-shape": lambda y: y * torch.arange(y.shape[1], device=y.device).view(-1, 1, 1),
    "linspace": lambda y: y * torch.linspace(0, 1.5, 4, **like(y)).view(4, 1, 1),
    "eye": lambda y: torch.einsum("nchw,cd->ndhw", y, torch.eye(4, **like(y)).roll(1, 0)),
    "scalar-tensor": lambda y: y * torch.scalar_tensor(0.5, **like(y)),
    "new-zeros": lambda y: torch.maximum(y, y.new_zeros(1)),
    "new-ones": lambda y: y - y.new_ones(4, 1, 1),
    "new-full": lambda y: y * y.new_full((4, 1, 1), 0.25),
    "empty-filled": lambda y: y * torch.empty(4, 1, 1, **like(y)).fill_(0.5),
    "zero-channels": lambda y: torch.cat([y[:, :3], torch.zeros_like(y[:, :1])], 1),
    "zero-channels-of-the-shape": lambda y: torch.cat([y[:, :3], y.new_zeros(len(y), 1, *y.shape[2:])], 1),
    "tensor-of-the-shape": lambda y: y * torch.tensor(y.shape[1:], **like(y)).prod(),
    "where": lambda y: torch.where(y > 0, y, torch.tensor(-0.5, **like(y))),
    "where-number": lambda y: torch.where(y > 0.25, y, y * 2),
    "masked-fill": lambda y: y.masked_fill(y < 0, 0.5),
    "triu-of-ones": lambda y: torch.einsum("nchw,cd->ndhw", y, torch.ones(4, 4, **like(y)).triu()),
    "math": lambda y: y * (math.floor(math.pi) / 4),
    "numpy-eye": lambda y: torch.einsum("nchw,cd->ndhw", y, torch.from_numpy(np.eye(4)[::-1].copy()).to(y)),
    "float-tensor": lambda y: y * torch.FloatTensor([0.5, 1.0, 2.0, 3.0]).view(4, 1, 1),
    "position-in-the-window": lambda y: y + torch.arange(5, **like(y)),
    "grid-of-the-window": lambda y: y * torch.linspace(-1, 1, 6, **like(y)).view(6, 1),
}  # fmt: skip

EINOPS = {
    "flatten": lambda y: einops.rearrange(y, "n c h w -> n (c h w)"),
    "flatten-turned": lambda y: einops.rearrange(y, "n c h w -> n (w c h)"),
    "there-and-back": lambda y: einops.rearrange(
        einops.rearrange(y, "n c h w -> n h w c").relu(), "n h w c -> n c h w"
    ),
    "groups": lambda y: einops.rearrange(y, "n (g c) h w -> n (c g) h w", g=2),
    "repeat": lambda y: einops.repeat(y[:, :2], "n c h w -> n (c r) h w", r=2),
    "tokens": lambda y: einops.rearrange(y, "n c h w -> n (h w) c").tanh(),
}
EINOPS_POOLED = {
    "mean": lambda y: einops.reduce(y, "n c h w -> n c", "mean"),
    "max": lambda y: einops.reduce(y, "n c h w -> n c", "max"),
    "sum": lambda y: einops.reduce(y, "n c h w -> n c", "sum"),
    "min-of-rows": lambda y: einops.reduce(
        einops.reduce(y, "n c h w -> n c w", "min"), "n c w -> n c", "mean"
    ),
}


class Holder(nn.Module):
    """A layer that holds tensors in plain attributes, and makes one of a plain number."""

    def __init__(self):
        super().__init__()
        self.shift, self.numbers = torch.tensor([[[0.5]], [[1.0]], [[2.0]], [[3.0]]]), (0.25, 2)
        self.held = [torch.tensor(0.5)]
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, y):
        return (y + self.shift) * self.numbers[1] * self.held[0] - self.numbers[0] * self.scale


CASES = {
    **table(NORMALISATIONS, right, on_the_images, "normalised-", head=head()),
    **table(MADE, right, on_the_map, "made-", head=head()),
    **table(EINOPS, right, on_the_map, "einops-", head=head()),
    **table(EINOPS_POOLED, right, to_scores, "einops-", narrow=narrow),
}
CASES |= {
    "einops-layers": right(
        lambda m, x: m.head(m.flat(m.back(m.last(m.a(x)).relu()))), head=head(),
        last=lambda: Rearrange("n c h w -> n h w c"), back=lambda: Rearrange("n h w c -> n c h w"),
        flat=lambda: Rearrange("n c h w -> n (c h w)"),
    ),
    "einops-reducing-layer": right(
        lambda m, x: m.narrow(m.pool(m.a(x))), narrow=narrow, pool=lambda: Reduce("n c h w -> n c", "mean")
    ),
    "einops-pool-of-pairs": right(
        lambda m, x: m.fc(einops.reduce(m.a(x), "n c (h a) w -> n c h w", "max", a=2).flatten(1)),
        fc=lambda: nn.Linear(4 * 3 * 5, 7),
    ),
    "held-in-a-layer": right(lambda m, x: m.head(m.hold(m.a(x)).flatten(1)), head=head(), hold=Holder),
}  # fmt: skip
# What no rule need know: where a mask depends on the sign, a position on the window.
MAY = [
    "normalised-clamped", "normalised-grey-by-matmul", "normalised-addcmul",
    "made-where", "made-where-number", "made-masked-fill", "made-eye", "made-triu-of-ones", "made-numpy-eye",
    "made-position-in-the-window", "made-grid-of-the-window", "made-float-tensor", "einops-pool-of-pairs",
    "einops-min-of-rows",
]  # fmt: skip
for name in MAY:
    CASES[name] = either(CASES[name].forward, **CASES[name].layers)
