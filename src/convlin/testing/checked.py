"""What a check found: how a conversion answered to each layer it was tried on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from convlin.display.blocks import Block, Column, Table, Toned
from convlin.display.shown import Shown
from convlin.testing.answer import KINDS_OF_ANSWER, Answer
from convlin.testing.traits import TRAITS, traits

__all__ = ["FEW", "Checked"]

FEW = 3
"""Reasons of refusals that are shown; `Checked.reasons` has all. One would hide a second kind of
refusal, and each takes a line or two of a failure that is to be read at a glance."""


@dataclass(frozen=True)
class Checked(Shown):
    """A conversion's answers to every layer it was tried on; as text, what was tried.

    left_out: how many layers `where` kept from it. The rows of `table` count layers, and a layer
    stands in every row that says something of it.
    """

    name: str
    answers: tuple[Answer, ...]
    left_out: int = 0

    def count(self, kind: str) -> int:
        """Return how many answers are of a kind: right, refused, measured or broken."""
        return sum(answer.kind == kind for answer in self.answers)

    @property
    def converted(self) -> int:
        """How many layers were converted, and not wrongly."""
        return self.count("right") + self.count("measured")

    @property
    def summary(self) -> str:
        """What was tried, in one line.

        >>> Checked("f", ()).summary
        'tried 0 layers'
        """
        kinds = [f"{n} {kind}" for kind in KINDS_OF_ANSWER if (n := self.count(kind))]
        ways = len({answer.way for answer in self.answers if answer.kind == "broken"})
        if ways > 1:  # broken is the last of the kinds
            kinds[-1] += f" in {ways} ways"
        left_out = f", {self.left_out} left out by where=" if self.left_out else ""
        tried = f"tried {_layers(len(self.answers))}"
        return f"{tried}: {', '.join(kinds)}{left_out}" if kinds else f"{tried}{left_out}"

    @property
    def reasons(self) -> list[str]:
        """What refusals said, the most frequent first, and how often."""
        counted = Counter(answer.reason for answer in self.answers if answer.kind == "refused")
        return [f"{reason} ({count}×)" for reason, count in counted.most_common()]

    @property
    def table(self) -> Table:
        """How many layers of each trait were tried, and how they were answered."""
        rows: dict[str, Counter[str]] = {"all": Counter(), **{trait: Counter() for trait in TRAITS}}
        for answer in self.answers:
            for trait in ("all", *traits(answer.case)):
                rows[trait].update(["tried", answer.kind])
        columns = ["tried", *(kind for kind in KINDS_OF_ANSWER if self.count(kind))]
        return Table(
            [Column("layers", "layers"), *(Column(c, c, _or_none, "right") for c in columns)],
            [
                {"layers": trait, **{column: counts[column] for column in columns}}
                for trait, counts in rows.items()
                if counts["tried"]
            ],
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts, the table and the reasons as plain values, for JSON."""
        counts: dict[str, int] = {kind: self.count(kind) for kind in KINDS_OF_ANSWER}
        return {"tried": len(self.answers), **counts, "left_out": self.left_out,
                "table": self.table.as_dicts(), "refusals": self.reasons}  # fmt: skip

    def _blocks(self, width: int | None = None) -> list[Block]:
        blocks: list[Block] = [[Toned(self.name, "strong"), f": {self.summary}"], self.table]
        if self.reasons:
            blocks += ["refusals", *(f"  {reason}" for reason in self.reasons[:FEW])]
        return blocks


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"


def _or_none(count: int) -> str:
    return str(count) if count else ""
