"""A sheet of paper with handwritten digits at random centres, and the truth about it.

The training script and the demo compose their sheets by the same code, the one from digits to
learn from, the other from digits held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from convlin.errors import Description, Refusal, Refused

__all__ = ["Digit", "Sheet", "Style", "compose", "held_out_digits"]

# Each of these is part of what a seed means: another number is another sheet.
SPACING = 30  # pixels between the centres of two digits, along y or along x: boxes never overlap
AREA_PER_DIGIT = 2600  # square pixels, 403 digits on 1024 x 1024; at half, a fifth find no room
TRIES_PER_DIGIT = 400  # ample: 50 find room for all; each costs time in proportion
# Further attempts at a sheet on which not all digits found room. Of small ones, one in six has its
# first digit where no second fits beside it: 6⁻⁹ fail in all attempts, and 6⁻⁵ would at half.
STARTS = 8
BORDER = 24  # pixels drawn beyond the sheet's edge and cut off: the rim of digits of 26 pixels


@dataclass(frozen=True)
class Digit:
    """A digit and its centre, in pixels from the sheet's upper left corner."""

    y: float
    x: float
    digit: int


@dataclass(frozen=True, eq=False)
class Sheet:
    """A grey image, 0 = black and 1 = white, and the digits on it in the order of writing."""

    image: Float[np.ndarray, "h w"]
    digits: tuple[Digit, ...]


@dataclass(frozen=True)
class Style:
    """How much the writing varies: ranges of height (pixels), tilt (degrees), ink and noise."""

    height: tuple[int, int] = (22, 26)
    tilt: float = 6.0
    ink: tuple[float, float] = (0.6, 0.95)
    paper: tuple[float, float] = (0.86, 0.96)
    noise: float = 0.025


def held_out_digits() -> tuple[UInt8[np.ndarray, "n 8 8"], UInt8[np.ndarray, " n"]]:
    """Return the digits the classifier never saw in training: ink 0 to 16, and what they are.

    >>> images, labels = held_out_digits()
    >>> images.shape[1:], images.dtype, int(images.max())
    ((8, 8), dtype('uint8'), 16)
    """
    file = resources.files("convlin.demo") / "data" / "held_out_digits.npz"
    with resources.as_file(file) as path, np.load(path, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def compose(
    images: UInt8[np.ndarray, "n 8 8"],
    labels: UInt8[np.ndarray, " n"],
    size: tuple[int, int],
    *,
    count: int | None = None,
    seed: int = 0,
    style: Style | None = None,
) -> Sheet:
    """Write `count` of the digits at random places on a sheet of `size` (height, width) pixels.

    Boxes of `SPACING` pixels around the digits never overlap. Each image is used once before any
    is used again. Without a count there is one digit for every `AREA_PER_DIGIT` pixels, as far as
    they find a place. Raises `Refused` where a given count does not.

    >>> sheet = compose(*held_out_digits(), (120, 160), seed=1)
    >>> sheet.image.shape, len(sheet.digits)
    ((120, 160), 7)
    """
    height, width = size
    style = style or Style()
    if min(size) < SPACING:
        raise Refused(
            Refusal(
                "sheet", "size", Description(f"{height}x{width}"), f"at least {SPACING}x{SPACING}"
            )
        )
    rng = np.random.default_rng(seed)
    wanted = max(1, height * width // AREA_PER_DIGIT) if count is None else count
    centres = _scatter(rng, size, wanted)
    for _ in range(STARTS):  # a first digit in the middle of a small sheet may block all others
        if len(centres) == wanted:
            break
        centres = max(centres, _scatter(rng, size, wanted), key=len)
    if count is not None and len(centres) < count:
        reason = "no free place found for more"
        raise Refused(Refusal("sheet", "count", count, f"at most {len(centres)}", reason))
    drawing = _paper(rng, (height + 2 * BORDER, width + 2 * BORDER), style)
    order = np.concatenate(
        [rng.permutation(len(images)) for _ in range(-(-len(centres) // len(images)))]
    )
    digits = []
    for index, (y, x) in zip(order, centres, strict=False):
        ink = _write(rng, images[index], style)
        side, half = ink.shape[0], ink.shape[0] / 2
        top, left = round(y - half), round(x - half)
        drawing[top + BORDER :, left + BORDER :][:side, :side] *= 1 - ink
        digits.append(Digit(top + half, left + half, int(labels[index])))
    drawing += rng.normal(0, style.noise, drawing.shape).astype(np.float32)
    sheet = drawing[BORDER : BORDER + height, BORDER : BORDER + width]
    return Sheet(np.clip(sheet, 0, 1), tuple(digits))


def _scatter(
    rng: np.random.Generator, size: tuple[int, int], count: int
) -> Float[np.ndarray, "taken 2"]:
    """Throw centres at the sheet; take up to `count` that are far enough from all before."""
    margin = SPACING / 2
    centres = np.empty((count, 2))
    taken = 0
    for y, x in rng.uniform(margin, np.array(size) - margin, (TRIES_PER_DIGIT * count, 2)):
        if taken == count:
            break
        if (np.abs(centres[:taken] - (y, x)).max(axis=1, initial=0) >= SPACING).all() or not taken:
            centres[taken] = y, x
            taken += 1
    return centres[:taken]


def _paper(
    rng: np.random.Generator, size: tuple[int, int], style: Style
) -> Float[np.ndarray, "h w"]:
    """Return blank paper: a shade between the style's limits that drifts slowly over the sheet."""
    coarse = rng.uniform(*style.paper, (max(2, size[0] // 96), max(2, size[1] // 96)))
    smooth = Image.fromarray(coarse.astype(np.float32)).resize(
        (size[1], size[0]), Image.Resampling.BICUBIC
    )
    return np.asarray(smooth, dtype=np.float32).copy()


def _write(
    rng: np.random.Generator, image: UInt8[np.ndarray, "8 8"], style: Style
) -> Float[np.ndarray, "a b"]:
    """Return the ink (0 = none, 1 = black) of one digit, scaled up and tilted."""
    height = int(rng.integers(style.height[0], style.height[1] + 1))
    # Two cells of margin let bicubic interpolation and the tilt run out softly.
    padded = np.pad(image.astype(np.float32) / 16, 1)
    side = round(height * 10 / 8)
    grown = Image.fromarray(padded).resize((side, side), Image.Resampling.BICUBIC)
    tilted = grown.rotate(rng.uniform(-style.tilt, style.tilt), Image.Resampling.BICUBIC)
    ink: Float[np.ndarray, "a b"] = np.asarray(tilted).clip(0, 1)
    return ink * np.float32(rng.uniform(*style.ink))
