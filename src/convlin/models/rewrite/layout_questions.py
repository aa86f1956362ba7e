"""What can be asked of a tensor without its numbers, by the names of attributes and operations."""

from __future__ import annotations

__all__ = ["asks_for_layout"]

LAYOUT = (
    "device", "dim", "dtype", "element_size", "itemsize", "layout", "ndim", "nelement", "numel",
    "requires_grad", "shape", "size", "storage_offset", "stride",
)  # fmt: skip


def asks_for_layout(name: str) -> bool:
    """Whether an attribute, a method or an operation of this name takes no numbers of a tensor.

    >>> [asks_for_layout(name) for name in ("dtype", "is_meta", "new_zeros", "zeros_like", "to")]
    [True, True, True, True, False]
    """
    return name in LAYOUT or name.startswith(("is_", "new_", "sym_")) or name.endswith("_like")
