"""What PyTorch's own list of operations says of one: its name, what it writes to, and what else.

| operation | becomes |
|---|---|
| `add_(x, y)`, in place | `add(x, y)` |
| `add(x, y, out=z)` | `add(x, y)` |
| `transpose_(x, 0, 1)`, which changes a tensor's shape | `transpose(x, 0, 1)` |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convlin.internals.dispatch import is_operator, qualified_name, schema_arguments

__all__ = [
    "acts", "by_layout", "is_random", "name_of", "output_names", "turns", "without_writing",
    "written_by",
]  # fmt: skip

BY_LAYOUT = ("as_strided", "as_strided_scatter", "resize", "resize_as", "set")


def name_of(func: Any) -> str:
    """Return an operation's name: ATen's alone, others' with their library.

    >>> name_of(torch.ops.aten.add_.Tensor)
    'add_'
    """
    if not is_operator(func):
        return str(getattr(func, "__name__", func))
    return qualified_name(func).removeprefix("aten::")


def acts(func: Any) -> bool:
    """Whether it computes something; PyTorch also asks tensors for their device by operations."""
    return not is_operator(func) or qualified_name(func).partition("::")[0] not in (
        "prim",
        "profiler",
    )


def is_random(func: Any) -> bool:
    """Whether it draws random numbers, or may."""
    return torch.Tag.nondeterministic_seeded in getattr(func, "tags", ())


def by_layout(func: Any) -> bool:
    """Whether it reads memory as it lies: what that holds is no function of a tensor's elements."""
    name = name_of(func).removesuffix("_")
    # a view in another dtype reads bytes
    return name in BY_LAYOUT or (name == "view" and func.name() == "aten::view.dtype")


def turns(func: Any) -> bool:
    """Whether it changes the shape of a tensor, in place."""
    return torch.Tag.inplace_view in getattr(func, "tags", ())


def written_by(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    """Return the tensors that it writes to."""
    tensors: list[Tensor] = []
    for place, argument in enumerate(schema_arguments(func) if is_operator(func) else ()):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = kwargs.get(argument.name, args[place] if place < len(args) else None)
            tensors += [value] if isinstance(value, Tensor) else list(value or ())
    return tensors


def output_names(func: Any) -> list[str]:
    """Return the names of its arguments that only take results, as `out` does."""
    return [a.name for a in schema_arguments(func) if a.kwarg_only and a.alias_info is not None]


def without_writing(func: Any) -> Any:
    """Return the operation that returns what this one writes; None if ATen has none.

    >>> [without_writing(op).name() for op in (torch.ops.aten.add_.Tensor, torch.ops.aten.exp.out)]
    ['aten::add.Tensor', 'aten::exp']
    """
    name = name_of(func)
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    outs = output_names(func)
    asked = [str(a.type) for a in schema_arguments(func) if a.name not in outs]
    for overload in packet.overloads() if packet is not None else ():
        other = getattr(packet, overload)
        same = [str(a.type) for a in schema_arguments(other)] == asked
        if same and not any(
            a.alias_info and a.alias_info.is_write for a in schema_arguments(other)
        ):
            return other
    return None
