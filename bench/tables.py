"""The tables that `make bench` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table
from timing import side_by_side

console = Console()


def show_race(title: str, contenders: Mapping[str, Callable[[], object]], rounds: int) -> None:
    """Time `contenders` side by side and print medians, ratios and their quartiles."""
    with console.status(f"{title}: {rounds} rounds of {len(contenders)}"):
        timings = side_by_side(contenders, rounds)
    table = Table(title=title, title_justify="left")
    table.add_column("form")
    table.add_column("median", justify="right")
    table.add_column("times faster", justify="right")
    table.add_column("quartiles", justify="right")
    for timing in timings:
        low, middle, high = timing.ratio
        table.add_row(
            timing.name, f"{timing.median * 1e3:.2f} ms", f"{middle:.2f}×", f"{low:.2f}–{high:.2f}"
        )
    console.print(table)
