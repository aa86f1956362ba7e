"""The first layer where two programs part: both are run, and their layers watched.

At the window, a layer of the network is laid beside the model's layer of the same name. On a larger
image, the network is laid beside itself on a crop: every layer must give for the crop what it gives
for that part of the image. How many of its cells an image's stride is, is seen from an image that
is larger by one stride.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from convlin.models.dense.network import FullyConvolutional
from convlin.models.differences import Dtypes, relative
from convlin.models.trace import LayerCall, watched
from convlin.numerics.roundoff import unit

__all__ = ["Pair", "Parting", "first_parting", "largest_inside", "narrowest"]

Key = tuple[str, int, str]  # layer, its how-manieth call, "input" or "output"
Record = dict[Key, Tensor]  # in order


@dataclass(frozen=True)
class Pair:
    """A model and its network, as they are run; `copied`: both are copies made for that."""

    model: nn.Module
    network: FullyConvolutional
    like: Tensor
    copied: bool


@dataclass(frozen=True)
class Parting:
    """A layer, whether already its "input" differs, and by how much of its largest number."""

    layer: str
    field: str
    off: float


def first_parting(
    pair: Pair, images: Tensor, cell: tuple[int, ...] | None, tolerance: float, unread: bool
) -> Parting | None:
    """Return the first layer that differs by more than `tolerance`, a sure one if there is one.

    At the window; or, with `cell`, between the images and their crop for that cell. `unread`: some
    layers differ in cells that no later layer reads, so what is followed by an agreement is passed.
    """
    names = {name for name, _ in pair.model.named_modules()}
    graph = pair.network.network
    dense = _record(graph, images, names)
    if cell is None:
        sides = _beside(_record(pair.model, images, names), dense)
    else:
        window = images[pair.network.crop(cell)]
        larger = []
        for dim, step in enumerate(pair.network.stride, 2):
            more = [0, 0] * (window.ndim - 1 - dim) + [0, step]
            larger.append(_record(graph, functional.pad(window, more), names))
        sides = _within(_record(graph, window, names), dense, larger, cell)
    partings: dict[bool, Parting] = {}  # by whether it is sure
    for (layer, _, field), off, sure in sides:
        if off > tolerance:
            partings.setdefault(sure, Parting(layer, field, off))
        elif unread:
            partings.clear()
        else:
            partings.pop(False, None)
    return partings.get(True) or partings.get(False)


def largest_inside(pair: Pair, images: Tensor) -> float:
    """Return the largest finite number that the model's layers take or give."""
    names = {name for name, _ in pair.model.named_modules()}
    values = _record(pair.model, images, names).values()
    return max(
        (float(v.double().nan_to_num(0, 0, 0).abs().max()) for v in values if v.numel()),
        default=0.0,
    )


def narrowest(pair: Pair, images: Tensor) -> torch.dtype:
    """Return the least precise floating-point dtype that either computes with."""
    mode = Dtypes()
    with mode:
        pair.model(images)
        pair.network(images)
    return max((images.dtype, *mode.seen), key=unit)


def _record(program: nn.Module, images: Tensor, names: Collection[str]) -> Record:
    """Run a program and return what its layers of these names took and gave."""
    record: Record = {}
    calls: Counter[str] = Counter()

    def note(call: LayerCall) -> None:
        # a layer called twice may be two, name and name_2
        name = call.site if call.site in names else re.sub(r"_\d+$", "", call.site)
        if not name or name not in names:
            return
        calls[name] += call.outputs is None
        field, tensors = (
            ("input", call.inputs) if call.outputs is None else ("output", call.outputs)
        )
        if tensors:  # cloned, since a later layer may write into it
            record[name, calls[name], field] = tensors[0].detach().clone()

    with suppress(Exception), watched(program, note):  # up to where it fails
        program(images)
    return record


def _beside(mine: Record, theirs: Record) -> Iterator[tuple[Key, float, bool]]:
    """Yield how far each layer's values lie apart, laid on each other as fits them best.

    The network has channels first; the same elements in another order are compared in order of
    size. It may have cells between the model's, so that only an agreement is sure.
    """
    for key, own in mine.items():
        if key not in theirs:
            if key[:2] in {other[:2] for other in theirs}:  # it took its input, and failed
                yield key, inf, True
            continue
        dense = theirs[key]
        if own.shape == dense.shape:
            yield key, relative(own, dense), True
        elif own.numel() == dense.numel():
            flat = (side.double().flatten(1).sort().values for side in (own, dense))
            yield key, relative(*flat), True
        else:
            offs = [relative(own, cells) for cells in _ways(own, dense)]
            yield key, min(offs, default=inf), False


def _ways(own: Tensor, dense: Tensor) -> Iterator[Tensor]:
    """Yield the cells of a grid that may be those of a map: every step-th, for every step."""
    if own.ndim not in (2, dense.ndim) or own.shape[:2] != dense.shape[:2]:
        return
    sizes = list(itertools.zip_longest(own.shape[2:], dense.shape[2:], fillvalue=1))
    # n cells, s apart, need (n - 1)·s + 1 of the grid's: s is at most (grid - 1)/(n - 1).
    steps = [range(1, (grid - 1) // (n - 1) + 1) if n > 1 else (1,) for n, grid in sizes]
    for way in itertools.product(*steps):
        cells = [slice(0, (n - 1) * s + 1, s) for (n, _), s in zip(sizes, way, strict=True)]
        index: tuple[Any, ...] = (..., *cells)
        yield dense[index].reshape(own.shape)


def _within(
    small: Record, large: Record, larger: Sequence[Record], cell: tuple[int, ...]
) -> Iterator[tuple[Key, float, bool]]:
    """Yield how far each layer's values for a crop are from that part of those for the images.

    `larger` are those for the crop made larger by one stride, in one dimension after the other.
    """
    for key, own in small.items():
        part = large.get(key)
        if part is None or part.ndim != own.ndim:
            continue
        # One stride of the image is as many cells of this layer as it has more on an image that is
        # larger by one stride; window `index` begins index times as many cells from the first.
        start = [0] * own.ndim
        for record, index in zip(larger, cell, strict=True):
            grown = record.get(key, own)
            for axis, (more, n) in enumerate(zip(grown.shape, own.shape, strict=True)):
                start[axis] += index * (more - n)
        for axis, n in enumerate(own.shape):
            part = part.narrow(
                axis, (at := min(start[axis], part.shape[axis])), min(n, part.shape[axis] - at)
            )
        yield key, relative(own, part), True
