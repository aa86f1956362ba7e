"""What was exchanged, layer by layer, whether it is proved, and whether output = sliding window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convlin.display.blocks import Block, Column, Table, Toned, Words
from convlin.display.shown import Shown
from convlin.models.seen_run import AgainstModel
from convlin.proof import Proved, Refuted, Verdict

__all__ = ["Deviation", "Report", "Row"]

NAMED = 4  # layers named where all is summed up: with twice as many it fills several lines


@dataclass(frozen=True)
class Row:
    """One layer: its exchange, the verdict on that, and whether windows stay equal (or why not)."""

    layer: str
    operation: str
    exchange: str
    verdict: Verdict | None
    equal: bool
    why: str

    @property
    def refuted(self) -> bool:
        """Whether its exchange was shown to be wrong."""
        return isinstance(self.verdict, Refuted)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return vars(self) | {"verdict": None if self.verdict is None else self.verdict.as_dict()}


@dataclass(frozen=True)
class Deviation:
    """The dense map against the classifier on crops of the same images, in their own dtype.

    `absolute` is the largest difference, `relative` the same over the largest score of that
    output, `argmax` the share of windows whose highest score is another one's.
    """

    absolute: float
    relative: float
    argmax: float
    windows: int

    def __str__(self) -> str:
        return (
            f"off by at most {self.absolute:.3g} ({self.relative:.2g} of the largest score), "
            f"argmax differs on {self.argmax:.2%} of {self.windows} windows"
        )


@dataclass(frozen=True)
class Report(Shown):
    """All rows; `exact` iff every window's output equals the classifier's on that crop."""

    rows: tuple[Row, ...]
    exact: bool
    deviation: Deviation | None
    parameters_before: int
    parameters_after: int
    seen: AgainstModel | None = None

    @property
    def summary(self) -> tuple[str, ...]:
        """The lines under the table."""
        breaking = [row.layer for row in self.rows if not row.equal or row.refuted]
        if self.exact:
            equal = "equal to the classifier on every window, up to rounding"
        else:
            more = f" and {len(breaking) - NAMED} more" if breaking[NAMED:] else ""
            some = ", ".join(breaking[:NAMED]) + more
            equal = f"not equal to the classifier on every window: {some}"
        return (
            f"output: {equal}",
            str(self.seen or "derived, not seen (check=False)"),
            f"measured: {self.deviation or 'not measured (no images given)'}",
            f"parameters: {self.parameters_before:,} before, {self.parameters_after:,} after",
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            **vars(self),
            "rows": self._table.as_dicts(),
            "deviation": self.deviation and vars(self.deviation),
            "seen": self.seen and vars(self.seen),
        }

    def _blocks(self, width: int | None = None) -> list[Block]:
        outcome, *rest = self.summary
        said = Toned(outcome, "good" if self.exact else "bad")
        return [self._table, "", *_proofs(self.rows), *_reasons(self.rows), said, *rest]

    @property
    def _table(self) -> Table:
        columns = [
            Column("layer", "layer"),
            Column("exchange", "", _exchange),
            Column("proof", "verdict", _proof),
            Column("equals sliding?", "equal", _equal),
        ]
        if all(row.verdict is None for row in self.rows):
            del columns[2]
        return Table(columns, self.rows)


def _exchange(row: Row) -> Words:
    if row.exchange == "kept":
        return Toned(f"{row.operation}, unchanged", "faint")
    return Toned(row.exchange, "strong")


def _proof(verdict: Verdict | None) -> Words:
    if verdict is None:
        return ""
    chance = isinstance(verdict, Proved) and f", p < {verdict.failure_probability:.1e}"
    return [Toned(verdict.kind, verdict.kind), chance or ""]


def _equal(equal: bool) -> Words:
    return Toned("yes", "good") if equal else Toned("no", "differs")


def _proofs(rows: Sequence[Row]) -> list[Block]:
    """Return each verdict in full once, behind the layers that it is about."""
    about: dict[str, tuple[Verdict, list[str]]] = {}
    for row in rows:
        if row.verdict is not None:
            about.setdefault(str(row.verdict), (row.verdict, []))[1].append(row.layer)
    return [
        [Toned(", ".join(layers), "strong"), " ", *verdict.words]
        for verdict, layers in about.values()
    ]


def _reasons(rows: Sequence[Row]) -> list[Block]:
    """Return each reason to differ once, behind the layers that it is about."""
    about: dict[str, list[str]] = {}
    for row in rows:
        if not row.equal:
            about.setdefault(row.why, []).append(row.layer)
    return [
        [Toned(", ".join(layers), "strong"), " ",
         Toned("differ" if layers[1:] else "differs", "differs"), f": {why}"]
        for why, layers in about.items()
    ]  # fmt: skip
