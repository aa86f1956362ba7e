"""What was exchanged, layer by layer, whether it is proved, and whether output = sliding window."""

from __future__ import annotations

import html
import io
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from convlin.proof import Verdict

__all__ = ["Deviation", "Report", "Row"]


@dataclass(frozen=True)
class Row:
    """One layer: its exchange, the verdict on that, and whether windows stay equal (or why not)."""

    layer: str
    operation: str
    exchange: str
    verdict: Verdict | None
    equal: bool
    why: str


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
class Report:
    """All rows; `exact` iff every window's output equals the classifier's on that crop."""

    rows: tuple[Row, ...]
    exact: bool
    deviation: Deviation | None
    parameters_before: int
    parameters_after: int

    @property
    def summary(self) -> tuple[str, ...]:
        """The lines under the table."""
        breaking = [row.layer for row in self.rows if not row.equal]
        if self.exact:
            equal = "equal to the classifier on every window, up to rounding"
        else:
            some = ", ".join(breaking[:4]) + (
                f" and {len(breaking) - 4} more" if breaking[4:] else ""
            )
            equal = f"not equal to the classifier on every window: {some}"
        return (
            f"output: {equal}",
            f"measured: {self.deviation or 'not measured (no images given)'}",
            f"parameters: {self.parameters_before:,} before, {self.parameters_after:,} after",
        )

    def __rich__(self) -> RenderableType:
        table = Table(show_edge=False, pad_edge=False)
        for name in ("layer", "operation", "exchange", "verdict", "window"):
            table.add_column(name, overflow="fold")
        for row in self.rows:
            verdict = "" if row.verdict is None else str(row.verdict)
            style = "green" if row.verdict else ""
            equal = Text(_equal(row), style="" if row.equal else "red")
            table.add_row(
                Text(row.layer), Text(row.operation), Text(row.exchange),
                Text(verdict, style=style), equal,
            )  # fmt: skip
        lines = [Text(line) for line in self.summary]
        lines[0].stylize("green" if self.exact else "red")
        return Group(table, Text(), *lines)

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=160, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return "\n".join(line.rstrip() for line in capture.get().splitlines())

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th>{n}</th>" for n in ("layer", "operation", "exchange", "verdict", "window")
        )
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in (
                row.layer, row.operation, row.exchange,
                "" if row.verdict is None else str(row.verdict), _equal(row),
            )) + "</tr>" for row in self.rows
        )  # fmt: skip
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self.summary)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{lines}"


def _equal(row: Row) -> str:
    if row.equal:
        return f"equal ({row.why})" if row.why else "equal"
    return f"differs: {row.why}"
