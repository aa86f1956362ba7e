"""Rows as lines of pixels, and back: how a Linear's input reaches a 1×1 convolution.

The steps are functions, so that torch.fx records each as one node.
"""

from __future__ import annotations

import math

from jaxtyping import Shaped
from torch import Tensor, fx

from convlin.errors import GeometryError, Refusal

__all__ = ["as_line", "as_lines", "as_rows"]


@fx.wrap
def as_line(x: Tensor, channels: int, ndim: int) -> Tensor:
    """Return rows (..., C) as one line of pixels, (1, C, rows, 1, …).

    A line is two to three times as fast as a batch of single pixels (CPU, 64 to 2000 rows). No
    rows at all are an empty batch, since a convolution refuses an empty line.
    """
    _require_rows(x, channels)
    rows = math.prod(x.shape[:-1])
    line = x.reshape(min(rows, 1), max(rows, 1), channels).movedim(-1, 1)
    return line.reshape(*line.shape, *(1,) * (ndim - 1))


def _require_rows(x: Tensor, channels: int) -> None:
    if x.ndim < 1 or x.shape[-1] != channels:
        raise GeometryError(Refusal("input", "shape", tuple(x.shape), f"(..., {channels})"))


@fx.wrap
def as_lines(
    x: Shaped[Tensor, "*rows features"], channels: int
) -> Shaped[Tensor, "b features 1 s"]:
    """Return rows as a line of pixels for each of the batch; no pixels as an empty batch."""
    _require_rows(x, channels)
    batch = x.shape[0] if x.ndim > 2 else 1
    pixels = math.prod(x.shape[1 if x.ndim > 2 else 0 : -1])
    lines = x.reshape(batch if pixels else 0, pixels or 1, channels)
    return lines.transpose(1, 2).unsqueeze(2)


@fx.wrap
def as_rows(y: Tensor, x: Tensor) -> Tensor:
    """Return a line of pixels as rows again, of the shape of `x`."""
    return y.flatten(2).movedim(1, -1).reshape(*x.shape[:-1], y.shape[1]).contiguous()
