"""Ordinary pictures, decoded once as a whole by Pillow."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlin.display.numbers import bytes_of
from convlin.errors import InputError, one_line
from convlin.scanning.sources.arrays import ArrayReader

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["picture_reader"]

# Those that are data. Pillow knows others too, of which EPS starts Ghostscript.
ORIENTATION = 0x0112  # the number of its EXIF tag
TURNED = "turned as its EXIF data says: rows and columns are those of the turned picture"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM")
# Bytes of a pixel: four that Pillow keeps of a colour, and six of a JPEG's coefficients and one of
# its rows, or four of the picture turned. Of WebP, libwebp holds two canvases and a copy of one.
DECODING, OF_WEBP = 11, 20
# Pixels of rows that are converted at once.
BAND = 2**18
LOCK = threading.Lock()  # the limit of Pillow is one for all threads
CLEAR = "transparent pixels are white"
EIGHT = "a picture of 16 bits a colour, of which Pillow reads 8"


def picture_reader(path: Path, channels: int | None, *, lift_bomb_limit: bool) -> ArrayReader:
    """Decode a picture in grey or colour, as the window has channels, turned as EXIF says.

    channels: None for the channels that the file has, alpha among them. Pillow refuses pictures
    that unpack to more pixels than it takes for harmless, unless `lift_bomb_limit`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    with LOCK:
        before = Image.MAX_IMAGE_PIXELS
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd tags
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                Image.MAX_IMAGE_PIXELS = None if lift_bomb_limit else before
                with Image.open(path, formats=FORMATS) as file:
                    packed, frames = file.format or "", getattr(file, "n_frames", 1)
                    deep = file.mode in ("RGB", "RGBA", "LA") and _is_of_16_bits(file)
                    turned = file.getexif().get(ORIENTATION, 1) != 1
                    ImageOps.exif_transpose(file, in_place=True)
                    pixels, notes = _pixels(file, channels)
                    notes = (*notes, *(TURNED,) * turned)
        except UnidentifiedImageError as error:
            formats = ", ".join(FORMATS)
            raise InputError(f"{path}: not a readable picture: none of {formats}") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            why = f"unpacks to more than {before:,} pixels; --lift-bomb-limit decodes it all the"
            raise InputError(f"{path}: {why} same") from error
        except Exception as error:  # of damaged files: whatever their readers stumble over
            raise InputError(f"{path}: not a readable picture: {one_line(error)}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = before
    rows, columns, _ = pixels.shape
    each = OF_WEBP if packed == "WEBP" else DECODING
    memory = max(each * rows * columns + 16 * BAND, 2 * pixels.nbytes) + path.stat().st_size
    notes = (f"decoded as a whole: {bytes_of(memory)}", *notes)
    if deep:
        notes += (EIGHT,)
    if frames > 1:
        notes += (f"the first of {frames} pictures",)
    if packed == "JPEG":
        notes += ("JPEG: damage decodes to other pixels, and cannot be found",)
    return ArrayReader(
        pixels, path.name, f"{packed} picture", path, axes="YXC", memory=memory, notes=notes
    )


def _pixels(image: Image, channels: int | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the numbers (rows, columns, channels) of a picture of any kind, and notes."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # 16 bits, or floats: as they are
        dtype = np.asarray(image.crop((0, 0, 1, 1))).dtype
        return _by_bands(image, dtype, 1, lambda band: band), ()
    clear = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
    if channels is None:
        mode = "RGBA" if clear else "L" if image.mode in ("1", "L") else "RGB"
        return _by_bands(image, np.uint8, len(mode), lambda band: band.convert(mode)), ()
    mode = "L" if channels == 1 else "RGB"
    if not clear:
        return _by_bands(image, np.uint8, len(mode), lambda band: band.convert(mode)), ()

    def solid(band: Image.Image) -> Image.Image:
        under = Image.new("RGBA", band.size, "white")
        under.alpha_composite(band.convert("RGBA"))
        return under.convert(mode)

    return _by_bands(image, np.uint8, len(mode), solid), (CLEAR,)


def _is_of_16_bits(file: Any) -> bool:
    """Whether the numbers of a file are longer than those that Pillow makes of them."""
    return any("16" in str(tile[3]) for tile in file.tile)


def _by_bands(
    image: Image, dtype: Any, channels: int, converted: Callable[[Image], Image]
) -> np.ndarray:
    """Return a picture converted band by band, as nothing else of its size is needed then."""
    made = np.empty((image.height, image.width, channels), np.dtype(dtype).newbyteorder("="))
    tall = max(1, BAND // image.width)
    for first in range(0, image.height, tall):
        last = min(first + tall, image.height)
        band = converted(image.crop((0, first, image.width, last)))
        made[first:last] = np.asarray(band).reshape(last - first, image.width, channels)
    return made
