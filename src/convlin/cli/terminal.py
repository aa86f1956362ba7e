"""Where printing goes: results to stdout, progress to stderr and only if somebody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Steps", "output", "progress"]


class Steps:
    """The bar of a long job: says what was done last; a `progress` callback of the library."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("preparing", total=None)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Move the bar to `done` of `total`."""
        self._bars.update(self._task, description=what, completed=done, total=total)


def output(json: bool = False) -> Console:
    """Return the console for results; with JSON asked for, one that prints nothing else."""
    return Console(highlight=False, quiet=json)


@contextmanager
def progress() -> Iterator[Steps]:
    """Show progress bars on stderr while something runs; they vanish afterwards."""
    errors = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bars = Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
    with bars:
        yield Steps(bars)
