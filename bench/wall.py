"""The wall: what published conversions do on one sweep of layers, beside convlin's.

They live with the tests, which hold the judge to what is known of each.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from rich.table import Table
from tables import console

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from published import OTHERS, OWN
from published.entry import OUTCOMES, Entry


def row(entry: Entry) -> list[str]:
    """Return a line of the table; stop the bench where convlin's own is broken."""
    with console.status(f"{entry.name} ({entry.source})"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what their packages warn of, a hundred times each
        counts = entry.counted()
    if entry in OWN and set(counts) - {"right", "refused"}:
        raise SystemExit(f"convlin's {entry.name}: {dict(counts)}")
    kinds = ", ".join(kind.__name__ for kind in entry.kinds)
    about = f"{entry.name}\n  {entry.source}\n  {kinds}; looks at: {entry.checks}"
    return [about, *(str(counts[outcome] or "") for outcome in OUTCOMES)]


def run() -> None:
    """Print how often each is right, refuses, loses state, crashes and is silently wrong."""
    table = Table(
        title="The wall: conversions on the hostile layers of convlin.testing",
        title_justify="left", show_lines=True,
        caption="refused: or left as it was. state lost: right outputs, but not as frozen, in eval "
        "mode or tied as the layer was. Others are judged on batches alone.",
    )  # fmt: skip
    table.add_column("conversion", ratio=1)
    for heading in ("right", "refused", "state\nlost", "crashed", "silently\nwrong"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in (*OTHERS, *OWN):
        table.add_row(*row(entry))
    console.print(table)
