"""Where printing goes: results to stdout, progress to stderr and only if somebody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from convlin.errors import printable

__all__ = ["Steps", "output", "progress", "shown"]


class Steps:
    """The bar of a long job: says what was done last; a `progress` callback of the library."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("preparing", total=None)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Move the bar to `done` of `total`."""
        self._bars.update(self._task, description=what, completed=done, total=total)


def shown(name: object) -> str:
    r"""Return a name from outside as console markup that shows it, character by character.

    >>> print(shown("[bold]\x1b[31m.pt2"))
    \[bold]\x1b[31m.pt2
    """
    return escape(printable(str(name)))


class Results(Console):
    """A console that leaves it to the command line to end where nobody reads on."""

    def on_broken_pipe(self) -> None:
        """Pass the error on; Rich would exit with 1, which is what `prove` says."""
        raise BrokenPipeError


def output(json: bool = False) -> Console:
    """Return the console for results; with JSON asked for, one that prints nothing else."""
    return Results(highlight=False, quiet=json)


@contextmanager
def progress(remaining: bool = False) -> Iterator[Steps]:
    """Show progress bars on stderr while something runs; they vanish afterwards.

    remaining: whether they say how long it will take, beside how long it has taken.
    """
    errors = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *([TextColumn("left:"), TimeRemainingColumn()] if remaining else []),
    )
    bars = Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
    # What is disabled prints an empty line at its end all the same, in Rich 14.
    with bars if errors.is_terminal else nullcontext():
        yield Steps(bars)
