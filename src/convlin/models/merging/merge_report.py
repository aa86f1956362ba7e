"""One row a layer that has a neighbour to be merged into: merged, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convlin.display.blocks import Block, Column, Table, Toned, Words
from convlin.display.numbers import count
from convlin.display.shown import Shown
from convlin.errors import Refusal
from convlin.proof import Proved

__all__ = ["MergeReport", "MergeRow"]


@dataclass(frozen=True)
class MergeRow:
    """One layer, the one that it is merged with, or what stands against it.

    before, after: multiply-adds of the two for one input; 0 where it was not asked. identity: the
    proof of a merge into a layer of a subclass, whose code nobody here knows.
    """

    site: str
    layer: str
    neighbour: str = ""
    refusals: tuple[Refusal, ...] = ()
    before: int = 0
    after: int = 0
    identity: Proved | None = None

    @property
    def merged(self) -> bool:
        """Whether the layer is one with its neighbour."""
        return not self.refusals

    @property
    def why(self) -> str:
        """What stands against it."""
        return "; ".join(map(str, self.refusals))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return vars(self) | {
            "merged": self.merged,
            "refusals": [str(refusal) for refusal in self.refusals],
            "identity": self.identity and self.identity.as_dict(),
        }


@dataclass(frozen=True)
class MergeReport(Shown):
    """All rows, in the order in which the layers run."""

    rows: tuple[MergeRow, ...]

    @property
    def merged(self) -> int:
        """How many layers are one with a neighbour."""
        return sum(row.merged for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {"rows": [row.as_dict() for row in self.rows]}

    def __str__(self) -> str:
        return f"{self.merged} of {len(self.rows)} layers merged into a neighbour"

    def _blocks(self, width: int | None = None) -> Sequence[Block]:
        columns = (
            Column("layer", "site"),
            Column("class", "layer"),
            Column("answer", "", _answer),
            Column("with", "neighbour"),
            Column("multiply-adds", "", _cost, "right"),
        )
        refused = [row.why for row in self.rows if not row.merged]
        return [Table(columns, self.rows), *refused, str(self)]


def _answer(row: MergeRow) -> Words:
    return Toned("merged", "good") if row.merged else "not merged"


def _cost(row: MergeRow) -> str:
    return f"{count(row.before)} → {count(row.after)}" if row.before else ""
