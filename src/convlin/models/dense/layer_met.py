"""A layer of the model, as the walk met it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convlin.models.dense.claims import Claim

__all__ = ["Layer"]


@dataclass(frozen=True)
class Layer:
    """A layer met on the walk: what it was exchanged for, if it was, and what is claimed of it."""

    site: str
    operation: str
    exchange: str
    claim: Callable[[], Claim] | None
