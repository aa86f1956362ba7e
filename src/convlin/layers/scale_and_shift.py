"""A scale and a shift a channel as a layer: what a batch normalisation is, with both as variables.

A scale γ/√(variance + ε) is no polynomial of what the normalisation holds, but all that follows is
one of scale and shift, which a proof can draw.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ScaleAndShift"]


class ScaleAndShift(nn.Module):
    """y[c] = scale[c] · x[c] + shift[c], on maps of `ndim` dimensions, or on rows.

    >>> import torch
    >>> scale, shift = torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])
    >>> layer = ScaleAndShift(scale, shift, rows=False, ndim=1)
    >>> layer(torch.ones(1, 2, 3))
    tensor([[[2., 2., 2.],
             [4., 4., 4.]]], grad_fn=<AddBackward0>)
    """

    def __init__(self, scale: Tensor, shift: Tensor | None, *, rows: bool, ndim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale)
        self.shift = None if shift is None else nn.Parameter(shift)
        self.rows, self.ndim = rows, ndim

    def forward(self, x: Tensor) -> Tensor:
        """Return x scaled and shifted."""
        shape = (-1, *(1,) * (0 if self.rows else self.ndim))
        y = x * self.scale.view(shape)
        return y if self.shift is None else y + self.shift.view(shape)
