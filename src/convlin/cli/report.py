"""The report of an exchanged model for a terminal, readable from 80 columns on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from convlin.backends.pytorch.fully_convolutional.report import Report, Row
    from convlin.proof import Verdict

__all__ = ["as_json", "print_report", "verdict_json"]


def print_report(console: Console, report: Report) -> None:
    """Print what became of every layer, the proofs in full, what differs, and the summary."""
    proofs = any(row.verdict is not None for row in report.rows)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("layer", "exchange", *(["proof"] if proofs else []), "= sliding"):
        table.add_column(name, overflow="fold", min_width=9)
    for row in report.rows:
        equal = Text("equal", "green") if row.equal else Text("differs", "red")
        table.add_row(Text(row.layer), _exchange(row), *([_proof(row)] if proofs else []), equal)
    console.print(table)
    console.print()
    for row in report.rows:
        if row.verdict is not None:
            console.print(Text.assemble((row.layer, "bold"), " ", row.verdict.__rich__()))
    for why in dict.fromkeys(row.why for row in report.rows if not row.equal):
        layers = ", ".join(row.layer for row in report.rows if row.why == why and not row.equal)
        verb = (" differ" if ", " in layers else " differs", "red")
        console.print(Text.assemble((layers, "bold"), verb, f": {why}"))
    for number, line in enumerate(report.summary):
        style = ("green" if report.exact else "red") if number == 0 else ""
        console.print(Text(line, style=style))


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain values."""
    deviation = report.deviation
    return {
        "exact": report.exact,
        "parameters_before": report.parameters_before,
        "parameters_after": report.parameters_after,
        "deviation": None if deviation is None else vars(deviation),
        "rows": [
            {
                "layer": row.layer,
                "operation": row.operation,
                "exchange": row.exchange,
                "verdict": None if row.verdict is None else verdict_json(row.verdict),
                "equal": row.equal,
                "why": row.why,
            }
            for row in report.rows
        ],
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values."""
    return {"kind": verdict.kind, "details": verdict.details}


def _exchange(row: Row) -> Text:
    kept = row.exchange == "kept"
    return Text(f"{row.operation}, kept", "dim") if kept else Text(row.exchange, "bold")


def _proof(row: Row) -> Text:
    if row.verdict is None:
        return Text()
    text = Text(row.verdict.kind, f"bold {row.verdict.colour}")
    if hasattr(row.verdict, "failure_probability"):
        text.append(f", p < {row.verdict.failure_probability:.1e}", "not bold default")
    return text
