"""The report of an exchanged model for a terminal, readable from 80 columns on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from convlin.backends.pytorch.fully_convolutional.report import Report, Row
    from convlin.proof import Verdict

__all__ = ["as_json", "print_report", "verdict_json"]


def print_report(console: Console, report: Report) -> None:
    """Print what became of every layer, the proofs in full, and the summary."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("layer", overflow="fold", max_width=30)
    table.add_column("exchange", overflow="fold")
    table.add_column("proof", overflow="fold")
    table.add_column("= sliding", overflow="fold")
    for row in report.rows:
        table.add_row(Text(row.layer), *_cells(row))
    console.print(table)
    console.print()
    for row in report.rows:
        if row.verdict is not None:
            console.print(Text.assemble((row.layer, "bold"), " ", row.verdict.__rich__()))
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


def _cells(row: Row) -> tuple[RenderableType, RenderableType, RenderableType]:
    exchanged = row.exchange != "kept"
    exchange = Text(row.exchange, "bold") if exchanged else Text(f"{row.operation}, kept", "dim")
    proof = Text() if row.verdict is None else Text(row.verdict.kind, f"bold {row.verdict.colour}")
    if row.verdict is not None and hasattr(row.verdict, "failure_probability"):
        proof.append(f", p < {row.verdict.failure_probability:.1e}", "not bold default")
    equal = Text("equal", "green") if row.equal else Text(f"differs: {row.why}", "red")
    return exchange, proof, equal
