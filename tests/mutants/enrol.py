"""The table of faulty conversions, and the plain module most of them return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["CONVERSIONS", "Form", "Mutant", "faulty"]

Rule = Callable[[Tensor, Tensor, Any], Any]


@dataclass(frozen=True)
class Mutant:
    """A faulty conversion, the layer it is tried on, and what the judge must answer."""

    convert: Callable[[Any], Any]
    layer: Callable[[], nn.Module]
    shape: tuple[int, ...]
    answer: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.convert.__name__


CONVERSIONS: list[Mutant] = []


def faulty(
    answer: str, layer: Callable[[], nn.Module], *shape: int, **options: Any
) -> Callable[[Any], Any]:
    """Enrol a faulty conversion: what to answer ("weight", "bias", …, "measured"), and on what."""

    def enrol(convert: Any) -> Any:
        assert convert.__doc__, convert
        CONVERSIONS.append(Mutant(convert, layer, shape, answer, options))
        return convert

    return enrol


class Form(nn.Module):
    """A module that shares the layer's parameters and applies a rule (x, weight, bias) → y."""

    def __init__(self, layer: Any, rule: Rule) -> None:
        super().__init__()
        self.weight, self.bias, self.rule = layer.weight, layer.bias, rule
        self.train(layer.training)

    def forward(self, x: Tensor) -> Any:
        return self.rule(x, self.weight, self.bias)


def conv2d(*args: Any, seed: int = 0, **kwargs: Any) -> Callable[[], nn.Conv2d]:
    """Return a maker of a seeded convolution, so that every test sees the same weights."""

    def make() -> nn.Conv2d:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return nn.Conv2d(*args, **kwargs)

    return make


def linear(*args: Any, **kwargs: Any) -> Callable[[], nn.Linear]:
    """Return a maker of a seeded fully connected layer."""

    def make() -> nn.Linear:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Linear(*args, **kwargs)

    return make


PLAIN = conv2d(3, 5, (2, 4))
"""A convolution whose channels and kernel sides all differ."""
