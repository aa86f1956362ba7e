"""What stands in a graph's arguments for what varies: the batch, and the model's dtype."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["BATCH", "MODEL_DTYPE", "Batch", "mapped"]

BATCH = 2  # one image alone cannot be mixed with another; more would show no more


@dataclass(frozen=True)
class Batch:
    """A number that is `smaller` in a batch of `BATCH` images, and `larger` in one of one more."""

    smaller: Any
    larger: Any

    @property
    def each(self) -> int | None:
        """How many of it are one image's; None if it is no multiple of the batch."""
        if not isinstance(self.smaller, int):
            return None
        each = self.larger - self.smaller
        return each if self.smaller == each * BATCH else None


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return nested arguments with every leaf changed, None and numbers among them."""
    if isinstance(value, tuple | list):
        return type(value)(mapped(part, change) for part in value)
    if isinstance(value, dict):
        return {key: mapped(part, change) for key, part in value.items()}
    return change(value)


class ModelDtype:
    """Stands for the dtype that the model is in."""

    def __repr__(self) -> str:
        return "the model's dtype"


MODEL_DTYPE = ModelDtype()
