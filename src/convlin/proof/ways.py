"""Ways to hand an input over: one program may take different steps in each.

A program sees more than numbers: how many inputs come at once, how they lie in memory, whether
gradients are recorded. Each of these is a factor with a few levels; a *round* is a handful of
ways in which every level of every factor occurs, combined at random (a Latin hypercube: McKay,
Beckman and Conover, 1979). Its first way is the plain one, so that what differs everywhere is
shown without a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from convlin.proof.draws import Draws

__all__ = ["EMPTY", "PLAIN", "UNBATCHED", "Way", "batches_for", "in_words", "one_round"]

BATCHES = (3, 1, 2, 5)
BATCHES_OF_LARGE = (2, 1)
LARGE = 2**20
"""Of inputs with more elements than this, at most two are run at once: five of them are 40 MiB in
float64, and what a convolution unfolds of them is that times its taps. Half of it mixes up five
images of a megapixel unseen; twice of it takes twice the memory."""
EXPANDED = ("expanded batch", "expanded channels")
LAYOUTS = ("contiguous", "transposed", *EXPANDED, "channels_last")
MODES = ("no gradients", "gradients", "a learning input", "inference mode")
OFFSETS = range(1, 65)
"""Every offset modulo 64 numbers, 256 bytes in float32: no kernel asks for a wider alignment. Half
of them leave alignments out; twice as many are the same ones again."""


@dataclass(frozen=True)
class Way:
    """How an input is handed over.

    batch: how many inputs at once; None for one without a batch's axis. layout: how they lie in
    memory; "expanded" is stride 0, as `expand` makes it, "transposed" has the last two axes the
    other way round. mode: what autograd does meanwhile. offset: how many numbers behind the
    start of their storage they begin.

    >>> Way(2, "transposed").hand(torch.arange(24.0).view(4, 2, 3)).stride()
    (6, 1, 2)
    >>> Way(2, "expanded batch", offset=7).hand(torch.ones(3, 5)).stride()
    (0, 1)
    """

    batch: int | None = 3
    layout: str = "contiguous"
    mode: str = "no gradients"
    offset: int = 0

    def taken(self, x: Tensor) -> Tensor:
        """Return the inputs of a batch `x` that this way uses."""
        return x[: 1 if self.batch is None else self.batch]

    def hand(self, x: Tensor) -> Tensor:
        """Return a copy of those inputs, laid out in this way."""
        x = x.detach()[0] if self.batch is None else self.taken(x.detach())
        strides = self._strides(x)
        # The last element lies (n - 1) steps along every axis, and one number more is the extent.
        # Along an axis of stride 0 all elements are one number: only the first of them is written.
        extent = 1 + sum((n - 1) * step for n, step in zip(x.shape, strides, strict=True))
        start = self.offset if x.numel() else 0
        memory = x.new_empty(start + extent if x.numel() else 0)
        handed = torch.as_strided(memory, x.shape, strides, start)
        once = tuple(slice(1 if step == 0 else None) for step in strides)
        handed[once].copy_(x[once])
        if self.mode == "a learning input":  # no leaf, so that a program may work in place on it
            memory = memory.requires_grad_().clone()
            handed = torch.as_strided(memory, handed.shape, strides, handed.storage_offset())
        return handed

    def _strides(self, x: Tensor) -> tuple[int, ...]:
        like = torch.empty(x.shape, device="meta")
        match self.layout:
            case "channels_last":
                form = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
                return like.contiguous(memory_format=form).stride()
            case "transposed":
                return like.mT.contiguous().mT.stride()
            case "expanded batch":
                return (0, *like.stride()[1:])
            case "expanded channels":
                return (like.stride(0), 0, *like.stride()[2:])
        return like.stride()

    @contextmanager
    def grad_mode(self) -> Iterator[None]:
        """Put autograd into this way's mode."""
        with (
            torch.inference_mode(self.mode == "inference mode"),
            torch.set_grad_enabled(self.mode in ("gradients", "a learning input")),
        ):
            yield

    @property
    def usual(self) -> bool:
        """Whether this is the first way of a round, but for the batch."""
        return Way(self.batch) == self and self.batch in (BATCHES[0], BATCHES_OF_LARGE[0])

    @property
    def note(self) -> str:
        """How this way differs from the plain one, in words; "" if it does not."""
        return str(self) if self != PLAIN else ""

    def __str__(self) -> str:
        words = "one unbatched input" if self.batch is None else f"a batch of {self.batch}"
        words += f", {self.layout}" * (self.layout != "contiguous")
        return f"{words}, {self.mode}" if self.mode != "no gradients" else words


