"""See what goes past the dispatcher: numbers read from memory, code where no mode watches.

A function mode sees each public call of torch with its tensors. What comes back as anything but
tensors was read from them, unless the name says that only shape, kind or history was asked for.
Threads have modes of their own, so one that starts under a watch is reported. Not seen: memory
read through addresses taken before, TorchScript functions that nothing names, threads of pools
that nothing names, and numbers read where both kinds of modes are switched off.
"""

from __future__ import annotations

import sys
import threading
import types
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from convlin.internals.dispatch import modes_are_bypassed
from convlin.internals.trees import tree_leaves

__all__ = ["Guard"]

METADATA = frozenset({
    "__dir__", "__dlpack_device__", "__hash__", "__iter__", "__len__", "_backward_hooks", "_base",
    "_has_compatible_shallow_copy_type", "_version", "can_cast", "device", "dim", "dim_order",
    "dtype", "element_size", "get_device", "grad_dtype", "grad_fn", "has_names", "itemsize",
    "layout", "name", "names", "nbytes", "ndim", "ndimension", "nelement", "numel", "output_nr",
    "register_hook", "register_post_accumulate_grad_hook", "requires_grad", "result_type",
    "retains_grad", "shape", "size", "storage_offset", "stride", "type", "volatile",
})  # fmt: skip
"""Functions and properties that look at no number; those that begin with is_ do not either."""
MEMORY = frozenset({"apply_", "as_subclass", "map2_", "map_", "set_"})
"""Methods that reach, past the dispatcher, into memory that they return as a tensor."""
FROM_DATA = {"as_tensor": 0, "asarray": 0, "new": 1, "new_tensor": 1, "tensor": 0}
"""Functions that read single numbers out of lists of tensors, from this argument on."""
LIBRARY = str(Path(torch.__file__).parent)


class Watcher(Protocol):
    """Whom a guard reports to."""

    def out_of_sight(self, step: str, tree: Any) -> None: ...
    def disqualify(self, step: str, exact: bool) -> None: ...


class Guard(TorchFunctionMode):
    """Tell the watch of every call through which numbers leave the dispatcher's sight."""

    def __init__(self, watch: Watcher) -> None:
        super().__init__()
        self._watch = watch
        self._hooks: list[Any] = []

    def __enter__(self) -> Guard:
        self._hooks.append(threading.getprofile())
        threading.setprofile(self._thread)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        threading.setprofile(self._hooks.pop())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if modes_are_bypassed():
            self._watch.out_of_sight(f"{_name(func)} where no mode watches", (args, kwargs))
        name, data = _name(func), (args, kwargs)
        if name in FROM_DATA:
            lists = [arg for arg in args[FROM_DATA[name] :] if not isinstance(arg, Tensor)]
            self._watch.out_of_sight(f"torch.{name} of single numbers", lists)
        elif name in MEMORY:
            self._watch.out_of_sight(f"Tensor.{name}", data)
        elif _foreign(func):
            self._watch.out_of_sight(f"{name} outside torch", data)
        out = func(*args, **kwargs)
        if _reads(name, out):
            self._watch.out_of_sight(f"Tensor.{name}", data)
        return out

    def _thread(self, frame: Any, event: str, arg: Any) -> None:
        """Run once in each thread that starts."""
        sys.setprofile(self._hooks[-1] if self._hooks else None)
        self._watch.disqualify("a thread of its own", exact=False)


def _foreign(func: Any) -> bool:
    """Whether a Python function that asks for torch's override protocol is not torch's own."""
    return isinstance(func, types.FunctionType) and not func.__code__.co_filename.startswith(
        LIBRARY
    )


def _reads(name: str, out: Any) -> bool:
    """Whether a result tells of numbers: it is no tensor, and no answer of METADATA."""
    if name in METADATA or name.startswith("is_"):
        return False
    return any(
        not isinstance(leaf, Tensor) and leaf is not None and leaf is not NotImplemented
        for leaf in tree_leaves(out)
    )


def _name(func: Any) -> str:
    """Return a function's name; a property's is its own, not __get__."""
    owner = getattr(func, "__self__", None)
    if getattr(func, "__name__", "") in ("__get__", "__set__") and owner is not None:
        return str(getattr(owner, "__name__", ""))
    return str(getattr(func, "__name__", func))
