"""What Rich shows in a terminal, as plain text."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

__all__ = ["as_text"]


def as_text(shown: RenderableType, width: int = 120) -> str:
    """Return what a terminal of so many columns shows, without colour and trailing blanks.

    >>> as_text("[bold]1×1[/bold]   ")
    '1×1'
    """
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
