"""Everything that one pass over a sheet gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from convlin.demo.detect import Detection, Score, digit_odds, find_digits, score
from convlin.demo.sheet import Digit
from convlin.geometry import ReceptiveField
from convlin.models import FullyConvolutional

__all__ = ["Reading", "read"]


@dataclass(frozen=True, eq=False)
class Reading:
    """A sheet, what the network made of it, and, where the truth is known, how right that is."""

    image: Float[np.ndarray, "h w"]
    field: ReceptiveField
    scores: Float[Tensor, "k a b"]
    detections: tuple[Detection, ...]
    truth: tuple[Digit, ...] | None
    result: Score | None

    @property
    def odds(self) -> Float[np.ndarray, "a b"]:
        """Log-odds, per cell, that a digit stands in the middle of its window."""
        odds: Float[np.ndarray, "a b"] = digit_odds(self.scores).numpy()
        return odds


@torch.inference_mode()
def read(
    network: FullyConvolutional,
    image: Float[np.ndarray, "h w"],
    truth: Sequence[Digit] | None = None,
) -> Reading:
    """Return the digits on a grey image (0 = black, 1 = white), found in one dense pass."""
    scores = network(torch.from_numpy(image)[None, None])[0]
    detections = tuple(find_digits(scores, network.field))
    known = None if truth is None else tuple(truth)
    result = None if known is None else score(detections, known)
    return Reading(image, network.field, scores, detections, known, result)
