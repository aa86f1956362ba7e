"""What fits into the memory: how many rows at once, how wide a strip, how many windows.

The parts of a process's memory:

| part | is |
|---|---|
| base | interpreter, libraries and weights |
| decoding | what the source says that its reader holds |
| pixels | the box that is read, as it lies in the file |
| run | what the method holds at once |
| result | a task's cells, three times: as rows that come, as an array, as a shard that is packed |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from convlin.display.numbers import bytes_of
from convlin.errors import Description, Refusal, Refused
from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.settings import Settings

__all__ = ["COPIES", "Limit", "Memory", "fitting", "settings_in_bands", "settings_of_cells"]

COPIES = 3  # of a task's cells at once, see above
# Bytes of a task's cells: half makes twice as many files, twice is lost where a run is killed.
STORED = 2**24
# Tasks along a strip at least: fewer, and a killed run loses much of what it has done.
ROWS = 16
# Rows of pixels in a band: half and twice take longer for EfficientNet-Lite0 and MobileNetV2.
BAND = 64
# A task's pixels along an axis, in windows and at least: what tasks share is computed twice.
WINDOWS, PIXELS = 16, 2048
# Shares of the room that a tile's run is given; its pixels take the rest. Half of it is enough for
# models of a few layers, the last for those that keep nothing but pixels.
SHARES = (0.9, 0.7, 0.45, 0.2)


@dataclass(frozen=True)
class Memory:
    """Bytes of each part."""

    base: int
    decoding: int
    pixels: int
    run: int
    result: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(asdict(self).values())

    def __str__(self) -> str:
        return ", ".join(f"{name} {bytes_of(value)}" for name, value in asdict(self).items())


def settings_in_bands(grid: CellGrid, cell_bytes: int, asked: Settings) -> Iterator[Settings]:
    """Yield how bands may be cut, from what runs best to what takes least.

    What is asked for already (a task, a band) stays. cell_bytes: of one cell of the result.
    """
    step = grid.stride[0]
    rows, *others = grid.counts
    for parts in _parts(others):
        strip = tuple(-(-n // part) for n, part in zip(others, parts, strict=True))
        tall = min(STORED // (cell_bytes * math.prod(strip)), -(-rows // ROWS))
        for band in [asked.band] if asked.band else _bands(step):
            yield replace(asked, task=asked.task or (max(1, tall), *strip), band=band)
        if asked.task:
            return


def settings_of_cells(
    grid: CellGrid, cell_bytes: int, asked: Settings, room: int, least: int
) -> Iterator[Settings]:
    """Yield how windows of their own may be cut, from what shares most to what takes least.

    room: bytes that a tile and its pixels may take; least: bytes that one window takes.
    """
    task = asked.task or tuple(
        min(n, max(1, (max(WINDOWS * p, PIXELS) - p) // s + 1))
        for n, p, s in zip(grid.counts, grid.window, grid.stride, strict=True)
    )
    while True:
        if asked.task or math.prod(task) * cell_bytes <= STORED or max(task) == 1:
            for share in SHARES:
                yield replace(asked, task=task, memory=asked.memory or int(share * room))
        if asked.task or max(task) == 1:
            yield replace(asked, task=task, memory=asked.memory or least)
            return
        axis = max(range(len(task)), key=task.__getitem__)
        task = (*task[:axis], -(-task[axis] // 2), *task[axis + 1 :])


@dataclass(frozen=True)
class Limit:
    """Bytes that all may take: `processes` alike, and `own` ones of the process that leads them."""

    whole: int
    processes: int = 1
    own: int = 0

    @property
    def each(self) -> int:
        """Bytes that one process may take."""
        return max(0, (self.whole - self.own) // self.processes)

    def wanted(self, each: int) -> int:
        """Return what all take if one process takes so much, rounded up so that it fits."""
        whole = self.own + self.processes * each
        digits: int = 10 ** max(0, len(str(whole)) - 3)
        return -(-whole // digits) * digits


def fitting(
    settings: Iterator[Settings], memory_of: Callable[[Settings], Memory], limit: Limit
) -> tuple[Settings, Memory]:
    """Return the first that fits, and what it takes; raise `Refused`: what the smallest takes."""
    least: Memory | None = None
    failure: Refused | None = None
    for each in settings:
        try:
            memory = memory_of(each)
        except Refused as refused:  # not even one window fits
            failure = refused
            continue
        if memory.total <= limit.each:
            return each, memory
        least = memory if least is None or memory.total < least.total else least
    if least is None:
        assert failure is not None
        raise failure
    allowed = f"{bytes_of(limit.wanted(least.total))} or more"
    said = str(least)
    if limit.processes > 1 or limit.own:
        said = f"{limit.processes} processes of: {said}; this one {bytes_of(limit.own)}"
    value = Description(bytes_of(limit.whole))
    raise Refused(Refusal("scan", "memory", value, allowed, said))


def _bands(step: int) -> list[int]:
    """Return numbers of rows in a band, multiples of the stride, from many to few."""
    most = max(1, BAND // step)
    found = [most]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return [step * n for n in found]


def _parts(counts: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield into how many strips the axes behind the first are cut: none first."""
    parts = [1] * len(counts)
    while True:
        yield tuple(parts)
        sizes = [-(-n // part) for n, part in zip(counts, parts, strict=True)]
        if not sizes or max(sizes) == 1:
            return
        axis = max(range(len(sizes)), key=sizes.__getitem__)
        parts[axis] = min(counts[axis], 2 * parts[axis])
