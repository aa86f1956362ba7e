"""Seen, not only derived: a few windows are run shared, and by the model on each crop alone.

Both run in float64 copies on noise, each crop as a batch of its own, so that a model which mixes
the images of a batch is found. A difference above 1e-10 of the largest output is an error. A model
that cannot be copied to float64, or not run there, is run as it is, with half the digits as
tolerance.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from convlin.arguments import Progress
from convlin.errors import Description, Refusal, Refused, one_line
from convlin.geometry import ReceptiveField
from convlin.layers.unchanged import same_random_numbers
from convlin.models.differences import Dtypes, relative
from convlin.models.grouped import AllGroupsAtOnce
from convlin.models.seen_run import AgainstModel
from convlin.models.trace import sample, tensors_in
from convlin.models.window_crops import crop_of
from convlin.numerics.roundoff import unit
from convlin.proof.twins import Twins, named_tensors

__all__ = ["run_against_crops"]

# A weight that is wrong by one rounding to float32, 6e-8, is seen where it makes a six hundredth of
# the largest output; deep networks round to about 1e-13.
TOLERANCE = 1e-10

CROPS = 4  # all windows of two along each of two dimensions; each is a run
# How far above the tolerance crops must move an output that counts as seen: a fault that changes a
# hundredth of the movement is then found. At half, a fiftieth; at double, more outputs are unseen.
VARYING = 100

Slide = Callable[[nn.Module, Tensor], Any]  # a model's outputs on all windows of some images


def run_against_crops(
    model: nn.Module, slide: Slide, field: ReceptiveField, channels: int,
    progress: Progress | None = None,
) -> AgainstModel:  # fmt: skip
    """Return what running a few windows both ways showed; raise `Refused` where they part.

    The model is not changed, nor the state of any random generator.
    """
    started = time.perf_counter()
    tensors = list(named_tensors(model).values())
    if any(tensor.is_meta for tensor in tensors):
        return AgainstModel(why="weights on the meta device have no values")
    report = progress or (lambda what, done, total: None)
    with same_random_numbers(tensors), torch.no_grad(), AllGroupsAtOnce():
        try:
            twins = Twins([model])
            twins.take()
            own, like = twins.twin(model), torch.empty(0, dtype=torch.float64)
            image, cells = _noise(field, channels, like)
            scores, narrow = _on_crops(own, image, field, cells, report)
        except Exception:  # whatever keeps it from being copied, or from running in float64
            own, like = model, sample(model, (0,))
            image, cells = _noise(field, channels, like)
            try:
                scores, narrow = _on_crops(own, image, field, cells, report)
            except Exception as error:
                return AgainstModel(why=f"the model raises an error on noise: {one_line(error)}")
        exact = unit(narrow) <= unit(torch.float64)
        tolerance = TOLERANCE if exact else sqrt(unit(narrow))
        shared = tensors_in(slide(own, image.clone()))
        off, outputs, unseen = 0.0, 0, 0
        for number, leaf in enumerate(shared):
            if not leaf.numel():
                continue
            mine = torch.stack([each[number].reshape(-1) for each in scores])
            there: list[Any] = [(0, ..., *cell) for cell in cells]
            theirs = torch.stack([leaf[place].reshape(-1) for place in there])
            off = max(off, relative(mine, theirs))
            outputs += mine.shape[1]
            spread = mine.double().nan_to_num(0, 0, 0)
            still = spread.amax(0) - spread.amin(0) <= VARYING * tolerance * spread.abs().max()
            unseen += int(still.sum())
    dtype = str(like.dtype).removeprefix("torch.")
    if off > tolerance or len(shared) != len(scores[0]):
        raise Refused(
            Refusal(type(model).__name__, "output", Description(f"off by {off:.2g} in {dtype}"),
                    f"what it gives for each crop alone, within {tolerance:.0e}",
                    "it may mix the images of a batch, or do something else at other times")
        )  # fmt: skip
    seconds = time.perf_counter() - started
    return AgainstModel(len(cells), dtype, off, None, outputs, unseen, seconds)


def _noise(
    field: ReceptiveField, channels: int, like: Tensor
) -> tuple[Tensor, list[tuple[int, ...]]]:
    """Return an image with two windows along each dimension, and some of them."""
    sides = zip(field.size, field.stride, strict=True)
    size = tuple(n + s + (s - 1) // 2 for n, s in sides)  # and half a stride that no window reads
    draw = torch.Generator().manual_seed(0)
    image = torch.randn((1, channels, *size), generator=draw, dtype=torch.float64)
    every = list(itertools.product(*map(range, field.cells(size))))
    return image.to(like.device, like.dtype), every[:: -(-len(every) // CROPS)]


def _on_crops(
    model: nn.Module, image: Tensor, field: ReceptiveField, cells: list[tuple[int, ...]],
    progress: Progress,
) -> tuple[list[list[Tensor]], torch.dtype]:  # fmt: skip
    """Return the model's outputs on each crop alone, and the narrowest dtype on the way."""
    scores, dtypes = [], Dtypes()
    for done, cell in enumerate(cells, 1):
        crop = image[crop_of(field, cell)]
        with dtypes:
            scores.append(tensors_in(model(crop.clone())))  # it may write into its input
        progress("crops", done, len(cells))
    return scores, max(dtypes.seen | {image.dtype}, key=unit)
