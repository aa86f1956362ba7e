"""A classifier from a few lines of forward, and what `fully_convolutional` may make of it.

Sizes are pairwise different, weights are eighths (so sums are exact, and a wrong one shows), no
bias is zero. A map is (4, 6, 5); in one dimension (4, 6), in three (4, 2, 6, 5).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from dense_oracle import worst
from small_nets import Net, conv
from torch import nn

from convlin import Refused, fully_convolutional

WINDOWS = {1: (3, 13), 2: (3, 13, 8), 3: (3, 9, 13, 8)}
LARGER = {1: (20,), 2: (18, 10), 3: (14, 18, 9)}
KERNELS = {1: 3, 2: (3, 4), 3: (3, 3, 4)}
STRIDES = {1: 2, 2: (2, 1), 3: (4, 2, 1)}
MAPS = {1: (4, 6), 2: (4, 6, 5), 3: (4, 2, 6, 5)}


@dataclass(frozen=True)
class Case:
    """A model, and whether it must be converted, must be refused, or may be either.

    `words`: what a refusal says, as a pattern. `unseen`: why a tracer alone cannot know better, so
    that the network may be wrong where the check against the model is switched off.
    `around`: what surrounds building, converting and running.
    """

    forward: Callable[[Any, torch.Tensor], Any]
    layers: dict[str, Callable[[], nn.Module]]
    expected: str
    words: str = ""
    unseen: str = ""
    ndim: int = 2
    wrap: Callable[[nn.Module], nn.Module] = lambda model: model
    around: Callable[[], Any] = contextlib.nullcontext

    @property
    def window(self) -> tuple[int, ...]:
        return WINDOWS[self.ndim]

    def build(self) -> nn.Module:
        torch.manual_seed(3)
        stem = conv(3, 4, KERNELS[self.ndim], self.ndim, stride=STRIDES[self.ndim])
        made = {name: make() for name, make in self.layers.items()}
        return self.wrap(filled(Net(self.forward, a=stem, **made)).eval())

    def images(self) -> torch.Tensor:
        draw = torch.Generator().manual_seed(1)
        return torch.randn(2, 3, *LARGER[self.ndim], generator=draw, dtype=torch.float64)


def filled(model: nn.Module) -> nn.Module:
    """Give every parameter eighths between -4/8 and 4/8, none of them 0."""
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            size = parameter.shape
            sign = torch.randint(0, 2, size, generator=draw) * 2 - 1
            parameter.copy_(torch.randint(1, 5, size, generator=draw) * sign / 8)
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(torch.randint(1, 5, buffer.shape, generator=draw) / 2)
    return model


def outcome(case: Case, dtype: torch.dtype, **options: Any) -> float | Refused:
    """Return how far the network is off on any window, in float64; or how it was refused."""
    with case.around():
        model = case.build().to(dtype)
        try:
            network = fully_convolutional(model, case.window, proofs=False, **options)
        except Refused as refused:
            return refused
        assert network.report.exact
        return worst(model, network, case.images(), fresh=True)


def right(forward, *, ndim=2, **layers) -> Case:
    """It is ordinary code: it must be converted."""
    return Case(forward, layers, "right", ndim=ndim)


def refused(
    forward, words, *, wrap=lambda m: m, around=contextlib.nullcontext, **layers
) -> Case:  # fmt: skip
    """No network is equal to it: it must be refused, in these words."""
    return Case(forward, layers, "refused", words, wrap=wrap, around=around)


def either(
    forward, words=".", *, ndim=2, unseen="", wrap=lambda m: m, around=contextlib.nullcontext, **layers
) -> Case:  # fmt: skip
    """It may be refused, in these words, but must not come out wrong."""
    return Case(forward, layers, "either", words, unseen, ndim, wrap, around)


def head(ndim=2):
    """A Linear for the flattened map."""
    return lambda: nn.Linear(prod(MAPS[ndim]), 7)


def narrow():
    """A Linear for the pooled map."""
    return nn.Linear(4, 7)


def on_the_map(step):
    """Return a forward that does `step` to the map of the convolution, before the head."""
    return lambda m, x: m.head(step(m.a(x)).flatten(1))


def on_the_images(step):
    """Return a forward that does `step` to the images, before the convolution."""
    return lambda m, x: m.head(m.a(step(x)).flatten(1))


def to_scores(step):
    """Return a forward in which `step` makes the map a vector, before the head."""
    return lambda m, x: m.narrow(step(m.a(x)))


def table(steps, kind, forward, prefix="", **layers):
    """Return the cases of a table of steps, in one kind of forward."""
    return {prefix + name: kind(forward(step), **layers) for name, step in steps.items()}


def the_output(step):
    """Return the forward of a model that ends with this step behind its stem."""
    return lambda m, x: step(m.a(x))


def saying(words):
    """Return a kind of case: refused in these words."""
    return lambda forward, **layers: refused(forward, words, **layers)
