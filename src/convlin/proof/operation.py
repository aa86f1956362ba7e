"""One operation as the dispatcher hands it over: its name, and its arguments by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from torch import Tensor

from convlin.internals.dispatch import qualified_name, schema_arguments
from convlin.internals.trees import tree_leaves

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
        return qualified_name(self.func).removeprefix("aten::").removesuffix("_")

    @property
    def title(self) -> str:
        """Its name for people: aten.relu_."""
        return qualified_name(self.func).replace("::", ".")

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """All arguments by name, in the schema's order, defaults filled in.

        >>> import torch
        >>> Operation(torch.ops.aten.sum.dim_IntList, ("x", [1]), {}).arguments
        {'self': 'x', 'dim': [1], 'keepdim': False, 'dtype': None}
        """
        names, defaults = _signature(self.func)
        return defaults | dict(zip(names, self.args, strict=False)) | dict(self.kwargs)

    @cached_property
    def operands(self) -> list[Tensor]:
        """Every tensor among the arguments."""
        return tensors((self.args, self.kwargs))

    @property
    def written(self) -> list[Tensor]:
        """The tensors that it writes into."""
        schema = schema_arguments(self.func)
        names = [a.name for a in schema if a.alias_info is not None and a.alias_info.is_write]
        return tensors([self.arguments[name] for name in names])

    @property
    def device(self) -> str:
        """The type of device that it runs on."""
        return next((t.device.type for t in self.operands), "cpu")


def tensors(tree: Any) -> list[Tensor]:
    """Return the tensors of a tree."""
    if isinstance(tree, Tensor):
        return [tree]
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


@cache
def _signature(func: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the arguments' names, and what each is if it is not passed."""
    schema = schema_arguments(func)
    return tuple(a.name for a in schema), {a.name: a.default_value for a in schema}
