"""What an editor knows about a value that is not made of the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

__all__ = ["Constant", "NoValue"]


@dataclass(frozen=True)
class Constant:
    """A tensor of the model itself, or made of such: its node in the new graph, and its shape.

    `narrow` is what it was expanded from, if it was, and the shape of that: axes of size 1 instead.
    `traced` is its node in the model's graph, `arranged` what was done to that since; `name` is the
    tensor's own, if it is one of the model's.
    """

    node: Any  # None: it is expanded to the batch, and only `narrow` can be written
    traced: fx.Node
    shape: tuple[int, ...]
    name: str | None = None
    arranged: Callable[[Tensor], Tensor] | None = None
    narrow: tuple[fx.Node, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class NoValue:
    """A value behind something that was refused."""
