"""What an editor has come to know on its way through a model's graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import fx

from convlin.errors import Refusal

__all__ = ["Facts", "Layer"]


@dataclass(frozen=True)
class Layer:
    """A layer of the model: what it was exchanged for, if it was, and what is claimed of that."""

    site: str
    operation: str
    exchange: str
    claim: Callable[[], Any] | None


@dataclass
class Facts:
    """The value of every node so far, the layers met, what is refused, and what breaks equality."""

    values: dict[fx.Node, Any] = field(default_factory=dict)
    moves: set[fx.Node] = field(default_factory=set)  # nodes that only say where elements lie
    layers: list[Layer] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    breaks: dict[str, Refusal] = field(default_factory=dict)
