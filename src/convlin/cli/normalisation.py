"""What a classifier was trained on: pixels from 0 to 1, less their mean, by standard deviation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from convlin.arguments import shown
from convlin.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

__all__ = ["Normalisation", "Preset", "normalisation"]

Preset: TypeAlias = Literal["imagenet", "efficientnet-lite"]
PRESETS = {
    # As the documentation of torchvision's ImageNet weights states them.
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # Bytes less 127, by 128, as EfficientNet-Lite takes them.
    "efficientnet-lite": ((127 / 255,) * 3, (128 / 255,) * 3),
}
NUMBERS = re.compile(r"-?\d{1,9}(\.\d{1,18})?(,-?\d{1,9}(\.\d{1,18})?)*", re.ASCII)


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation, one number for each channel, or one for all."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __call__(self, pixels: Float[np.ndarray, "c h w"]) -> Float[np.ndarray, "c h w"]:
        """Return what the model reads of pixels from 0 to 1."""
        import numpy as np

        mean, std = (np.array(n, pixels.dtype)[:, None, None] for n in (self.mean, self.std))
        read: np.ndarray = (pixels - mean) / std
        return read


def normalisation(
    preset: str | None, mean: str | None, std: str | None, channels: int
) -> Normalisation:
    """Return what the options `--preset`, `--mean` and `--std` say.

    >>> normalisation(None, "0.5", "0.25,0.5,0.25", 3)
    Normalisation(mean=(0.5,), std=(0.25, 0.5, 0.25))
    >>> normalisation("imagenet", None, "0.5", 3)
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: --preset is 'imagenet', expected it without --mean and --std
    """
    if preset is None:
        return Normalisation(
            _numbers(mean, "--mean", channels, -math.inf) if mean is not None else (0.0,),
            _numbers(std, "--std", channels, 0.0) if std is not None else (1.0,),
        )
    if mean is not None or std is not None:
        raise InputError(f"--preset is {preset!r}, expected it without --mean and --std")
    if channels != 3:
        raise InputError(f"--preset is {preset!r}, expected a window of 3 channels, not {channels}")
    return Normalisation(*PRESETS[preset])


def _numbers(text: str, option: str, channels: int, above: float) -> tuple[float, ...]:
    numbers = tuple(map(float, text.split(","))) if NUMBERS.fullmatch(text) else ()
    if len(numbers) not in (1, channels) or min(numbers) <= above:
        many = f"1 or {channels} numbers" if channels > 1 else "a number"
        kind = "" if above < 0 else " above 0"
        raise InputError(f"{option} is {shown(text)}, expected {many}{kind}, such as 0.5")
    return numbers
