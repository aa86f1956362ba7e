"""Lies told in one way of calling only, and the ways: every lie is told in each of them.

A lie is a rule (x, weight, bias) → y beside the true one; a variation says of an input whether
to lie. What is honest in both branches is here as well: branching on how an input is handed over
is no fault, as long as both branches are right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mutants.enrol import Form, Rule

__all__ = ["HONEST", "LIES", "VARIATIONS", "forked"]


def _laid_out_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


VARIATIONS: dict[str, Callable[[Tensor], bool]] = {
    "batch-1": lambda x: x.ndim == 4 and len(x) == 1,
    "batch-2": lambda x: x.ndim == 4 and len(x) == 2,
    "batch-3": lambda x: x.ndim == 4 and len(x) == 3,
    "batch-5": lambda x: x.ndim == 4 and len(x) == 5,
    "batch-over-3": lambda x: x.ndim == 4 and len(x) > 3,
    "channels-last": lambda x: x.ndim == 4 and _laid_out_channels_last(x),
    "not-contiguous": lambda x: not x.is_contiguous(),
    "transposed": lambda x: x.stride(-2) == 1,
    "offset": lambda x: x.storage_offset() > 0,
    "stride-0-batch": lambda x: x.ndim == 4 and x.stride(0) == 0,
    "stride-0-channels": lambda x: x.ndim == 4 and x.stride(1) == 0,
    "gradients-on": lambda x: torch.is_grad_enabled(),
    "gradients-off": lambda x: not torch.is_grad_enabled(),
    "learning-input": lambda x: x.requires_grad,
    "inference-mode": lambda x: torch.is_inference_mode_enabled(),
    "inference-tensor": lambda x: x.is_inference(),
    "float32": lambda x: x.dtype == torch.float32,
    "float64": lambda x: x.dtype == torch.float64,
    "float32-batch-5": lambda x: x.dtype == torch.float32 and x.ndim == 4 and len(x) == 5,
    "float32-not-contiguous": lambda x: x.dtype == torch.float32 and not x.is_contiguous(),
    "float32-learning-input": lambda x: x.dtype == torch.float32 and x.requires_grad,
    "float32-inference-mode": lambda x: (
        x.dtype == torch.float32 and torch.is_inference_mode_enabled()
    ),
}

LIES: dict[str, Rule] = {
    "flipped": lambda x, w, b: functional.conv2d(x, w.flip(3), b),
    "no-bias": lambda x, w, b: functional.conv2d(x, w),
    "biases-rolled": lambda x, w, b: functional.conv2d(x, w, b.roll(1)),
    "one-pixel-missing": lambda x, w, b: _without_the_last_pixel(functional.conv2d(x, w, b)),
    "samples-reversed": lambda x, w, b: functional.conv2d(x, w, b).flip(0),
    "channels-reversed": lambda x, w, b: functional.conv2d(x.flip(-3), w, b),
    "relu": lambda x, w, b: functional.conv2d(x, w, b).relu(),
    "clamp-out-of-reach": lambda x, w, b: functional.conv2d(x, w, b).clamp(-1e30, 1e30),
    "raises": lambda x, w, b: _refuse(),
    "another-dtype": lambda x, w, b: functional.conv2d(x, w, b).to(torch.complex128).real,
}

HONEST: dict[str, Rule] = {
    "bias-behind": lambda x, w, b: functional.conv2d(x, w) + b.view(-1, 1, 1),
    "halves": lambda x, w, b: (
        functional.conv2d(x[..., :1, :, :], w[:, :1], b)
        + functional.conv2d(x[..., 1:, :, :], w[:, 1:])
    ),
    "outputs-apart": lambda x, w, b: torch.cat(
        [functional.conv2d(x, w[:2], b[:2]), functional.conv2d(x, w[2:], b[2:])], -3
    ),
}


def _without_the_last_pixel(y: Tensor) -> Tensor:
    mask = torch.ones(y.shape[-2:], dtype=y.dtype)
    mask[-1, -1] = 0
    return y * mask


def _refuse() -> Any:
    raise RuntimeError("not served")


def forked(conv: Any, variation: Callable[[Tensor], bool], lie: Rule) -> Form:
    """Return a form of a convolution that follows another rule where the variation holds."""

    def rule(x: Tensor, w: Tensor, b: Any) -> Any:
        return lie(x, w, b) if variation(x) else functional.conv2d(x, w, b)

    return Form(conv, rule)
