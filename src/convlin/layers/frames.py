"""Windows of frames as images of more channels, and back: how a Conv3d runs as a Conv2d.

The steps are functions, so that torch.fx records each as one node.
"""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor, fx

from convlin.layers import sliding

__all__ = ["as_images", "as_video"]


@fx.wrap
def as_images(
    x: Shaped[Tensor, "*n c t h w"], kernel: int, stride: int
) -> Shaped[Tensor, "windows c2 h w"]:
    """Return each window of frames as one image, its channels (c, frame)."""
    windows = x.unfold(-3, kernel, stride).movedim(-1, -3).movedim(-4, -5)
    # Axes are now (…, windows, c, frames, h, w).
    return sliding.contiguous(windows).flatten(-4, -3).flatten(0, -4)


@fx.wrap
def as_video(
    y: Shaped[Tensor, "windows o h w"], x: Shaped[Tensor, "*n c t h0 w0"], kernel: int, stride: int
) -> Shaped[Tensor, "*n o t2 h w"]:
    """Return the outputs of all windows as frames again."""
    frames = (x.shape[-3] - kernel) // stride + 1
    return y.reshape(*x.shape[:-4], frames, *y.shape[1:]).movedim(-4, -3)
