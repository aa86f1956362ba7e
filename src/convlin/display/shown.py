"""Objects that show themselves alike in a terminal, as text and in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convlin.display.blocks import Block
from convlin.display.html_view import as_html
from convlin.display.terminal_view import as_text, renderable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Shown"]


class Shown:
    """Base of what is shown as its `_blocks`; `__str__` may say less."""

    def _blocks(self, width: int | None = None) -> Sequence[Block]:
        """Return what is shown where there is room for `width` letters; None: for any number."""
        raise NotImplementedError

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield renderable(self._blocks(options.max_width), options.max_width)

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self._blocks())
