"""What lies behind a tensor: which memory, what is in it, and whether it changed."""

from __future__ import annotations

import torch
from torch import Tensor

from convlin.internals.storages import storage_id
from convlin.proof.algebra import Value

__all__ = ["fills", "identity", "memory", "poison", "sample", "whole_constant"]

SAMPLE = 1024
"""How many numbers of a tensor are remembered, to notice a change that no operation made.

Half of it misses a change of a thousandth in a row; twice of it keeps 8 KiB a tensor and operation.
"""


def identity(tensor: Tensor) -> int | None:
    """Return the identity of a tensor's storage, None if it has none that can be looked into."""
    if tensor.is_nested or type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__:
        return None  # it keeps its numbers elsewhere
    try:
        return storage_id(tensor)
    except (NotImplementedError, RuntimeError):
        return None


def memory(tensor: Tensor) -> range:
    """Return the addresses of a tensor's storage."""
    storage = tensor.untyped_storage()
    return range(storage.data_ptr(), storage.data_ptr() + storage.nbytes())


def fills(tensor: Tensor) -> bool:
    """Whether a tensor covers its whole storage: every element, each once."""
    # By growing stride each axis must step over just what the ones before it cover: then elements
    # and numbers are one to one. An axis of size 1 takes no step, whatever its stride.
    covered = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != covered:
            return False
        covered *= size
    return covered * tensor.element_size() == tensor.untyped_storage().nbytes()


def sample(tensor: Tensor) -> bytes:
    """Return some bytes of a tensor's storage, evenly spread: a hidden change shows in them.

    None of one that has no numbers, or that is of no device yet, as in the midst of torch.load.
    """
    # The step is rounded up, so at most SAMPLE words are read; the last of ⌈words/step⌉ lies at
    # (⌈words/step⌉ - 1)·step < words.
    words = tensor.untyped_storage().nbytes() // tensor.element_size()
    if not words or tensor.device.type == "meta":
        return b""
    step = -(-words // SAMPLE)
    try:
        flat = torch.as_strided(tensor.detach(), (-(-words // step),), (step,), 0)
    except NotImplementedError:
        return b""
    return flat.contiguous().view(torch.uint8).cpu().numpy().tobytes()


def poison(tensor: Tensor) -> None:
    """Fill uninitialised memory with what cannot pass for a result."""
    if tensor.is_floating_point() or tensor.is_complex():
        tensor.fill_(float("nan"))
    elif tensor.dtype != torch.bool:
        tensor.fill_(torch.iinfo(tensor.dtype).max)


def whole_constant(tensor: Tensor) -> Value:
    """Return the value of numbers that came from elsewhere: constants, if they are whole."""
    if not tensor.numel():
        return Value()
    if not sample(tensor):
        return Value().off_the_list("a tensor without numbers")
    narrow = tensor.is_floating_point() and tensor.itemsize < 2  # PyTorch computes nothing in them
    if tensor.is_complex() or tensor.is_quantized or narrow:
        return Value().off_the_list(f"a constant of dtype {tensor.dtype}")
    numbers = tensor.detach()
    whole = tensor.is_floating_point() and (numbers == numbers.round()) & numbers.isfinite()
    if whole is not False and not bool(whole.all()):
        return Value().off_the_list("a constant that is not whole")
    low, high = (int(bound) for bound in numbers.to(_exact_dtype(tensor)).aminmax())
    return Value(coefficient=max(abs(low), abs(high)), signed=low < 0, below=low < 0)


def _exact_dtype(tensor: Tensor) -> torch.dtype:
    return tensor.dtype if tensor.is_floating_point() else torch.int64
