"""Ordinary pictures, decoded once as a whole by Pillow."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from convlin.display.numbers import bytes_of
from convlin.errors import InputError, one_line
from convlin.scan.sources.arrays import ArrayReader
from convlin.scan.sources.reader import Facts

__all__ = ["picture_reader"]

# Those that are data. Pillow knows others too, of which EPS starts Ghostscript.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
# Bytes of a pixel while it is decoded, turned and copied into an array.
DECODING = 10


def picture_reader(path: Path, channels: int, *, lift_bomb_limit: bool) -> ArrayReader:
    """Decode a picture in grey or colour, as the window has channels, turned as EXIF says.

    Pillow refuses pictures that unpack to more pixels than it takes for harmless, unless
    `lift_bomb_limit`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    before = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd tags
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.MAX_IMAGE_PIXELS = None if lift_bomb_limit else before
            with Image.open(path, formats=FORMATS) as file:
                packed, size = file.format or "", file.size
                image = ImageOps.exif_transpose(file)
                pixels = _pixels(image, channels)
                del image
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not a readable picture: none of {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        why = f"unpacks to more than {before:,} pixels; --lift-bomb-limit decodes it all the same"
        raise InputError(f"{path}: {why}") from error
    except Exception as error:  # of damaged files: whatever their readers stumble over
        raise InputError(f"{path}: not a readable picture: {one_line(error)}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = before
    memory = DECODING * size[0] * size[1] * pixels.dtype.itemsize
    reader = ArrayReader(pixels, path.name, f"{packed} picture", path)
    facts = reader.facts
    reader.facts = Facts(
        facts.name, facts.kind, facts.shape, facts.dtype, "YXC", memory=memory,
        notes=(f"decoded as a whole: {bytes_of(memory)}",),
    )  # fmt: skip
    return reader


def _pixels(image: object, channels: int) -> np.ndarray:
    """Return the numbers (rows, columns, channels) of a picture of any kind."""
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith(("I", "F")):  # 16 bits, or floats: as they are
        deep = np.asarray(image)
        return deep[..., None]
    if image.mode in ("P", "PA", "LA", "RGBA", "RGBX", "La", "RGBa") and "A" in image.getbands() + (
        ("A",) if "transparency" in image.info else ()
    ):
        solid = Image.new("RGBA", image.size, "white")
        solid.alpha_composite(image.convert("RGBA"))
        image = solid
    made = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return made[..., None] if made.ndim == 2 else made
