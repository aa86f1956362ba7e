"""One operation as the dispatcher hands it over: its name, and its arguments by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

__all__ = ["Operation", "tensors"]


@dataclass(frozen=True)
class Operation:
    """A call of an operator overload."""

    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @cached_property
    def name(self) -> str:
        """The name that the lists know it by, in place or not: add, view."""
        return str(self.func._schema.name).removeprefix("aten::").removesuffix("_")

    @property
    def title(self) -> str:
        """Its name for people: aten.relu_."""
        return str(self.func._schema.name).replace("::", ".")

    @cached_property
    def given(self) -> dict[str, Any]:
        """All arguments by name, in the schema's order, defaults filled in.

        >>> import torch
        >>> Operation(torch.ops.aten.sum.dim_IntList, ("x", [1]), {}).given
        {'self': 'x', 'dim': [1], 'keepdim': False, 'dtype': None}
        """
        names, defaults = _signature(self.func)
        return defaults | dict(zip(names, self.args, strict=False)) | dict(self.kwargs)

    @property
    def operands(self) -> list[Tensor]:
        """Every tensor among the arguments."""
        return tensors((self.args, self.kwargs))

    @property
    def written(self) -> list[Tensor]:
        """The tensors that it writes into."""
        schema = self.func._schema.arguments
        names = [a.name for a in schema if a.alias_info is not None and a.alias_info.is_write]
        return tensors([self.given[name] for name in names])

    @property
    def device(self) -> str:
        """The type of device that it runs on."""
        return next((t.device.type for t in self.operands), "cpu")


def tensors(tree: Any) -> list[Tensor]:
    """Return the tensors of a tree."""
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


@lru_cache(maxsize=1024)
def _signature(func: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the arguments' names, and what each is if it is not passed."""
    arguments = func._schema.arguments
    return tuple(a.name for a in arguments), {a.name: a.default_value for a in arguments}
