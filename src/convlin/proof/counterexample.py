"""Shrink a difference to one input element and one output element.

First the zero input, which leaves only the biases; then ever smaller parts of the input, as in
delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input",
2002). Two linear functions that differ on an input differ on one of its halves too, so for them
this ends at a single element, and the two weights it meets are what the functions do to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from convlin.proof.outcome import Outcome
from convlin.proof.verdict import Counterexample, Kind

__all__ = ["Differ", "Pair", "Shrunk", "shrink"]

Pair = Callable[[Tensor], tuple[Outcome, Outcome]]
"""Both sides on a batch of inputs."""
Differ = Callable[[Outcome, Outcome], Tensor]
"""Which elements of the two outcomes differ: a flat bool tensor."""

BUDGET = 400
"""How many runs to spend on shrinking where the functions are not linear: seconds, for a layer of
milliseconds. Half of it leaves 56 of 1,000 elements where 4 matter; twice of it takes twice as long
where little can be taken away."""


@dataclass(frozen=True)
class Shrunk:
    """A smallest input on which two sides differ, and the output element that shows it."""

    kind: Kind
    x: Tensor
    outcomes: tuple[Outcome, Outcome]
    position: int
    output: tuple[int, ...]
    input: tuple[int, ...] | None
    note: str

    @property
    def numbers(self) -> tuple[float, float]:
        """The two output elements that differ."""
        mine, theirs = (float(side.numbers[self.position]) for side in self.outcomes)
        return mine, theirs

    def show(self, expected: object, got: object) -> Counterexample:
        """Return the counterexample, with the two numbers that differ."""
        return Counterexample(self.kind, expected, got, self.output, self.input, note=self.note)


def shrink(
    pair: Pair,
    differ: Differ,
    x: Tensor,
    seen: tuple[Outcome, Outcome],
    linear: bool,
    note: str = "",
    batched: bool = True,
) -> Shrunk:
    """Return the smallest difference found, starting from a batch `x` that shows one.

    seen: the outcomes that differed; shown as they are if one is NaN, as memory that was never
    written is, or if the difference does not show again. linear: both sides are affine in their
    input, so a single element will do. batched: the outputs have the batch's axis too.
    """

    def shows(candidate: Tensor) -> bool:
        mine, theirs = pair(candidate)
        return mine.parts_from(theirs) is None and bool(differ(mine, theirs).any())

    def shown(kind: Kind, x: Tensor, index: tuple[int, ...] | None, *words: str) -> Shrunk:
        mine, theirs = seen if x is start else pair(x)
        position = int(differ(mine, theirs).nonzero()[0])
        output = mine.index_of(position)
        if len(x) > 1:
            words = (*words, f"in a batch of {len(x)}, counted first")
        elif batched:
            first = len(mine.tensors) > 1  # behind the output's number
            output = output[:first] + output[first + 1 :]
        text = "; ".join(filter(None, (note, *words)))
        return Shrunk(kind, x, (mine, theirs), position, output, index, text)

    start = x
    if (seen[0].numbers.isnan() ^ seen[1].numbers.isnan()).any():
        return shown("value", start, None, "NaN on one side only")
    if not shows(start):
        return shown("value", start, None, "in the first run only")
    for sample in range(len(x)):
        if len(x) > 1 and shows(x[sample : sample + 1]):
            x = x[sample : sample + 1]
            break
    if shows(torch.zeros_like(x)):
        return shown("bias", torch.zeros_like(x), None)
    x = _smallest(shows, x)
    support = x.nonzero()
    if len(support) > 1:
        return shown("value", x, None, f"{len(support)} inputs are not 0")
    full_index = tuple(support[0].tolist())
    index = full_index[1:] if len(x) == 1 else full_index
    unit = (x != 0).to(x.dtype)
    if linear and shows(unit):
        return shown("weight", unit, index)
    return shown("value", x, index, f"input {index} is {x[full_index].item():g}, the others 0")


def _smallest(shows: Callable[[Tensor], bool], x: Tensor) -> Tensor:
    """Return `x` with as many elements set to 0 as leaves the difference showing."""
    # ddmin: try each piece, then each complement, else cut finer; in the end no single element can
    # be taken away. Of a linear difference some piece differs too: log₂ n rounds.
    support, parts, runs = x.flatten().nonzero().flatten(), 2, 0

    def only(positions: Tensor) -> Tensor:
        masked = torch.zeros_like(x).flatten()
        masked[positions] = x.flatten()[positions]
        return masked.view(x.shape)

    while len(support) > 1 and runs < BUDGET:
        pieces = list(support.chunk(parts))
        rests = [torch.cat(pieces[:i] + pieces[i + 1 :]) for i in range(len(pieces))]
        for candidate in pieces + (rests if len(pieces) > 2 else []):
            runs += 1
            if shows(only(candidate)):
                parts = 2 if len(candidate) <= len(pieces[0]) else max(2, len(pieces) - 1)
                support = candidate
                break
        else:
            if len(pieces) == len(support):
                break
            parts = min(2 * parts, len(support))
    return only(support)
