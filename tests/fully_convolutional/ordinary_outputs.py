"""What classifiers and backbones return: several scores in containers, maps, both."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from traced_case import either, head, right

Scores = namedtuple("Scores", "first second")


@dataclass
class Found:
    scores: torch.Tensor
    map: torch.Tensor


def stages(m, x):
    first = m.a(x)
    second = m.b(first.relu())
    return [first, second, m.c(second).tanh()]


def both(m, x):
    y = m.a(x)
    return m.head(y.flatten(1)), m.other(y.mean((2, 3)))


def nested(m, x):
    scores, other = both(m, x)
    return {"a": (scores, [other])}


def maps_and_scores(m, x):
    y = m.a(x).relu()
    return {"map": y, "scores": m.head(y.flatten(1)), "pooled": functional.avg_pool2d(y, (2, 5))}


TWO = {"head": head(), "other": lambda: nn.Linear(4, 2)}
STAGES = {"b": lambda: nn.Conv2d(4, 5, (3, 2)), "c": lambda: nn.Conv2d(5, 2, 2)}

CASES = {
    "outputs-tuple": right(both, **TWO),
    "outputs-list": right(lambda m, x: [*both(m, x)], **TWO),
    "outputs-dict": right(lambda m, x: dict(zip("ab", both(m, x), strict=True)), **TWO),
    "outputs-ordered-dict": right(lambda m, x: OrderedDict(zip("ba", both(m, x), strict=True)), **TWO),
    "outputs-nested": right(nested, **TWO),
    "outputs-named-tuple": right(lambda m, x: Scores(*both(m, x)), **TWO),
    "outputs-dataclass": either(lambda m, x: Found(*both(m, x)), **TWO),
    "outputs-one-twice": right(lambda m, x: [m.head(m.a(x).flatten(1))] * 2, head=head()),
    "outputs-with-none": right(lambda m, x: {"scores": both(m, x), "loss": None}, **TWO),
    "outputs-with-a-number": either(lambda m, x: (both(m, x), x.shape[1]), **TWO),
    "outputs-vector": right(lambda m, x: m.one(m.a(x).flatten(1)).squeeze(1), one=lambda: nn.Linear(120, 1)),
    "outputs-log-softmax": right(lambda m, x: m.head(m.a(x).flatten(1)).log_softmax(-1), head=head()),
    "outputs-pooled-map": right(lambda m, x: m.a(x).mean((2, 3), keepdim=True)),
    "outputs-images": either(lambda m, x: (m.head(m.a(x).flatten(1)), x), head=head()),
    "map": right(lambda m, x: m.a(x)),
    "map-behind-layers": right(lambda m, x: m.b(m.a(x)).relu(), b=lambda: nn.Conv2d(4, 5, 2)),
    "map-pooled-to-few": right(lambda m, x: functional.max_pool2d(m.a(x), (2, 5))),
    "map-channels-last": either(lambda m, x: m.a(x).permute(0, 2, 3, 1)),
    "map-tokens": either(lambda m, x: m.norm(m.a(x).flatten(2).transpose(1, 2)), norm=lambda: nn.LayerNorm(4)),
    "map-cut": either(lambda m, x: m.a(x)[:, :, 1:-1, 2:]),
    "maps-of-stages": right(stages, **STAGES),
    "maps-in-a-dict": right(lambda m, x: OrderedDict(zip("012", stages(m, x), strict=True)), **STAGES),
    "maps-and-scores": right(maps_and_scores, head=head()),
    "maps-upsampled": either(
        lambda m, x: functional.interpolate(functional.max_pool2d(m.a(x), 2), scale_factor=2)
    ),
    "map-padded": either(lambda m, x: m.b(m.a(x)), "padding", b=lambda: nn.Conv2d(4, 5, 3, padding=1)),
    "map-1d": right(lambda m, x: m.a(x).relu(), ndim=1),
    "map-3d": right(lambda m, x: [m.a(x), functional.avg_pool3d(m.a(x), 2)], ndim=3),
}  # fmt: skip
