"""A model and its network, side by side on the same noise.

In float64, where rounding is about 1e-13 in deep networks, 1e-10 of the largest output is a
difference. In any other dtype it is √u, half of the digits, or 4096·u in float32: the rounding of a
network is about Σ√nₗ·u, over layers that sum nₗ products (Higham and Mary, "A new approach to
probabilistic rounding error analysis", 2019), which is 1000·u for VGG-16.

An output that hardly varies from one input to another would hide a fault, so it is not counted as
seen: what moves it by a hundredth of what the inputs move it must be above the tolerance.
"""

from __future__ import annotations

import itertools
from math import inf, prod, sqrt

import torch
from torch import Tensor

from convlin.errors import Description, Refusal, Refused, one_line
from convlin.models.dense.network import at_cells, crops
from convlin.models.dense.parting import (
    Pair,
    Parting,
    first_parting,
    largest_inside,
    narrowest,
)
from convlin.models.differences import relative
from convlin.models.seen_run import AgainstModel
from convlin.models.trace import tensors_in
from convlin.numerics.roundoff import unit

__all__ = ["Comparison"]

# See above. A weight that is wrong by one rounding to float32, 6e-8, is seen where it makes a six
# hundredth of the largest output; a model that rounds more would be refused at half of it.
TOLERANCE = 1e-10
# Two images, since one cannot be mixed with another; and heavy tails, for activations that agree
# around 0 alone.
BATCHES = (("normal", 2), ("heavy-tailed", 1))
HEAVIEST = 1e3  # what those are cut at: 27 products by weights below 1 stay below float16's 65504
CROPS = 6  # all cells of a larger image in two dimensions, every second one in three; each is a run
AT_ONCE = 2  # crops in one batch: a wrong order in it is seen from two on, memory grows with it
# How far above the tolerance inputs must move an output that counts as seen: a fault that changes a
# hundredth of the movement is then found. At half, a fiftieth; at double, more outputs are unseen.
VARYING = 100
# Roundings of the largest number inside that explain an output next to nothing: the 1000·u above.
# Half would refuse such an output of VGG-16; double would pass twice the difference.
ROUNDINGS = 2**10


