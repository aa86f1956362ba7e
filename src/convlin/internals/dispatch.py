"""What really runs: modes that see every operation, overrides, schemas and kernels.

Private: `torch.utils._python_dispatch`, `torch._ops.OpOverload`, `OpOverload._schema` and `_op_dk`,
and of `torch._C` `DisableTorchFunction`, `DispatchKey`, `_nn`, `_dispatch_dump_table`,
`_dispatch_has_kernel_for_dispatch_key`, `_dispatch_tls_is_dispatch_key_excluded`,
`_is_torch_function_all_disabled` and `_len_torch_dispatch_stack`. Seen in torch 2.13 and 2.14.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = [
    "COMPILED_FUNCTIONS", "TorchDispatchMode", "has_parts", "is_operator", "kernels",
    "modes_are_bypassed", "overrides_are_disabled", "qualified_name", "run_as_parts",
    "schema_arguments", "without_overrides",
]  # fmt: skip


COMPILED_FUNCTIONS: Any = torch._C._nn
"""The module of torch.nn.functional's functions that are written in C++."""


def without_overrides() -> Any:
    """Return a context in which no function mode and no subclass hears of a call."""
    return torch._C.DisableTorchFunction()


def overrides_are_disabled() -> bool:
    """Whether somebody keeps function modes and subclasses from hearing of calls."""
    return bool(torch._C._is_torch_function_all_disabled())


def modes_are_bypassed() -> bool:
    """Whether the dispatcher passes by all dispatch modes, or there is none."""
    return bool(
        torch._C._dispatch_tls_is_dispatch_key_excluded(torch._C.DispatchKey.Python)
        or not torch._C._len_torch_dispatch_stack()
    )


def is_operator(func: Any) -> bool:
    """Whether what a dispatch mode was handed is an overload of an operator.

    Else it is of higher order, as torch.cond is.
    """
    return isinstance(func, torch._ops.OpOverload)


def qualified_name(func: Any) -> str:
    """Return an operator's name with its namespace, without its overload's.

    >>> qualified_name(torch.ops.aten.add.Tensor)
    'aten::add'
    """
    return str(func._schema.name)


def schema_arguments(func: Any) -> Any:
    """Return the arguments in an operator's schema: name, default_value, alias_info of each."""
    return func._schema.arguments


def has_parts(func: Any) -> bool:
    """Whether an operator is a composite of others, and nothing more.

    >>> aten = torch.ops.aten
    >>> [has_parts(op.default) for op in (aten.linear, aten.mm, aten.native_batch_norm)]
    [True, False, False]
    """
    # `func.has_kernel_for_dispatch_key` finds decompositions in Python too, and `run_as_parts`
    # would jump into a kernel that is none
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), composite))


def run_as_parts(func: Any, args: Any, kwargs: Any) -> Any:
    """Run a composite operator as PyTorch does: its parts go through the dispatcher."""
    return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)


def kernels(func: Any, device: str) -> tuple[tuple[str, str], ...]:
    """Return where the kernels on the way to a device were registered, and of what kind they are.

    Read from lines such as "AutogradCPU: registered at …/VariableType_8.cpp:9839 [kernel]".

    >>> [kind for _, kind in kernels(torch.ops.aten.mm.default, "cpu")]
    ['kernel', 'autograd kernel']
    """
    return _registered(torch._C._dispatch_dump_table(func.name()), device)


@cache
def _registered(table: str, device: str) -> tuple[tuple[str, str], ...]:
    """Read a table, once: another kernel that is registered makes another table."""
    line = rf"^(?:Autograd)?{device}: registered at (\S+) \[(.*)\]$"
    return tuple(re.findall(line, table, re.MULTILINE | re.IGNORECASE))
