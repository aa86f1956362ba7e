"""One row a site: exchanged, not exchanged, read and not called, called and read, not reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from convlin.display.blocks import Block, Column, Table, Toned, Words
from convlin.display.shown import Shown
from convlin.errors import Refusal
from convlin.models.permutes.permutes import Permutes
from convlin.models.rewrite.calls_and_reads import Reader
from convlin.proof import Proved, Refuted, Verdict

__all__ = ["Answer", "RewriteReport", "RewriteRow", "SeenOutputs"]

Answer: TypeAlias = Literal[
    "exchanged", "not exchanged", "read, not called", "called and read", "not reached"
]
NAMED = 4  # sites named where a reason is given once
TONES: dict[str, Any] = {"exchanged": "good", "called and read": "caution"}


@dataclass(frozen=True)
class RewriteRow:
    """One site: its layer's class, what became of it, by which identity, or why not.

    exchange: the identity's name, also where the layer was read besides; "" if it stays as it is.
    seen: whether it was called in the run on the example; None: nobody looked.
    """

    site: str
    layer: str
    answer: Answer
    exchange: str = ""
    verdict: Verdict | None = None
    refusals: tuple[Refusal, ...] = ()
    readers: tuple[Reader | str, ...] = ()
    seen: bool | None = None
    note: str = ""

    @property
    def exchanged(self) -> bool:
        """Whether the layer has, or will have, another form."""
        return bool(self.exchange)

    @property
    def why(self) -> str:
        """What stands against the exchange, or who reads the layer."""
        read = f"read by {', '.join(map(str, self.readers))}" if self.readers else ""
        return "; ".join([*filter(None, [self.note, read]), *map(_without_site, self.refusals)])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return vars(self) | {
            "verdict": self.verdict and self.verdict.as_dict(),
            "refusals": [str(refusal) for refusal in self.refusals],
            "readers": [str(reader) for reader in self.readers],
        }


@dataclass(frozen=True)
class SeenOutputs:
    """What running the model and its rewrite on the example showed.

    difference: the largest, over the largest output, in the model's own `dtype`; None: there was no
    number to compare. in_float64: the same of copies in float64; None where these do not run.
    """

    outputs: int
    dtype: str
    difference: float | None
    in_float64: float | None
    seconds: float
    why: str = ""

    def __str__(self) -> str:
        if self.difference is None:
            return "run on the example, which gave no number that could be compared"
        wide = "" if self.in_float64 is None else f", {self.in_float64:.1e} in float64"
        plural = "s" * (self.outputs != 1)
        return (
            f"seen on the example, {self.outputs} output{plural}: within {self.difference:.1e} in "
            f"{self.dtype}{wide} ({self.seconds:.1f} s)"
        )


@dataclass(frozen=True)
class RewriteReport(Shown):
    """All rows, what they make of the model, and what was seen of it.

    mode: gradients and training, as they were in the run that the rows were observed in; "" where
    there was none.
    """

    target: str
    keys: str
    rows: tuple[RewriteRow, ...]
    planned: bool = False
    outputs: SeenOutputs | None = None
    mode: str = ""
    unproved: bool = False
    permutes: Permutes | None = None

    @property
    def verdict(self) -> str:
        """What the rows make of the model, and whether that was seen."""
        compared = self.outputs is not None and self.outputs.difference is not None
        seen = "derived, and seen" if compared else "derived, not seen"
        if self.planned:
            return "planned; nothing was touched"
        exchanged = [row for row in self.rows if row.exchanged]
        if not exchanged:
            return f"{seen}: nothing was exchanged, the model is as it was"
        if any(isinstance(row.verdict, Refuted) for row in exchanged):
            return f"{seen}: not equal"
        if self.unproved:
            return f"{seen}: equal over the reals if the exchanges are, which were not proved"
        wholly = all(isinstance(row.verdict, Proved) for row in exchanged)
        equal = "proved equal" if wholly else "equal, not all are proved"
        sites = f"every exchanged site is {equal}"
        reads = "no parent was seen to read" if self.outputs else "no run showed who reads"
        return f"{seen}: {sites}, all other code is the model's own, and {reads} what was exchanged"

    @property
    def summary(self) -> tuple[str, ...]:
        """The lines under the table."""
        lines = [str(self.outputs) if self.outputs else "no site was seen called (example=None)"]
        if self.mode:
            lines.append(f"calls and readers: as seen {self.mode}")
        if self.keys == "native" and any(row.exchanged for row in self.rows):
            lines.append(
                "an optimizer made before does not step what was exchanged: give a new one what "
                "mapping.from_original(state, names=…, target_names=…) makes of the old one's state"
            )
        if self.keys == "same" and self.target == "linear" and any(r.exchanged for r in self.rows):
            lines.append(
                "same keys: tools that go by a layer's class still see a convolution, and PEFT's "
                "LoRA is wrong on those that pad with reflect or dilate; keys='native' is not"
            )
        return (*lines, *(_permutes(self.permutes) if self.permutes else []))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            **vars(self),
            "verdict": self.verdict,
            "rows": self._table.as_dicts(),
            "outputs": self.outputs and vars(self.outputs),
            "permutes": self.permutes and asdict(self.permutes),
        }

    def _blocks(self, width: int | None = None) -> list[Block]:
        counts = Counter(row.answer for row in self.rows)
        counted = ", ".join(f"{count} {answer}" for answer, count in counts.items())
        bad = any(isinstance(row.verdict, Refuted) for row in self.rows)
        return [
            self._table, "", *self._verdicts(), *self._reasons(),
            f"{len(self.rows)} sites: {counted or 'the model has none'}",
            Toned(self.verdict, "bad" if bad else "good"), *self.summary,
        ]  # fmt: skip

    @property
    def _table(self) -> Table:
        columns = [
            Column("site", "site", _named),
            Column("layer", "layer"),
            Column("answer", "", _answer),
            Column("exchange", "exchange"),
            Column("proof", "verdict", _proof),
        ]
        if all(row.verdict is None for row in self.rows):
            del columns[4]
        return Table(columns, self.rows)

    def _verdicts(self) -> list[Block]:
        """Return each verdict in full once, of proofs alone the one that is least sure."""
        about: dict[str, tuple[Verdict, list[str]]] = {}
        proofs = [row.verdict for row in self.rows if isinstance(row.verdict, Proved)]
        weakest = max(proofs, key=lambda proof: proof.failure_probability, default=None)
        for row in self.rows:
            if row.verdict is not None and (row.verdict is weakest or row.verdict not in proofs):
                about.setdefault(str(row.verdict), (row.verdict, []))[1].append(row.site)
        more = f" (the others of {len(proofs)} likewise)" if len(proofs) > 1 else ""
        return [
            [_some(sites), " ", *verdict.words, more if isinstance(verdict, Proved) else ""]
            for verdict, sites in about.values()
        ]

    def _reasons(self) -> list[Block]:
        """Return each reason once, behind the sites that it is about."""
        about: dict[str, list[str]] = {}
        for row in self.rows:
            if row.why:
                about.setdefault(row.why, []).append(row.site)
        return [[_some(sites), f": {why}"] for why, sites in about.items()]


def _answer(row: RewriteRow) -> Words:
    observed = Toned(" (call not observed)" if row.seen is None else "", "faint")
    return [Toned(row.answer, TONES.get(row.answer, "plain")), observed]


def _named(site: str) -> str:
    return site or "the model"


def _permutes(permutes: Permutes) -> list[str]:
    """Return what the graph's permutes are, and who keeps them."""
    keepers = Counter[str]()
    for kept in permutes.kept:
        keepers[kept.operation] += kept.count
    kept_by = ", ".join(f"{count} by {operation}" for operation, count in keepers.most_common())
    batch = "any batch" if permutes.batch is None else f"batches of {permutes.batch}"
    return [
        f"permutes: {permutes.before} in the model, {permutes.after} in .graph (for {batch})"
        + (f": kept {kept_by}" if kept_by else ""),
        f"convolutions on tensors of rank ≤ {permutes.largest_rank}, the last axis ≥ "
        f"{permutes.smallest_last_axis}",
    ]


def _without_site(refusal: Refusal) -> str:
    return str(refusal).partition(": ")[2]


def _proof(verdict: Verdict | None) -> Words:
    if verdict is None:
        return ""
    chance = f", p < {verdict.failure_probability:.1e}" if isinstance(verdict, Proved) else ""
    return [Toned(verdict.kind, verdict.kind), chance]


def _some(sites: Sequence[str]) -> Toned:
    more = f" and {len(sites) - NAMED} more" if sites[NAMED:] else ""
    return Toned(", ".join(map(_named, sites[:NAMED])) + more, "strong")
