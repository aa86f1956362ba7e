"""One dimension's outputs as *runs*: evenly spaced ones that read by the same taps.

One output reads, along each dimension, a short list of pixels, each through one tap (or, where
padding repeats pixels, through several). Most outputs have the same list but for a shift; only
those whose window meets an edge differ, and strided transposed ones, which take turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

__all__ = ["Axis", "Run"]


@dataclass(frozen=True)
class Run:
    """Outputs of one dimension, evenly spaced, that read by the same taps.

    `taps` are sorted by the pixel they read, then by number. Those from `heads[i]` up to the next
    head are one entry, which stands on `pixels[:, i]` (outputs, entries). The first output's
    entries stand behind `before` others of this dimension, each further output's `step` later.
    """

    taps: Int[np.ndarray, " taps"]
    heads: Int[np.ndarray, " entries"]
    pixels: Int[np.ndarray, "outputs entries"]
    before: int
    step: int


class Axis:
    """One dimension: how many entries each output has there, and the outputs as runs.

    Made from a table of what each (output, tap) reads, -1 for none.
    """

    def __init__(
        self,
        taps: Int[np.ndarray, "outputs taps"],
        pixels: Int[np.ndarray, "outputs taps"],
        head: Bool[np.ndarray, "outputs taps"],
    ) -> None:
        self.counts: Int[np.ndarray, " outputs"] = head.sum(axis=1)
        self.total = int(self.counts.sum())
        self.runs = list(_runs(taps, pixels, head, self.counts))

    @classmethod
    def by_tap(cls, table: Int[np.ndarray, "outputs taps"]) -> Axis:
        """Make every tap that reads a pixel an entry of its own."""
        taps, pixels = _sorted(table)
        return cls(taps, pixels, taps >= 0)

    @classmethod
    def by_position(cls, table: Int[np.ndarray, "outputs taps"]) -> Axis:
        """Make the taps of one output that read the same pixel one entry."""
        taps, pixels = _sorted(table)
        head = taps >= 0
        head[:, 1:] &= pixels[:, 1:] != pixels[:, :-1]
        return cls(taps, pixels, head)


def _sorted(
    table: Int[np.ndarray, "outputs taps"],
) -> tuple[Int[np.ndarray, "outputs taps"], Int[np.ndarray, "outputs taps"]]:
    """Return taps and the pixels they read, both by pixel; taps that read none come last, as -1."""
    last = np.iinfo(table.dtype).max
    order = np.argsort(np.where(table < 0, last, table), axis=1, kind="stable")
    pixels = np.take_along_axis(table, order, axis=1)
    return np.where(pixels >= 0, order, -1), pixels


def _runs(
    taps: Int[np.ndarray, "outputs taps"],
    pixels: Int[np.ndarray, "outputs taps"],
    head: Bool[np.ndarray, "outputs taps"],
    counts: Int[np.ndarray, " outputs"],
) -> Iterator[Run]:
    """Yield the runs; outputs that read nothing are in none."""
    # Entries are stored output by output, so an output's stand behind all of those before it.
    before = np.cumsum(counts) - counts
    for alike in _alike(np.concatenate([taps, head], axis=1)):
        first = alike[0]
        if not counts[first]:
            continue
        read, heads = taps[first][taps[first] >= 0], np.flatnonzero(head[first])
        for start, stop in _even(before[alike]):
            outputs = alike[start:stop]
            step = int(before[outputs[1]] - before[outputs[0]]) if len(outputs) > 1 else 0
            yield Run(read, heads, pixels[outputs][:, heads], int(before[outputs[0]]), step)


def _alike(
    signature: Int[np.ndarray, "outputs marks"],
) -> Iterator[Int[np.ndarray, " some_outputs"]]:
    """Yield the outputs of each signature, ascending; signatures in the order they first appear.

    Most outputs have the signature of the one before, so only those where it changes are looked up.
    """
    changes = np.ones(len(signature), dtype=bool)
    changes[1:] = (signature[1:] != signature[:-1]).any(axis=1)
    starts = np.flatnonzero(changes)
    numbers: dict[bytes, int] = {}
    kinds = [numbers.setdefault(signature[start].tobytes(), len(numbers)) for start in starts]
    of_output = np.repeat(kinds, np.diff(starts, append=len(signature)))
    yield from np.split(
        np.argsort(of_output, kind="stable"), np.cumsum(np.bincount(of_output))[:-1]
    )


def _even(before: Int[np.ndarray, " outputs"]) -> Iterator[tuple[int, int]]:
    """Yield the ranges [start, stop) within which the numbers rise by even steps."""
    steps = np.diff(before)
    start = 0
    # Where the steps on either side of a number differ, a range ends behind it (hence + 2).
    for stop in (np.flatnonzero(steps[1:] != steps[:-1]) + 2).tolist():
        if stop - start < 2:  # the step from here on is the next range's
            continue
        yield start, stop
        start = stop
    yield start, len(before)