class Comparison:
    """A model and its network, run on one batch after another."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._tolerance = TOLERANCE if pair.copied else sqrt(unit(pair.like.dtype))
        self._draw = torch.Generator().manual_seed(0)
        self._outputs: list[list[Tensor]] = []  # the model's, for every batch of windows
        self._drowned: set[int] = set()  # which of them are nothing but rounding

    def made(self, exact: bool) -> AgainstModel:
        """Compare at the window, then on the crops of a larger image."""
        at_window = self._at_window()
        windows = self._windows
        if not windows:
            return AgainstModel(why="the model raises an error on noise")
        on_crops = self._on_crops(exact)
        outputs, unseen = self._variation()
        return AgainstModel(
            windows=self._windows if exact else windows,
            dtype=str(self._pair.like.dtype).removeprefix("torch."),
            difference=max(at_window, on_crops) if exact else at_window,
            crops=None if exact else on_crops,
            outputs=outputs,
            unseen=unseen,
        )

    @property
    def _windows(self) -> int:
        return sum(len(leaves[0]) for leaves in self._outputs)

    def _at_window(self) -> float:
        """Return how far the two are apart on batches of windows."""
        network, off = self._pair.network, 0.0
        for kind, count in BATCHES:
            images = self._noise(kind, (count, *network.window))
            own = self._model(images)
            if own is not None:
                dense = self._network(images)
                self._require_cells(dense, own, images, (1,) * len(network.stride))
                there = [leaf.reshape(mine.shape) for leaf, mine in zip(dense, own, strict=True)]
                off = max(off, self._apart(own, there, images, None))
        return off

    def _on_crops(self, exact: bool) -> float:
        """Return how far the crops of a larger image are off; an error if `exact` and they are."""
        network, off = self._pair.network, 0.0
        sides = zip(network.window[1:], network.stride, strict=True)
        # ⌊(size - n)/s⌋ + 1 cells: three in the first dimension, half a stride behind them; two in
        # each other, all of a stride but a pixel behind them.
        size = tuple(
            n + 2 * s + (s - 1) // 2 if dim == 0 else n + 2 * s - 1
            for dim, (n, s) in enumerate(sides)
        )
        images, cells = self._noise("normal", (1, network.window[0], *size)), network.cells(size)
        dense = self._network(images)
        every = list(itertools.product(*map(range, cells)))
        # evenly, the last one among them; two tell how far off an inexact network may be
        some = every[:: len(every) // -(CROPS if exact else AT_ONCE)]
        for batch in (some[i : i + AT_ONCE] for i in range(0, len(some), AT_ONCE)):
            own = self._model(crops(images, network.field, batch))
            if own is None:
                continue
            self._require_cells(dense, own, images, cells)
            for row, cell in enumerate(batch):
                mine = [leaf[row] for leaf in own]
                there = [
                    at_cells(leaf, [cell]).reshape(a.shape)
                    for leaf, a in zip(dense, mine, strict=True)
                ]
                off = max(off, self._apart(mine, there, images, cell, binding=exact))
        return off

    def _model(self, images: Tensor) -> list[Tensor] | None:
        """Return the model's outputs; None where it takes no such batch, which decides nothing."""
        try:
            leaves = tensors_in(self._pair.model(images.clone()))  # it may write into its input
        except Exception:
            if self._pair.copied:
                raise
            return None
        if len(images) == 1:  # a model may drop that axis
            leaves = [leaf if leaf.shape[:1] == (1,) else leaf[None] for leaf in leaves]
        self._outputs.append(leaves)
        return leaves

    def _network(self, images: Tensor) -> list[Tensor]:
        try:
            return tensors_in(self._pair.network(images.clone()))
        except Exception as error:
            if self._pair.copied:
                raise
            window = images[self._pair.network.crop((0,) * len(self._pair.network.stride))]
            parting = self._first_parting(window, None)
            raise self._refused(
                parting.layer, parting.field, one_line(error), "no error"
            ) from error

    def _apart(
        self, own: list[Tensor], there: list[Tensor], images: Tensor,
        cell: tuple[int, ...] | None, binding: bool = True,
    ) -> float:  # fmt: skip
        """Return how far outputs are apart; raise `Refused` if too far, and that is binding."""
        largest = 0.0
        for index, (mine, theirs) in enumerate(zip(own, there, strict=True)):
            off = relative(mine, theirs)
            if binding and off > self._tolerance:
                self._explain(images, cell, off, float(mine.double().abs().max()))
                if off > self._tolerance:
                    self._drowned.add(index)
                    continue
            largest = max(largest, off)
        return largest

    def _require_cells(
        self, dense: list[Tensor], own: list[Tensor], images: Tensor, cells: tuple[int, ...]
    ) -> None:
        """Raise `Refused` unless there is one output for each of the model's, of these cells."""
        for mine, leaf in itertools.zip_longest(own, dense):
            fits = None not in (mine, leaf) and (
                tuple(leaf.shape[-len(cells) :]) == cells
                and leaf.numel() * len(mine) == mine.numel() * prod(cells) * len(images)
            )
            if not fits:
                last = None if max(cells) == 1 else tuple(n - 1 for n in cells)
                self._explain(images, last, inf)

    def _explain(
        self, images: Tensor, cell: tuple[int, ...] | None, off: float, scale: float = inf
    ) -> None:
        """Return if rounding explains the difference; raise `Refused`, naming the layer, if not.

        It does where something inside is computed in less than float64, and where an output is
        next to nothing against what it is made of.
        """
        pair = self._pair
        window = images if cell is None else images[pair.network.crop(cell)]
        narrow = narrowest(pair, window)
        if unit(narrow) > unit(pair.like.dtype):
            self._tolerance = max(self._tolerance, sqrt(unit(narrow)))
        inside = ROUNDINGS * unit(pair.like.dtype) * largest_inside(pair, window)
        if off <= self._tolerance or off * scale <= inside:
            return
        where = "at the window" if cell is None else f"on the crop of window {cell}"
        parting = self._first_parting(images, cell, off)
        off_by = f"off by {parting.off:.2g} of its largest number {where}"
        fits = f"the model's, within {self._tolerance:.0e}"
        raise self._refused(parting.layer, parting.field, off_by, fits)

    def _first_parting(
        self, images: Tensor, cell: tuple[int, ...] | None, off: float = inf
    ) -> Parting:
        """Return the first layer that differs; the output of the whole if no layer does."""
        unread = any(row.equal and row.why for row in self._pair.network.report.rows)
        parting = first_parting(self._pair, images, cell, self._tolerance, unread)
        return parting or Parting(type(self._pair.model).__name__, "output", off)

    def _refused(self, layer: str, field: str, value: str, fits: str) -> Refused:
        reason = "the first layer where the two part when run, though they were derived to be equal"
        return Refused(Refusal(layer, field, Description(value), fits, reason))

    def _variation(self) -> tuple[int, int]:
        """Return the number of outputs, and of those that hardly vary from input to input."""
        outputs = unseen = 0
        for index, leaves in enumerate(zip(*self._outputs, strict=True)):
            rows = torch.cat([leaf.reshape(len(leaf), -1).double() for leaf in leaves])
            rows = rows.nan_to_num(0, 0, 0)
            spread = rows.amax(0) - rows.amin(0)
            outputs += rows.shape[1]
            still = spread <= VARYING * self._tolerance * rows.abs().max()
            unseen += rows.shape[1] if index in self._drowned else int(still.sum())
        return outputs, unseen

    def _noise(self, kind: str, shape: tuple[int, ...]) -> Tensor:
        """Return seeded noise; heavy-tailed: the quotient of two normal numbers, cut off."""
        noise, other = torch.randn((2, *shape), generator=self._draw, dtype=torch.float64).unbind()
        if kind == "heavy-tailed":
            noise = (noise / other).clamp(-HEAVIEST, HEAVIEST)
        return noise.to(self._pair.like.device, self._pair.like.dtype)
