"""Which kernel PyTorch runs for an operation: its own, a composition of others, or a stranger's.

PyTorch decomposes an operation only where no key on the dispatcher's way to the device has a
kernel of its own. A reference that stands beside such a kernel never runs, and proves nothing of
what does; nor does the name of an operation whose kernel somebody replaced.
"""

from __future__ import annotations

import re
from typing import Any

import torch

__all__ = ["composite", "decomposed", "own"]

SOURCES = ("aten/src/ATen/", "torch/csrc/")
"""Where PyTorch registers its own kernels from (seen in 2.6 to 2.14)."""
COMPOSITE = "math kernel"


def own(func: Any, device: str) -> bool:
    """Whether PyTorch's own kernels run for an operation of aten on a type of device."""
    kernels = _kernels(func, device)
    return bool(kernels) and all(any(s in place for s in SOURCES) for place, _ in kernels)


def composite(func: Any, device: str) -> bool:
    """Whether PyTorch itself runs an operation as its parts, with gradients and without."""
    kernels = _kernels(func, device)
    return bool(kernels) and all(kind == COMPOSITE for _, kind in kernels)


def decomposed(func: Any, args: Any, kwargs: Any) -> Any:
    """Run a composite operation as PyTorch does: its parts go through the dispatcher."""
    return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)


def _kernels(func: Any, device: str) -> list[tuple[str, str]]:
    """Return where the kernels on the way to a device were registered, and of what kind they are.

    Read from lines such as "AutogradCPU: registered at …/VariableType_8.cpp:9839 [kernel]".
    """
    line = rf"^(?:Autograd)?{device}: registered at (\S+) \[(.*)\]$"
    table = torch._C._dispatch_dump_table(func.name())
    return re.findall(line, table, re.MULTILINE | re.IGNORECASE)
