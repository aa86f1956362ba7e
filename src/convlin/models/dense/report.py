"""What was exchanged, layer by layer, whether it is proved, and whether output = sliding window."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from convlin.display.printed import as_text
from convlin.proof import Proved, Refuted, Verdict

__all__ = ["AgainstModel", "Deviation", "Report", "Row"]


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
class AgainstModel:
    """What running the network beside its model showed, on noise; `seconds` is how long it took.

    `difference` is the largest one on those `windows`, over the largest output; `crops` the same
    on crops of a larger image, if they are not said to be equal. `unseen` of the `outputs` hardly
    vary from input to input, which shows nothing; `why` says what kept the two from being run.

    >>> print(AgainstModel(windows=9, dtype="float64", difference=2.1e-15, outputs=10, seconds=0.4))
    derived, and seen on 9 windows: within 2.1e-15 in float64 (0.4 s)
    >>> print(AgainstModel(windows=3, outputs=1, unseen=1))
    derived, not seen: its output varies hardly from input to input
    """

    windows: int = 0
    dtype: str = ""
    difference: float = 0.0
    crops: float | None = None
    outputs: int = 0
    unseen: int = 0
    seconds: float = 0.0
    why: str = ""

    def __str__(self) -> str:
        if self.why or self.unseen == self.outputs:
            all_of_them = "every output varies" if self.outputs > 1 else "its output varies"
            flat = f"{all_of_them} hardly from input to input"
            return f"derived, not seen: {self.why or flat}"
        where = " at the window" if self.crops is not None else ""
        text = (
            f"derived, and seen on {self.windows} windows{where}: within {self.difference:.1e} in "
            f"{self.dtype} ({self.seconds:.1f} s)"
        )
        if self.unseen:
            text += f"; {self.unseen} of {self.outputs} outputs hardly vary, and are not seen"
        if self.crops is not None:
            text += (
                f"; crops of a larger image are off by up to {self.crops:.2g} of the largest output"
            )
        return text


@dataclass(frozen=True)
class Report:
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
            some = ", ".join(breaking[:4]) + (
                f" and {len(breaking) - 4} more" if breaking[4:] else ""
            )
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
            "rows": [row.as_dict() for row in self.rows],
            "deviation": self.deviation and vars(self.deviation),
            "seen": self.seen and vars(self.seen),
        }

    def __rich__(self) -> RenderableType:
        proofs = [row for row in self.rows if row.verdict is not None]
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for name in ("layer", "exchange", *(["proof"] if proofs else []), "= sliding"):
            table.add_column(name, overflow="fold", min_width=9)
        for row in self.rows:
            equal = Text("equal", "green") if row.equal else Text("differs", "red")
            proof = [_proof(row.verdict)] if proofs else []
            table.add_row(Text(row.layer), _exchange(row), *proof, equal)
        alike: dict[str, list[Row]] = {}
        for row in proofs:
            alike.setdefault(str(row.verdict), []).append(row)
        lines = []
        for same in alike.values():
            sites = ", ".join(row.layer for row in same)
            if same[0].verdict is not None:
                lines.append(Text.assemble((sites, "bold"), " ", same[0].verdict.__rich__()))
        for why in dict.fromkeys(row.why for row in self.rows if not row.equal):
            layers = [row.layer for row in self.rows if row.why == why and not row.equal]
            verb = "differs" if len(layers) == 1 else "differ"
            lines.append(
                Text.assemble((", ".join(layers), "bold"), (f" {verb}", "red"), f": {why}")
            )
        outcome, *rest = self.summary
        lines += [Text(outcome, "green" if self.exact else "red"), *map(Text, rest)]
        return Group(table, Text(), *lines)

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        left = 'style="text-align:left"'
        titles = ("layer", "operation", "exchange", "verdict", "window")
        head = "".join(f"<th {left}>{title}</th>" for title in titles)
        body = "".join(
            "<tr>" + "".join(f"<td {left}>{cell}</td>" for cell in (
                *map(html.escape, (row.layer, row.operation, row.exchange)),
                "" if row.verdict is None else row.verdict._repr_html_(),
                html.escape(_equal(row)) if row.equal else f"<b>≠ {html.escape(_equal(row))}</b>",
            )) + "</tr>" for row in self.rows
        )  # fmt: skip
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self.summary)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{lines}"


def _exchange(row: Row) -> Text:
    kept = row.exchange == "kept"
    return Text(f"{row.operation}, kept", "dim") if kept else Text(row.exchange, "bold")


def _proof(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text()
    text = Text(verdict.kind, f"bold {verdict.colour}")
    if isinstance(verdict, Proved):
        text.append(f", p < {verdict.failure_probability:.1e}", "not bold default")
    return text


def _equal(row: Row) -> str:
    if row.equal:
        return f"equal ({row.why})" if row.why else "equal"
    return f"differs: {row.why}"
