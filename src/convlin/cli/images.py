"""Picture files as arrays of grey or colour between 0 and 1."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from convlin.display.inputs import existing
from convlin.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from PIL.Image import Image

__all__ = ["read_image"]

# Those that are data. Pillow knows others too, of which EPS starts Ghostscript.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")


def read_image(
    path: Path, channels: int, least: tuple[int, int]
) -> Float[np.ndarray, "{channels} h w"]:
    """Return a picture as float32, 0 = black and 1 = white, in one channel (grey) or three.

    Turned as its EXIF data says; what is transparent becomes white. Raises `InputError` if it
    cannot be read or is smaller than `least` (height, width).
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if channels not in (1, 3):
        raise InputError(f"{path}: the window has {channels} channels, a picture has 1 or 3")
    existing(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, and of odd tags in them
            with Image.open(path, formats=FORMATS) as file:
                image = ImageOps.exif_transpose(file)
                pixels = _pixels(image, channels)
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not a readable picture: none of {', '.join(FORMATS)}") from error
    except Exception as error:  # of damaged files: whatever their readers stumble over
        raise InputError(f"{path}: not a readable picture: {error}") from error
    if image.height < least[0] or image.width < least[1]:
        size = f"{image.width}x{image.height} pixels"
        raise InputError(
            f"{path}: size is {size}, expected a window of {least[1]}x{least[0]} or more"
        )
    return pixels


def _pixels(image: Image, channels: int) -> Float[np.ndarray, "{channels} h w"]:
    """Return the numbers of a picture of any kind, scaled to 0 to 1."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # PIL would cut 16-bit grey off at 255
        deep = np.asarray(image, dtype=np.float32)
        if not np.isfinite(deep).all():
            raise ValueError("it holds NaN or infinity")
        top = 65535 if image.mode.startswith("I") else max(1.0, float(deep.max()))
        grey = np.clip(deep / top, 0, 1)
        return np.repeat(grey[None], channels, axis=0)
    solid = Image.new("RGBA", image.size, "white")
    solid.alpha_composite(image.convert("RGBA"))
    pixels = np.asarray(solid.convert("L" if channels == 1 else "RGB"), dtype=np.float32) / 255
    return pixels[None] if channels == 1 else np.moveaxis(pixels, -1, 0).copy()
