"""Numbers of float64 in a narrower dtype, each the nearest there is."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["rounded_once"]


def rounded_once(numbers: Tensor, dtype: torch.dtype) -> Tensor:
    """Return float64 or complex128 numbers in `dtype`, rounded to the nearest, ties to even.

    PyTorch rounds to 16 bits by way of float32, and twice: halfway between two numbers after the
    first rounding is not halfway before. The first is made to odd here: its last bit says whether
    anything was cut off, so that the second, of at least two bits less, is right.

    >>> number = torch.tensor(1 + 2**-8 + 2**-40, dtype=torch.float64)
    >>> number.to(torch.bfloat16).item(), rounded_once(number, torch.bfloat16).item()
    (1.0, 1.0078125)
    """
    if dtype not in (torch.float16, torch.bfloat16):
        return numbers.to(dtype)
    near = numbers.float()
    cut = (near.double() != numbers) & near.isfinite()
    even = near.view(torch.int32) % 2 == 0
    # A float's bits, read as a whole number, grow with its magnitude, whatever its sign.
    away = torch.where(near.double().abs() < numbers.abs(), 1, -1)
    odd = (near.view(torch.int32) + away * (cut & even)).to(torch.int32).view(torch.float32)
    return odd.to(dtype)
