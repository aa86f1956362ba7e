"""The dense network against the classifier it came from, slid over the same sheet.

How far apart two evaluations of one window may lie in floating point is derived layer by layer,
with e the error so far and γₙ = n·u/(1 - n·u)::

    convolution, Linear   e ← |W|·e + γₙ·(|W|·(|x| + e) + |b|),  n = inputs of a sum and its bias
    ReLU, max pool        e ← e, and its maximum: they are 1-Lipschitz

(Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., chapter 3.) Both evaluations
are that close to the exact scores, so they differ by at most 2·e.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from convlin.demo.classifier import DigitClassifier
from convlin.geometry import ReceptiveField
from convlin.models import FullyConvolutional, cost
from convlin.models.dense.network import at_cells, crops
from convlin.numerics.roundoff import gamma, unit

__all__ = ["Difference", "Precision", "Race", "largest_difference", "race", "score_bound"]

# Batches in which sliding is timed, few windows to all of a sample, since the race is with the
# fastest. The first layer's maps of 1024 take 26 MB: less than a cache here, more than one there.
BATCHES = (64, 256, 1024)


@dataclass(frozen=True)
class Precision:
    """The largest difference of any score in one dtype, its bound, and the largest score.

    `bound` is that of the score which differs most; `within`: every score keeps to its own.
    """

    dtype: str
    largest: float
    bound: float
    scale: float
    within: bool


@dataclass(frozen=True)
class Difference:
    """How far the dense scores are from the classifier's own on some windows, per dtype."""

    windows: int
    rows: tuple[Precision, ...]


@dataclass(frozen=True)
class Race:
    """Seconds for every window of a sheet, dense and slid, round by round.

    `batch` is the size of the batches in which sliding was fastest; `sampled` are the seconds for
    the `timed` of all `windows` that were really slid over in a round. `multiply_adds`: of the
    dense pass, and of sliding over every window.
    """

    dense: tuple[float, ...]
    sampled: tuple[float, ...]
    batch: int
    windows: int
    timed: int
    multiply_adds: tuple[int, int]

    @property
    def sliding(self) -> tuple[float, ...]:
        """Seconds for every window slid over, scaled up from the sample."""
        return tuple(seconds * self.windows / self.timed for seconds in self.sampled)

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times faster dense was, round by round, smallest first."""
        return tuple(sorted(b / a for a, b in zip(self.dense, self.sliding, strict=True)))

    @property
    def medians(self) -> tuple[float, float, float]:
        """The medians: seconds dense, seconds sliding, and the ratio of a round."""
        dense, sliding, ratio = map(statistics.median, (self.dense, self.sliding, self.ratios))
        return dense, sliding, ratio


@torch.inference_mode()
def largest_difference(
    model: DigitClassifier,
    network: FullyConvolutional,
    image: Float[np.ndarray, "h w"],
    *,
    count: int = 512,
    seed: int = 0,
) -> Difference:
    """Compare dense scores with the classifier's own on a random sample of the windows.

    In float32 and in float64: a difference that shrinks with the unit roundoff is rounding.
    """
    rows = []
    cells = _sample(network.field, image.shape, count, seed)
    for dtype in (torch.float32, torch.float64):
        # Copies: the classifier and the network are left in their own dtype.
        own, dense = copy.deepcopy(model).to(dtype), copy.deepcopy(network).to(dtype)
        sheet = torch.from_numpy(image).to(dtype)[None, None]
        there = at_cells(dense(sheet), cells)
        windows = crops(sheet, network.field, cells)
        slid = torch.cat([own(batch) for batch in torch.split(windows, BATCHES[0])])
        difference = (slid - there).abs().double().flatten()
        bound = 2 * score_bound(own.layers, windows).flatten()
        worst = int(difference.argmax())
        rows.append(
            Precision(
                str(dtype).removeprefix("torch."),
                float(difference[worst]),
                float(bound[worst]),
                float(slid.abs().max()),
                bool((difference <= bound).all()),
            )
        )
    return Difference(len(cells), tuple(rows))


@torch.inference_mode()
def score_bound(
    layers: Sequence[nn.Module], windows: Float[Tensor, "n 1 p q"]
) -> Float[Tensor, "n k"]:
    """Return how far each score may lie from its exact value, whatever the order of summation.

    Knows convolutions without padding, Linear, ReLU, max pools and Flatten; any other layer is a
    `TypeError`.
    """
    u = unit(windows.dtype)
    exact, error = windows.double(), torch.zeros_like(windows, dtype=torch.float64)
    for layer in layers:
        match layer:
            case nn.Conv2d() | nn.Linear():
                own = {name: p.detach().double() for name, p in layer.named_parameters()}
                large = {name: p.abs() for name, p in own.items()}
                factor = gamma(layer.weight[0].numel() + 1, u)
                assert factor is not None  # a few hundred inputs
                summed = torch.func.functional_call(layer, large, (exact.abs() + error,))
                through = torch.func.functional_call(
                    layer, {**large, "bias": torch.zeros_like(own["bias"])}, (error,)
                )
                error = through + factor * summed
                exact = torch.func.functional_call(layer, own, (exact,))
            case nn.MaxPool2d() | nn.Flatten():
                exact, error = layer(exact), layer(error)
            case nn.ReLU():
                exact = layer(exact)
            case _:
                raise TypeError(f"no rule for {type(layer).__name__}")
    return error


@torch.inference_mode()
def race(
    model: nn.Module,
    network: FullyConvolutional,
    image: Float[np.ndarray, "h w"],
    *,
    rounds: int,
    sample: int = 1024,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Race:
    """Time the dense network, and the classifier on batches of windows, by turns.

    A round slides over the same random sample of windows in batches of every size in `BATCHES`,
    all full; the size with the smallest median is the one to beat. Cutting the windows out counts
    as part of sliding.
    """
    field, sheet = network.field, torch.from_numpy(image)[None, None]
    total = math.prod(field.cells(image.shape))
    timed = min(total, sample)
    dense: list[float] = []
    sliding: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    for number in range(rounds + 1):
        cells = _sample(field, image.shape, timed, seed + number)
        with _timed(dense):
            network(sheet)
        for batch, seconds in sliding.items():
            with _timed(seconds):
                for first in range(0, timed, batch):
                    model(crops(sheet, field, cells[first : first + batch]))
        if progress is not None:
            progress("racing", number + 1, rounds + 1)
    # The first round warms up.
    best = min(BATCHES, key=lambda batch: statistics.median(sliding[batch][1:]))
    dense_adds, window_adds = (
        cost(program, (1, *size)).multiply_adds["conv"]
        for program, size in ((network, image.shape), (model, field.size))
    )
    counts = dense_adds, window_adds * total
    return Race(tuple(dense[1:]), tuple(sliding[best][1:]), best, total, timed, counts)


@contextmanager
def _timed(seconds: list[float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds.append(time.perf_counter() - start)


def _sample(
    field: ReceptiveField, size: tuple[int, ...], count: int, seed: int
) -> Int[np.ndarray, "n 2"]:
    """Return `count` different cells, or all; in the order in which sliding meets them."""
    rows, columns = field.cells(size)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(rows * columns, size=min(count, rows * columns), replace=False)
    return np.stack(np.divmod(np.sort(chosen), columns), axis=1)
