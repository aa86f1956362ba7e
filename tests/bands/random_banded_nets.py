"""Random classifiers of all that bands know: neighbours, rows, joins, slices; in 1-D, 2-D and 3-D."""

import math
from random import Random

import torch
from torch import nn
from torch.nn import functional

from convlin import fully_convolutional
from convlin.errors import Refused

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ATTEMPTS = 200
GLOBAL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
REFLECT = {1: nn.ReflectionPad1d, 2: nn.ReflectionPad2d, 3: nn.ReflectionPad3d}
REPLICATE = {1: nn.ReplicationPad1d, 2: nn.ReplicationPad2d, 3: nn.ReplicationPad3d}
CONSTANT = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}


class Cut(nn.Module):
    def __init__(self, sides):
        super().__init__()
        self.sides = sides

    def forward(self, x):
        return functional.pad(x, self.sides)


class Padded(nn.Module):
    def __init__(self, sides, mode):
        super().__init__()
        self.sides, self.mode = sides, mode

    def forward(self, x):
        return functional.pad(x, self.sides, mode=self.mode)


class Slice(nn.Module):
    def __init__(self, start, tail, step):
        super().__init__()
        self.start, self.tail, self.step = start, tail, step

    def forward(self, x):
        return x[:, :, self.start : x.shape[2] - self.tail : self.step]


class ChannelsLast(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        nn.init.uniform_(self.norm.weight, 0.5, 2)

    def forward(self, x):
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)


class Residual(nn.Module):
    def __init__(self, branch, shortcut, scale):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut
        self.scale = nn.Parameter(scale)

    def forward(self, x):
        return self.branch(x) * self.scale + self.shortcut(x)


class Twice(nn.Module):
    """Two functions of one value, which is read a third time, maybe by another name."""

    def __init__(self, first, second, alias):
        super().__init__()
        self.first, self.second, self.alias = first, second, alias

    def forward(self, x):
        same = x.detach() if self.alias else x
        return self.first(x) * 2 + functional.relu(x) + (self.second(x) - same)


