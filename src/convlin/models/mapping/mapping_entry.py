"""One weight in two layouts: what the original calls it, what the rewritten model calls it.

    new = old.permute(permute).reshape(new_shape)
    old = new.reshape(old_shape permuted).permute(inverse of permute)

Both are one `Move`: reshape, permute, reshape. Nothing is computed, so every number survives, of
any dtype, and a view does wherever memory allows one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import Tensor

from convlin.arguments import shown, wholes
from convlin.errors import Refusal, Refused

__all__ = ["Entry", "Move"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Move:
    """Tensors of `shape` under `source` become tensors of `result` under `target`."""

    source: str
    target: str
    shape: Shape
    between: Shape
    order: Shape
    result: Shape

    @property
    def keeps_order(self) -> bool:
        """Return whether the numbers stay in their order in contiguous memory."""
        return self.order == tuple(range(len(self.order)))

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the tensor in the other layout, a view where one can be had."""
        if self.keeps_order and self.shape == self.result:
            return tensor  # a subclass that cannot be reshaped can still be renamed
        return tensor.reshape(self.between).permute(self.order).reshape(self.result)


@dataclass(frozen=True)
class Entry:
    """A weight that the rewritten model calls `new` where the original calls it `old`.

    `no_adapter` says why a LoRA adapter of this weight is another function on the other layer;
    empty where it is the same one. A `permute` of None keeps the order of the axes.

    >>> entry = Entry("conv.weight", "conv.linear.weight", (4, 2, 3), (0, 2, 1), (4, 6))
    >>> entry.toward("original").between
    (4, 3, 2)
    """

    old: str
    new: str
    old_shape: Shape
    permute: Shape | None
    new_shape: Shape
    no_adapter: str = ""

    def __post_init__(self) -> None:
        for field in ("old", "new", "no_adapter"):
            value = getattr(self, field)
            if not isinstance(value, str) or not (value or field == "no_adapter"):
                raise Refused(Refusal("mapping entry", field, shown(value), "the name of a weight"))
        site = f"mapping entry {self.old}"
        for field in ("old_shape", "new_shape"):
            object.__setattr__(self, field, wholes(site, field, getattr(self, field), 0))
        size = math.prod(self.old_shape)
        if math.prod(self.new_shape) != size:
            allowed = f"a shape of {size} numbers, as {self.old_shape} has"
            raise Refused(Refusal(site, "new_shape", self.new_shape, allowed))
        axes = tuple(range(len(self.old_shape)))
        # Never None from here on: NumPy's transpose(None) reverses the axes.
        permute = axes if self.permute is None else wholes(site, "permute", self.permute)
        if sorted(permute) != list(axes):
            allowed = f"each of {axes} once, or None"
            raise Refused(Refusal(site, "permute", permute, allowed))
        object.__setattr__(self, "permute", permute)

    @property
    def order(self) -> Shape:
        """Return the axes of the old weight in the order in which the new one has them."""
        assert self.permute is not None
        return self.permute

    def toward(self, to: str) -> Move:
        """Return the move to the "native" or to the "original" layout."""
        order = self.order
        if to == "native":
            return Move(self.old, self.new, self.old_shape, self.old_shape, order, self.new_shape)
        permuted = tuple(self.old_shape[axis] for axis in order)
        back = tuple(order.index(axis) for axis in range(len(order)))
        return Move(self.new, self.old, self.new_shape, permuted, back, self.old_shape)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as JSON has it."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Any, site: str) -> Entry:
        """Return the entry that `as_dict` wrote; raise `Refused` for anything else."""
        names = [field.name for field in fields(cls)]
        if not isinstance(data, Mapping) or set(data) - {"no_adapter"} != set(names[:-1]):
            value = sorted(map(str, data)) if isinstance(data, Mapping) else data
            raise Refused(Refusal(site, "fields", shown(value), ", ".join(names[:-1])))
        return cls(**data)
