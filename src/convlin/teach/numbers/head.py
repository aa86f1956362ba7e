"""Lesson 6, third part: a fully connected head as a convolution, on the demo's sheet of digits.

The classifier that ships with the demo reads one window; its two FC layers become convolutions that
hold the same weights, and one pass gives the scores of every window of a sheet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor, nn

from convlin.demo.classifier import WINDOW, DigitClassifier, digit_classifier
from convlin.demo.one_pass import Reading, read
from convlin.demo.race import score_bound
from convlin.demo.sheet import Digit, compose, held_out_digits
from convlin.geometry import ReceptiveField
from convlin.models import FullyConvolutional, cost, fully_convolutional
from convlin.models.dense.network import crops
from convlin.proof import Verdict, prove

__all__ = ["Head", "head"]

# Four digits of four kinds, well apart, in a picture of 12 kB.
SHEET, SEED = (96, 128), 31


@dataclass(frozen=True, eq=False)
class Head:
    """A sheet, grey from 0 = black to 255, and the map of scores that one pass gives.

    fully_connected: shapes of the weights of the FC layers; convolutions: of what they became;
    proof: the first of both, for every input.
    map: cells down and across, one a window, `stride` pixels apart. best: the class with the
    largest score in each cell, `classes` - 1 of them digits and the last nothing; scores: that
    score, rounded. cell: the one of the surest digit; own, there: its scores, from the classifier
    on its window and from the map. largest: the largest difference of any score of all `windows`,
    and bound: what rounding in float64 explains of that one; within: whether it explains all.
    multiply_adds: of the one pass, and window by window. digits: on the sheet; right: how many are
    found there.
    """

    sheet: UInt8[np.ndarray, "h w"]
    window: tuple[int, int]
    stride: tuple[int, ...]
    fully_connected: tuple[tuple[int, ...], ...]
    convolutions: tuple[tuple[int, ...], ...]
    proof: Verdict
    classes: int
    map: tuple[int, int]
    best: UInt8[np.ndarray, "a b"]
    scores: Int8[np.ndarray, "a b"]
    cell: tuple[int, int]
    own: tuple[float, ...]
    there: tuple[float, ...]
    largest: float
    bound: float
    within: bool
    multiply_adds: tuple[int, int]
    digits: tuple[Digit, ...]
    right: int

    @property
    def windows(self) -> int:
        """How many windows the sheet has."""
        return math.prod(self.map)

    @property
    def ratio(self) -> float:
        """How many times as many multiply-adds it takes window by window."""
        return self.multiply_adds[1] / self.multiply_adds[0]


def head() -> Head:
    """Compute the third part.

    >>> found = head()
    >>> found.fully_connected, found.convolutions
    (((48, 512), (11, 48)), ((48, 32, 4, 4), (11, 48, 1, 1)))
    >>> found.map, found.windows, round(found.ratio, 1), found.within
    ((17, 25), 425, 9.6, True)
    """
    classifier = digit_classifier()
    network = fully_convolutional(classifier, WINDOW)
    before = [classifier.hidden, classifier.output]
    after = [network.network.get_submodule(name) for name in ("hidden", "output")]
    drawn = compose(*held_out_digits(), SHEET, seed=SEED)
    # The numbers of the picture as it is shown, so that anybody's classifier may read the same.
    grey = np.rint(drawn.image * 255).astype(np.uint8)
    proof = _proof(before[0], after[0])
    classifier.double()
    network.double()
    reading = read(network, grey.astype(np.float64) / 255, drawn.digits)
    assert reading.result is not None
    rows, columns = reading.scores.shape[1:]
    surest = _surest(reading.scores)
    own, bounds = _one_by_one(classifier, network.field, reading)
    there = reading.scores.flatten(1).T
    difference = (own - there).abs()
    worst = divmod(int(difference.argmax()), len(reading.scores))
    scores, best = reading.scores.max(0)
    sliding = _multiply_adds(classifier, WINDOW[1:]) * rows * columns
    return Head(
        sheet=grey,
        window=(WINDOW[1], WINDOW[2]),
        stride=network.field.stride,
        fully_connected=_shapes(before),
        convolutions=_shapes(after),
        proof=proof,
        classes=len(reading.scores),
        map=(rows, columns),
        best=best.numpy().astype(np.uint8),
        scores=scores.round().clamp(-128, 127).numpy().astype(np.int8),
        cell=divmod(surest, columns),
        own=tuple(own[surest].tolist()),
        there=tuple(there[surest].tolist()),
        largest=float(difference[worst]),
        bound=float(bounds[worst]),
        within=bool((difference <= bounds).all()),
        multiply_adds=(_multiply_adds(network, SHEET), sliding),
        digits=drawn.digits,
        right=len(reading.result.matches),
    )


def _proof(linear: nn.Module, conv: nn.Module) -> Verdict:
    """Prove that an FC layer behind `Flatten` is this convolution."""
    outputs, *shape = conv.get_parameter("weight").shape
    flattened = nn.Sequential(nn.Flatten(), linear, nn.Unflatten(1, (outputs, 1, 1)))
    return prove(flattened, conv, shape)


def _shapes(layers: Sequence[nn.Module]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(layer.get_parameter("weight").shape) for layer in layers)


@torch.inference_mode()
def _one_by_one(
    classifier: DigitClassifier, field: ReceptiveField, reading: Reading
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Return the classifier's own scores of every window, and how far others may be from them."""
    cells = np.argwhere(np.ones(reading.scores.shape[1:], dtype=bool))
    windows = crops(torch.from_numpy(reading.image)[None, None], field, cells)
    return classifier(windows), 2 * score_bound(classifier.layers, windows)


def _surest(scores: Tensor) -> int:
    """Return the cell, counted in reading order, whose digit outscores all else by most."""
    first, second = scores.topk(2, dim=0).values
    lead = torch.where(scores.argmax(0) < len(scores) - 1, first - second, -torch.inf)
    return int(lead.argmax())


def _multiply_adds(model: nn.Module | FullyConvolutional, size: tuple[int, ...]) -> int:
    counted = cost(model, (1, *size)).multiply_adds["conv"]
    assert counted is not None
    return counted
