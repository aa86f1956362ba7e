"""A convolution of patches, written as space-to-depth and a convolution of kernel 1."""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor, fx
from torch.nn import functional

from convlin.layers import sliding
from convlin.layers.forms.reshaped_conv import ReshapedConv

__all__ = ["SpaceToDepthConv"]


class SpaceToDepthConv(ReshapedConv):
    """The padded image, its patches as pixels of more channels, then `conv`, of kernel 1."""

    def forward(self, x: Shaped[Tensor, "*n c *size"]) -> Shaped[Tensor, "*n o *out"]:
        """Take what the convolution took, and return what it returned.

        Raises `GeometryError` for another number of channels or dimensions, or too small an image.
        """
        g = self.geometry
        image = sliding.require_map(x, g.in_channels, g.smallest_input)
        image = sliding.pad(image, g.padding, g.padding_mode)
        y: Tensor = self.conv(_space_to_depth(image, g.kernel))
        return sliding.in_format_of(x, y, g.ndim)


@fx.wrap
def _space_to_depth(
    x: Shaped[Tensor, "*n c *size"], patch: tuple[int, ...]
) -> Shaped[Tensor, "*n c2 *out"]:
    """Return patches as pixels: channel c·taps + t is tap t of channel c. The rest is cut off."""
    ndim = len(patch)
    # PyTorch's function takes whole patches only, and leaves an empty batch as it was.
    if ndim == 2 and patch[0] == patch[1] and x.shape[0]:
        for axis in (-2, -1):
            x = x.narrow(axis, 0, x.shape[axis] // patch[axis] * patch[axis])
        return functional.pixel_unshuffle(x, patch[0])
    patches = sliding.cut_windows(x, patch, patch, (1,) * ndim, 1, tuple(range(1 + ndim)))
    # (…, 1, c, *patch, *out)
    return sliding.contiguous(patches).flatten(-2 * ndim - 2, -ndim - 1)
