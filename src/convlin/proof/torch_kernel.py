"""Which kernel PyTorch runs for an operation: its own, a composition of others, or a stranger's.

PyTorch decomposes an operation only where no key on the dispatcher's way to the device has a
kernel of its own. A reference that stands beside such a kernel never runs, and proves nothing of
what does; nor does the name of an operation whose kernel somebody replaced.
"""

from __future__ import annotations

from typing import Any

from convlin.internals.dispatch import kernels

__all__ = ["composite", "own"]

SOURCES = ("aten/src/ATen/", "torch/csrc/")
"""Where PyTorch registers its own kernels from (seen in 2.6 to 2.14)."""
COMPOSITE = "math kernel"


def own(func: Any, device: str) -> bool:
    """Whether PyTorch's own kernels run for an operation of aten on a type of device."""
    registered = kernels(func, device)
    return bool(registered) and all(any(s in path for s in SOURCES) for path, _ in registered)


def composite(func: Any, device: str) -> bool:
    """Whether PyTorch itself runs an operation as its parts, with gradients and without."""
    registered = kernels(func, device)
    return bool(registered) and all(kind == COMPOSITE for _, kind in registered)
