"""What a scan gives back: its scores, where they lie, and what has no score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlin.arguments import shown
from convlin.display.blocks import Block, Column, Table, Toned
from convlin.display.numbers import bytes_of, times
from convlin.display.shown import Shown
from convlin.errors import Refusal, Refused
from convlin.scanning.places import CellPlaces
from convlin.scanning.plan.scan_plan import ScanPlan

__all__ = ["ScanResult", "result_of"]


@dataclass(frozen=True)
class ScanResult(Shown):
    """A finished scan: `result["scores"]` is an array (K, *cells), of Zarr or, in memory, NumPy.

    outside, no_data: windows without a score, NaN: outside the mask, on pixels without data or
    ones that cannot be read (`unreadable`, boxes of pixels). tasks: computed now, of all in `plan`;
    missing: not done yet, of a scan in shares. Scores that were written to a file are read there.
    `places` says where a cell lies. path: what was written, None in memory.
    """

    path: Path | None
    plan: ScanPlan
    places: CellPlaces
    arrays: Mapping[str, Any]
    seconds: float
    tasks: int
    outside: int
    no_data: int
    unreadable: tuple[Any, ...]
    missing: int = 0

    def __getitem__(self, name: str) -> Any:
        """Return an output's array by its name."""
        if name not in self.arrays:
            allowed = ", ".join(self.arrays) or f"{self.path} to be read: the scores are there"
            raise Refused(Refusal("ScanResult", "output", shown(name), allowed))
        return self.arrays[name]

    @property
    def megapixels_per_second(self) -> float:
        """How many pixels the tasks computed now have read, in millions."""
        share = self.tasks / self.plan.tasks
        return share * self.plan.pixels / 1e6 / max(self.seconds, 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the scores as plain values, for JSON."""
        return {
            "path": None if self.path is None else str(self.path),
            "plan": self.plan.as_dict(),
            "places": self.places.as_dict(),
            "seconds": self.seconds,
            "tasks": self.tasks,
            "missing": self.missing,
            "outside": self.outside,
            "no_data": self.no_data,
            "unreadable": self.unreadable,
            "megapixels_per_second": self.megapixels_per_second,
        }

    def _blocks(self, width: int | None = None) -> list[Block]:
        plan = self.plan
        arrays = ", ".join(
            f"{output.name} {times((*output.shape, *plan.cells))}" for output in plan.outputs
        )
        done = f"{self.tasks:,} of {plan.tasks:,} tasks"
        speed = f"{self.seconds:.1f} s, {self.megapixels_per_second:.3g} megapixels/s"
        rows: list[tuple[str, Any]] = [
            ("wrote", Toned(str(self.path or "into memory"), "good")),
            ("arrays", f"{arrays}, {plan.dtype}, {bytes_of(plan.written)} before packing"),
            ("computed", f"{done} in {speed}"),
        ]
        if self.missing:
            text = f"{self.missing:,} tasks: NaN until the other shares are run"
            rows.append(("not done", Toned(text, "caution")))
        if self.outside:
            rows.append(("NaN", f"{self.outside:,} windows outside the mask"))
        if self.no_data:
            text = f"{self.no_data:,} windows on pixels without data, or that cannot be read"
            rows.append(("NaN", text))
        if self.unreadable:
            many = len(self.unreadable)
            blocks = f"{many:,} blocks of pixels, the first" if many > 1 else "the pixels"
            text = f"{blocks} {self.unreadable[0]}"
            rows.append(("unreadable", Toned(text, "bad")))
        columns = (Column("", "what"), Column("", "said", lambda said: said))
        return [Table(columns, [{"what": what, "said": said} for what, said in rows])]


def result_of(
    path: Path | None, plan: ScanPlan, places: CellPlaces, arrays: Mapping[str, Any],
    seconds: float, tasks: int, notes: Sequence[Mapping[str, Any]],
) -> ScanResult:  # fmt: skip
    """Return a result; notes: of every task's marker."""
    return ScanResult(
        path, plan, places, arrays, seconds, tasks,
        outside=sum(note["outside"] for note in notes),
        no_data=sum(note["no_data"] for note in notes),
        unreadable=tuple(box for note in notes for box in note["unreadable"]),
        missing=plan.tasks - len(notes),
    )  # fmt: skip
