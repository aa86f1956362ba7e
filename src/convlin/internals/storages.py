"""The identity and the life of the memory behind a tensor.

Private: `UntypedStorage._cdata`, `StorageWeakRef`. Seen in torch 2.13 and 2.14.
"""

from __future__ import annotations

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

__all__ = ["StorageWeakRef", "storage_id", "weak"]


def storage_id(tensor: Tensor) -> int:
    """Return a number that tensors share iff they share their storage.

    It may be used again once the storage is gone; `weak` says whether it is. Raises as PyTorch
    does for tensors without one storage of their own.

    >>> import torch
    >>> storage_id(whole := torch.zeros(4)) == storage_id(whole[1:]) != storage_id(whole.clone())
    True
    """
    return int(tensor.untyped_storage()._cdata)


def weak(tensor: Tensor) -> StorageWeakRef:
    """Return a reference that keeps the storage's number, but not its memory, from ending."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
