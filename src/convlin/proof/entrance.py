"""What `prove` and `audit` are given, looked at before anything is copied, drawn or run."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convlin.arguments import flag, shown, whole, wholes
from convlin.errors import Description, Refusal, Refused, one_line
from convlin.proof.twins import shadow

__all__ = ["checked_copies", "checked_draws", "checked_seed", "checked_shape", "require_programs"]

LARGEST = 2**28
"""Numbers of one input, 2 GiB in float64, and of a tensor that repeats some by a stride of 0, since
its copies may hold them all. Half of it refuses images of 16,000 by 16,000 pixels; twice of it runs
out of memory where it could have refused."""
MOST = 10_000
"""Draws of an audit: a thousandth of them says as much, and more are a slip of the keyboard. Half
or twice of it would stop as many slips; the refusal names this one."""


def checked_shape(input_shape: Any) -> tuple[int, ...]:
    """Return an input shape as a tuple of whole numbers, or refuse it.

    >>> checked_shape((3, 0, 5))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: proof: input_shape is (3, 0, 5), expected (C, *spatial) or ...
    """
    allowed = "(C, *spatial) or (features,), whole numbers ≥ 1, without a batch"
    shape = wholes("proof", "input_shape", input_shape, 1, allowed=allowed)
    if not shape:
        raise Refused(Refusal("proof", "input_shape", shape, allowed))
    if math.prod(shape) > LARGEST:
        raise Refused(Refusal("proof", "input_shape", shape, f"at most {LARGEST} numbers"))
    return shape


def checked_draws(draws: Any) -> int:
    """Return how many draws `audit` makes."""
    count = whole("audit", "draws", draws, 1)
    if count > MOST:
        raise Refused(Refusal("audit", "draws", draws, f"at most {MOST}"))
    return count


def checked_seed(site: str, seed: Any) -> int | None:
    """Return a seed, None for a fresh one each time."""
    return None if seed is None else whole(site, "seed", seed, 0)


def checked_copies(copies: Any) -> bool | None:
    """Return whether parameters must be copies, None where either will do."""
    return None if copies is None else flag("audit", "copies", copies)


def require_programs(site: str, **modules: Any) -> None:
    """Raise unless all are modules that can be copied, with plain numbers in their own memory."""
    for field, module in modules.items():
        if not isinstance(module, nn.Module) or not hasattr(module, "_modules"):
            raise Refused(Refusal(site, field, shown(module), "a torch.nn.Module"))
        tensors = [*module.named_parameters(), *module.named_buffers()]
        refusals = [r for name, tensor in tensors for r in _unfit(field, name, tensor)]
        if refusals:
            raise Refused(refusals)
        try:
            shadow(module)
        except Exception as error:  # whatever its attributes raise
            kind, allowed = Description(type(module).__name__), "a module that can be copied"
            raise Refused(Refusal(site, field, kind, allowed, one_line(error))) from None


def _unfit(site: str, name: str, tensor: Tensor) -> list[Refusal]:
    if is_lazy(tensor):
        return [
            Refusal(
                site, name, Description("not made yet"), "a made one", "run a lazy layer once first"
            )
        ]
    if tensor.is_meta:
        return [Refusal(site, f"{name}.device", tensor.device, "a device that holds numbers")]
    if tensor.is_nested or tensor.is_quantized or tensor.layout != torch.strided:
        kind = "nested" if tensor.is_nested else f"{tensor.dtype}, {tensor.layout}"
        return [Refusal(site, name, Description(kind), "a plain tensor")]
    if tensor.is_floating_point() and tensor.itemsize < 2:
        return [Refusal(site, f"{name}.dtype", tensor.dtype, "one that PyTorch computes in")]
    if 0 in tensor.stride() and tensor.numel() > LARGEST:
        fits = f"memory of its own, or at most {LARGEST} numbers"
        return [Refusal(site, f"{name}.stride()", tensor.stride(), fits)]
    return []
