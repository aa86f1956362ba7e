"""What a scan will do and take, for a person, before it begins."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from convlin.display.blocks import Block, Column, Table, Toned
from convlin.display.numbers import bytes_of, count, times
from convlin.display.shown import Shown
from convlin.scanning.plan.budget import Memory
from convlin.scanning.plan.contract import Output

__all__ = ["ScanPlan"]


@dataclass(frozen=True)
class ScanPlan(Shown):
    """Windows, method, tasks, and what they take; integers only.

    semantics: what a score means. why: why it is computed so. field: pixels [start, stop) along
    each axis that the first cell really reads. pixels: read in all, `cold` of them besides by each
    further process. written: bytes of the result, unpacked. memory: bytes of one process by part;
    processes: how many run at once. notes: what is worth knowing before it begins.
    """

    source: str
    size: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]
    semantics: str
    method: str
    why: str
    cells: tuple[int, ...]
    unreached: int
    task: tuple[int, ...]
    tasks: int
    band: int
    threads: int
    processes: int
    multiply_adds: int
    pixels: int
    cold: int
    read: int
    outputs: tuple[Output, ...]
    dtype: str
    written: int
    memory: Memory
    limit: int
    preprocessing: str = ""
    field: tuple[tuple[int, int], ...] = ()
    seen: str = ""
    notes: tuple[str, ...] = ()

    @property
    def windows(self) -> int:
        """How many windows are scanned."""
        total = 1
        for n in self.cells:
            total *= n
        return total

    @property
    def offset(self) -> tuple[float, ...]:
        """How far the middle of what a cell reads lies behind the middle of its window."""
        if not self.field:
            return ()
        return tuple(
            (start + stop - size) / 2
            for (start, stop), size in zip(self.field, self.window, strict=True)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        memory = asdict(self.memory) | {"total": self.memory.total}
        more = {"windows": self.windows, "offset": self.offset, "memory": memory}
        return asdict(self) | more

    def _blocks(self, width: int | None = None) -> list[Block]:
        arrays = ", ".join(
            f"{output.name} {times((*output.shape, *self.cells))}" for output in self.outputs
        )
        many = f", {self.processes} processes of" if self.processes > 1 else ","
        rows = [
            ("source", self.source),
            ("pixels", self.preprocessing),
            ("windows", f"{self.windows:,} ({times(self.cells)}) of {times(self.window)} pixels, "
                        f"every {times(self.stride)}"),
            ("scores are", MEANING[self.semantics]),
            ("method", f"{self.method}: {self.why}"),
            ("tasks", f"{self.tasks:,} of {times(self.task)} cells"
                      + (f", in bands of {self.band} rows" if self.band else "")
                      + f"{many} {self.threads} thread{'s' * (self.threads > 1)}"),
            ("multiply-adds", count(self.multiply_adds)),
            ("reads", f"{self.pixels:,} pixels, {bytes_of(self.read)}"
                      + (f"; each further start {self.cold:,} more" if self.cold else "")),
            ("writes", f"{arrays}, {self.dtype}: {bytes_of(self.written)} before packing"),
            ("memory", _memory(self)),
        ]  # fmt: skip
        if any(self.offset):
            start, stop = zip(*self.field, strict=True)
            sides = times(tuple(b - a for a, b in zip(start, stop, strict=True)))
            off = ", ".join(f"{n:+g}" for n in self.offset)
            rows.append(
                ("placed", f"at its window's middle; it reads {sides} pixels, whose middle lies "
                           f"{off} from there")
            )  # fmt: skip
        notes: list[tuple[str, Any]] = [("note", Toned(note, "caution")) for note in self.notes]
        if self.unreached:
            text = f"{self.unreached:,} pixels are in no window (edges='pad' reaches them)"
            notes.append(("note", Toned(text, "caution")))
        if self.seen:
            notes.append(("seen", self.seen))
        columns = (Column("", "what"), Column("", "said", lambda said: said))
        table = [{"what": what, "said": said} for what, said in (*rows, *notes)]
        return [Table(columns, table)]


MEANING = {
    "window": "the classifier's on each window alone, its padding included",
    "image": "the network's on the whole image, which pads at the image's border alone",
}


def _memory(plan: ScanPlan) -> str:
    parts = ", ".join(f"{name} {bytes_of(n)}" for name, n in asdict(plan.memory).items())
    each = plan.memory.total
    total = f"{bytes_of(each)}" if plan.processes == 1 else f"{plan.processes} × {bytes_of(each)}"
    return f"{total} of {bytes_of(plan.limit)} ({parts})"
