"""What an editor knows about a value that is not made of the images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

__all__ = ["Constant", "NoValue"]


@dataclass(frozen=True)
class Constant:
    """A tensor of the model itself, or made of such: its node in the new graph, and its shape.

    `traced` is its node in the model's graph, whose transpose it is if `transposed`; `name` is the
    tensor's own, if it is one of the model's.
    """

    node: fx.Node
    traced: fx.Node
    shape: tuple[int, ...]
    name: str | None = None
    transposed: bool = False


@dataclass(frozen=True)
class NoValue:
    """A value behind something that was refused."""