class Side(nn.Module):
    """Branches beside each other."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Heads(nn.Module):
    def __init__(self, body, heads):
        super().__init__()
        self.body, self.heads = body, nn.ModuleDict(heads)

    def forward(self, x):
        x = self.body(x)
        return {name: head(x) for name, head in self.heads.items()}


class Draw:
    """Draws layers; `names` are those of all that were drawn."""

    def __init__(self, rng, ndim):
        self.rng, self.ndim = rng, ndim
        self.names = []

    def each(self, *choices):
        return tuple(self.rng.choice(choices) for _ in range(self.ndim))

    def conv(self, into, out):
        mode = self.rng.choice(("zeros", "zeros", "reflect", "replicate"))
        kernel, dilation = self.each(1, 2, 3, 4), self.each(1, 1, 2)
        padding = tuple(
            self.rng.randint(0, d * (k - 1) + self.rng.randint(0, 1))
            for k, d in zip(kernel, dilation, strict=True)
        )
        groups = self.rng.choice([g for g in (1, 2, into) if into % g == out % g == 0])
        self.names.append(f"conv {mode}")
        return CONVS[self.ndim](
            into, out, kernel, self.each(1, 1, 2, 3), padding, dilation, groups,
            bias=self.rng.random() < 0.5, padding_mode=mode,
        )  # fmt: skip

    def pool(self):
        kernel, ceil = self.each(1, 2, 3), self.rng.random() < 0.5
        stride, padding = self.each(1, 2, 3), tuple(self.rng.randint(0, k // 2) for k in kernel)
        if self.rng.random() < 0.4:
            self.names.append(f"max ceil {ceil}")
            return MAX[self.ndim](kernel, stride, padding, self.each(1, 1, 2), ceil_mode=ceil)
        options = {"ceil_mode": ceil, "count_include_pad": self.rng.random() < 0.5}
        if self.ndim > 1 and self.rng.random() < 0.3:
            options["divisor_override"] = 3
        self.names.append(f"average {options}")
        return AVERAGE[self.ndim](kernel, stride, padding, **options)

    def pad(self):
        sides = tuple(self.rng.randint(0, 2) for _ in range(2 * self.ndim))
        kind = self.rng.choice(("reflect", "replicate", "constant", "cut", "slice", "function"))
        self.names.append(kind)
        if kind == "cut":
            return Cut([-side for side in sides])
        if kind == "slice":
            return Slice(*(self.rng.randint(0, 2) for _ in range(2)), self.rng.choice((1, 1, 2)))
        if kind == "function":
            return Padded(sides, self.rng.choice(("reflect", "replicate")))
        if kind == "constant":
            return CONSTANT[self.ndim](sides, self.rng.choice((0.0, 1.5)))
        return {"reflect": REFLECT, "replicate": REPLICATE}[kind][self.ndim](sides)

    def rowwise(self, channels):
        kind = self.rng.randrange(8)
        self.names.append(f"rowwise {kind}")
        if kind == 0:
            norm = NORMS[self.ndim](channels)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            return norm
        return [
            None, nn.ReLU(inplace=True), nn.SiLU(), nn.PReLU(channels), ChannelsLast(channels),
            nn.LocalResponseNorm(3), nn.Softmax(1), nn.GELU(),
        ][kind]  # fmt: skip

    def join(self, channels):
        kind = self.rng.choice(("plain", "strided", "beside", "twice"))
        self.names.append(kind)
        if kind == "beside":
            k = self.rng.choice((3, 5))
            branches = [CONVS[self.ndim](channels, 2, n, padding=n // 2) for n in (1, k)]
            return Side(*branches, MAX[self.ndim](3, 1, 1)), channels + 4
        if kind == "twice":  # neither may write over what the other reads
            first, second = (
                self.rng.choice((nn.ReLU(), nn.SiLU(), nn.Identity())) for _ in range(2)
            )
            return Twice(first, second, self.rng.random() < 0.5), channels
        stride, out = (1, channels) if kind == "plain" else (self.rng.choice((2, 3)), channels + 1)
        branch = nn.Sequential(
            CONVS[self.ndim](channels, 3, 3, stride, padding=1), nn.ReLU(inplace=True),
            CONVS[self.ndim](3, out, 3, padding=1),
        )  # fmt: skip
        shortcut = nn.Identity()
        if kind == "strided":
            shortcut = CONVS[self.ndim](channels, out, 1, stride)  # it skips rows
        return Residual(branch, shortcut, torch.rand(out, *(1,) * self.ndim)), out

    def body(self, channels, depth):
        layers = []
        for _ in range(depth):
            kind = self.rng.choice(("conv", "conv", "pool", "pad", "rowwise", "rowwise", "join"))
            if kind == "join":
                layer, channels = self.join(channels)
                layers.append(layer)
            elif kind == "conv":
                out = self.rng.choice((4, 6))
                layers.append(self.conv(channels, out))
                channels = out
            else:
                layers.append(
                    self.rowwise(channels) if kind == "rowwise" else getattr(self, kind)()
                )
        return nn.Sequential(*layers), channels


def drawn(seed, ndim):
    """Return a network of images of any size in float64, and what it is drawn of."""
    rng = Random(f"{ndim}-{seed}")
    window = {1: (41,), 2: (27, 23), 3: (15, 13, 11)}[ndim]
    for _ in range(ATTEMPTS):
        torch.manual_seed(rng.randrange(2**31))
        draw = Draw(rng, ndim)
        body, channels = draw.body(3, rng.randint(2, {1: 8, 2: 7, 3: 5}[ndim]))
        with torch.no_grad():
            try:
                shape = body.double().eval()(torch.zeros(1, 3, *window, dtype=torch.float64)).shape
            except RuntimeError:
                continue
        if 0 in shape:
            continue
        numbers = math.prod(shape[1:])
        heads = {"all": nn.Sequential(nn.Flatten(), nn.Linear(numbers, 2))}
        if rng.random() < 0.5:
            heads["mean"] = nn.Sequential(GLOBAL[ndim](1), nn.Flatten(), nn.Linear(channels, 3))
        if rng.random() < 0.5:  # it waits for more rows
            wide = CONVS[ndim](channels, 2, 3, padding=1)
            heads["wide"] = nn.Sequential(wide, GLOBAL[ndim](1), nn.Flatten())
        if rng.random() < 0.3:
            heads["map"] = nn.Identity()
        model = Heads(body, heads).double().eval()
        try:
            network = fully_convolutional(
                model, (3, *window), allow_inexact=True, proofs=False, check=False,
                head=rng.choice(("conv", "conv", "linear")),
            )  # fmt: skip
        except Refused:
            continue
        return network, draw.names, rng
    raise AssertionError(f"nothing drawn in {ATTEMPTS} attempts")


def bands_of(rng, rows):
    """Return the heights of bands: one row at a time, the whole image, or anything between."""
    kind = rng.randrange(4)
    if kind < 2:
        return [1] * rows if kind else [rows]
    heights = []
    while sum(heights) < rows:
        heights.append(min(rows - sum(heights), rng.choice((1, 1, 2, 5, 11, rows // 2))))
    return heights
