"""From a map of class scores to digits at positions, and those against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from convlin.demo.classifier import NOTHING
from convlin.demo.sheet import Digit
from convlin.geometry import ReceptiveField

__all__ = ["Detection", "Score", "digit_odds", "find_digits", "score"]

# Cells, to either side, among which a peak is the highest. Digits stand at least 7 cells apart, and
# a reach of 7 would take neighbours for one; at 1 or 2, some digits are found twice.
REACH = 3
# Pixels between a detection and the digit it may count for: two cells of the grid. At half, what is
# read rightly but a cell and a bit away is missed; at double, it may count for the digit beside.
TOLERANCE = 8.0


@dataclass(frozen=True)
class Detection(Digit):
    """A digit found: the centre of its window, and the probability that it is that digit."""

    probability: float


@dataclass(frozen=True)
class Score:
    """Detections matched one to one with the truth, by indices; and what remains of either."""

    matches: tuple[tuple[int, int], ...]
    false: tuple[int, ...]
    missed: tuple[int, ...]

    @property
    def precision(self) -> float:
        """Share of the detections that are a true digit; 1 where there are none."""
        count = len(self.matches) + len(self.false)
        return len(self.matches) / count if count else 1.0

    @property
    def recall(self) -> float:
        """Share of the true digits that were found; 1 where there are none."""
        count = len(self.matches) + len(self.missed)
        return len(self.matches) / count if count else 1.0


def digit_odds(scores: Float[Tensor, "k h w"]) -> Float[Tensor, "h w"]:
    """Return, per cell, the log-odds that some digit stands in the middle of its window."""
    return scores[:NOTHING].logsumexp(0) - scores[NOTHING]


def find_digits(
    scores: Float[Tensor, "k h w"], field: ReceptiveField, *, least: float = 0.5
) -> list[Detection]:
    """Return the digits at the peaks of a score map, best first.

    A peak is a cell where a digit outscores nothing by more than at any cell within `REACH`, and
    where its probability is at least `least`. Its centre is the mean of the cells around the
    peak, weighted by how likely a digit is.

    >>> scores = torch.zeros(11, 9, 9)
    >>> scores[10] = 9.0
    >>> scores[7, 4, 3] = 20.0
    >>> [(d.y, d.x, d.digit) for d in find_digits(scores, ReceptiveField((32, 32), (4, 4), (0, 0)))]
    [(32.0, 28.0, 7)]
    """
    best, digits = scores[:NOTHING].max(0)
    lead = best - scores[NOTHING]
    span = 2 * REACH + 1
    highest = nn.functional.max_pool2d(lead[None], span, stride=1, padding=REACH)[0]
    probabilities = scores.softmax(0)[:NOTHING].amax(0)
    peaks = torch.nonzero((lead == highest) & (probabilities >= least)).tolist()
    heat = digit_odds(scores).sigmoid()
    detections: dict[tuple[int, int], Detection] = {}
    for i, j in sorted(peaks, key=lambda cell: -float(lead[tuple(cell)])):
        # Of equal neighbouring peaks the first stands for all.
        near = product(range(i - REACH, i + REACH + 1), range(j - REACH, j + REACH + 1))
        if detections.keys().isdisjoint(near):
            y, x = _centre(heat, field, i, j)
            detections[i, j] = Detection(y, x, int(digits[i, j]), float(probabilities[i, j]))
    return list(detections.values())


def _centre(
    heat: Float[Tensor, "h w"], field: ReceptiveField, i: int, j: int
) -> tuple[float, float]:
    """Return the pixel where the heat around cell (i, j) is centred."""
    top, left = max(0, i - 1), max(0, j - 1)
    patch = heat[top : i + 2, left : j + 2].double()
    total = patch.sum()
    row = top + float((patch.sum(1) * torch.arange(patch.shape[0])).sum() / total)
    column = left + float((patch.sum(0) * torch.arange(patch.shape[1])).sum() / total)
    return (
        row * field.stride[0] + field.offset[0] + field.size[0] / 2,
        column * field.stride[1] + field.offset[1] + field.size[1] / 2,
    )


def score(
    detections: Sequence[Digit], truth: Sequence[Digit], tolerance: float = TOLERANCE
) -> Score:
    """Match detections with true digits of the same kind no further away than the tolerance.

    Each counts once; of all one-to-one matchings this is one with the most pairs, and among
    those one with the least sum of distances.

    >>> score([Digit(5, 5, 3), Digit(50, 50, 8)], [Digit(6, 5, 3), Digit(50, 50, 1)])
    Score(matches=((0, 0),), false=(1,), missed=(1,))
    """
    mine = np.array([(d.y, d.x, d.digit) for d in detections]).reshape(-1, 1, 3)
    true = np.array([(d.y, d.x, d.digit) for d in truth]).reshape(1, -1, 3)
    distance = np.hypot(mine[..., 0] - true[..., 0], mine[..., 1] - true[..., 1])
    fits = (distance <= tolerance) & (mine[..., 2] == true[..., 2])
    # One pair more is worth more than any sum of distances.
    gain = np.where(fits, 1 + tolerance * (1 + min(fits.shape)) - distance, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    matches = tuple((int(a), int(b)) for a, b in zip(rows, columns, strict=True) if fits[a, b])
    false = tuple(a for a in range(len(detections)) if a not in {m[0] for m in matches})
    missed = tuple(b for b in range(len(truth)) if b not in {m[1] for m in matches})
    return Score(matches, false, missed)