PLAIN, UNBATCHED, EMPTY = Way(), Way(None), Way(0)


def batches_for(shape: Sequence[int]) -> tuple[int, ...]:
    """Return how many inputs of this shape to run at once, the plain number first."""
    return BATCHES if prod(shape) <= LARGE else BATCHES_OF_LARGE


def one_round(draws: Draws, shape: Sequence[int]) -> list[Way]:
    """Return ways to hand over inputs of this shape, every level of every factor among them.

    Every layout and every mode meets several samples that all differ: one sample, and what is
    repeated as `expand` does, hide how samples or channels are mixed up, and come on top.
    """
    batches = batches_for(shape)
    several = [batch for batch in batches if batch > 1]
    innermost = "channels_last" if len(shape) + 1 in (4, 5) else "contiguous"
    repeated = several[:1] * (len(MODES) - len(several))
    sizes = [batches[0], *draws.shuffled([*several[1:], *repeated])]
    layouts = ["contiguous", *draws.shuffled(["transposed", innermost, "contiguous"])]
    modes = [MODES[0], *draws.shuffled(MODES[1:])]
    some = draws.shuffled(OFFSETS)
    offsets = [0, *draws.shuffled([some[0], some[1], 0])]
    others = draws.shuffled(MODES)
    # Each factor is a list in which every level occurs, shuffled by itself: side by side they cover
    # all levels in as many ways as the longest has, and pair levels of two factors by chance.
    return [
        *map(Way, sizes, layouts, modes, offsets),
        Way(1, "contiguous", others[0], some[2]),
        *(Way(batches[0], *rest) for rest in zip(EXPANDED, others[1:], some[3:], strict=False)),
    ]


def in_words(*rounds: Iterable[Way]) -> str:
    """Return what was varied in each of these rounds.

    >>> one = [Way(1), Way(2, "transposed", "gradients"), Way(5, mode="inference mode")]
    >>> in_words(one[1:])
    'batches of 2 and 5, contiguous and transposed, with gradients, in inference mode'
    >>> in_words(one, one[:2])
    'batches of 1 and 2, contiguous and transposed, with and without gradients'
    """
    sizes, layouts, modes = (
        set.intersection(*({getattr(way, factor) for way in ways} for ways in map(list, rounds)))
        for factor in ("batch", "layout", "mode")
    )
    counted = sorted(size for size in sizes if size)
    batches = f"batch{'es' * (len(counted) > 1)} of {_listed(map(str, counted))}"
    if layouts >= set(EXPANDED):
        layouts = layouts - set(EXPANDED) | {"expanded"}
    laid = _listed(name for name in (*LAYOUTS, "expanded") if name in layouts)
    recorded = "with" * bool(modes & {"gradients", "a learning input"})
    silent = "without" * ("no gradients" in modes)
    gradients = f"{' and '.join(filter(None, (recorded, silent)))} gradients"
    inference = ", in inference mode" * ("inference mode" in modes)
    return f"{batches}, {laid}, {gradients}{inference}"


def _listed(words: Iterable[str]) -> str:
    *most, last = words or [""]
    return f"{', '.join(most)} and {last}" if most else last
