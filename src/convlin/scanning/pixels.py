"""From an image's numbers to what the model reads: one affine map for each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convlin.arguments import elements, shown
from convlin.errors import Refusal, Refused

if TYPE_CHECKING:
    from convlin.scanning.sources import Source

__all__ = ["Pixels", "pixels_as"]


@dataclass(frozen=True)
class Pixels:
    """What is read of pixels: (pixel·scale - mean) / std, channel by channel.

    >>> import numpy as np
    >>> Pixels(1 / 255, (0.5,), (0.25,))(np.array([[0, 255]], np.uint8)).tolist()
    [[-2.0, 2.0]]
    """

    scale: float
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    exact: bool = False

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """Return what the model reads of pixels (C, *box), in float32, or float64 if exact."""
        made: np.ndarray[Any, np.dtype[np.floating]] = raw.astype(
            np.float64 if self.exact else np.float32
        )
        shape = (-1, *(1,) * (raw.ndim - 1))
        mean, std = (np.array(numbers).reshape(shape) for numbers in (self.mean, self.std))
        factor, off = self.scale / std, mean / std
        if (factor != 1).any():
            made *= factor.astype(made.dtype)
        if off.any():
            made -= off.astype(made.dtype)
        return made

    def __str__(self) -> str:
        said = "as they are" if self.scale == 1 else f"times {self.scale:.6g}"
        if any(self.mean) or any(std != 1 for std in self.std):
            mean, std = (", ".join(f"{n:.4g}" for n in its) for its in (self.mean, self.std))
            said += f", less {mean}, by {std}"
        return said


def pixels_as(
    source: Source, scale: Any, mean: Any, std: Any, exact: bool
) -> Pixels:  # fmt: skip
    """Return how pixels are read; scale None: so that samples, and 8 and 16 bits, reach 1.

    Raises `Refused` for numbers that are no scale, or not one for each channel.
    """
    dtype, channels = source.dtype, source.shape[0]
    if scale is None:
        short = dtype.kind in "ui" and dtype.itemsize <= 2
        scale = 1 / (source.full or (np.iinfo(dtype).max if short else 1))
    (factor,) = _numbers("scale", [scale], 1)
    means = (0.0,) if mean is None else _numbers("mean", mean, channels)
    stds = (1.0,) if std is None else _numbers("std", std, channels)
    for field, numbers in (("scale", (factor,)), ("std", stds)):
        if any(number <= 0 for number in numbers):
            raise Refused(Refusal("scan", field, numbers, "above 0"))
    return Pixels(factor, means, stds, exact)


def _numbers(field: str, value: Any, channels: int) -> tuple[float, ...]:
    items = elements(value)
    allowed = f"a number, or {channels}, one per channel" if channels > 1 else "a number"
    try:
        numbers = tuple(float(item) for item in ((value,) if items is None else items))
    except Exception as error:  # whatever an object of others raises
        raise Refused(Refusal("scan", field, shown(value), allowed)) from error
    if len(numbers) not in (1, channels) or not np.isfinite(numbers).all():
        raise Refused(Refusal("scan", field, shown(value), allowed))
    return numbers
