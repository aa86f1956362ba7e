"""Rows as a line of pixels, and back: how a Linear's input reaches a 1×1 convolution.

The steps are functions, so that torch.fx records each as one node.
"""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor, fx
from torch.nn import functional

__all__ = ["on_a_line", "on_lines"]


@fx.wrap
def on_a_line(
    x: Shaped[Tensor, "*rows c"], weight: Shaped[Tensor, "o c"], bias: Shaped[Tensor, " o"] | None
) -> Shaped[Tensor, "*rows o"]:
    """Return rows through a 1×1 convolution, all rows as one image (1, C, rows, 1)."""
    line = x.reshape(1, -1, x.shape[-1], 1).movedim(2, 1)
    y = functional.conv2d(line, weight[:, :, None, None], bias)
    return y.movedim(1, 2).reshape(*x.shape[:-1], weight.shape[0]).contiguous()


@fx.wrap
def on_lines(
    x: Shaped[Tensor, "*rows c"], weight: Shaped[Tensor, "o c"], bias: Shaped[Tensor, " o"] | None
) -> Shaped[Tensor, "*rows o"]:
    """Return rows through a 1×1 convolution, as images (B, C, 1, S): the long axis last.

    B is the first axis of the rows, S all others; a matrix of rows is one image.
    """
    rows = x if x.ndim == 3 else x.reshape(*x.shape[:1] if x.ndim > 3 else (1,), -1, x.shape[-1])
    y = functional.conv2d(rows.transpose(1, 2).unsqueeze(2), weight[:, :, None, None], bias)
    y = y.squeeze(2).transpose(1, 2)
    y = y if x.ndim == 3 else y.reshape(*x.shape[:-1], weight.shape[0])
    return y.contiguous()
