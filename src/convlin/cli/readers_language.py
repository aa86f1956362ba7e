"""Commands that refuse in the language they are asked in, by `--lang` or by a link's `lang`.

The language is read from the command line as it stands, since a line that cannot be parsed is
refused too. What the parser says of it becomes an `InputError`, whose line is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from typer.core import TyperCommand

from convlin.errors import ConvlinError, InputError
from convlin.teach.refusals import asked_language, retold, usage

__all__ = ["InReadersLanguage", "language_of"]

LANGUAGE = "convlin.language"  # under which a context holds it


class InReadersLanguage(TyperCommand):
    """A command whose errors speak the reader's language."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; what is wrong with it is said in the language that it asks for."""
        language = ctx.meta[LANGUAGE] = language_of(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # Typer's copy of click is private; what is wrong with usage has this, nothing else.
            if not hasattr(error, "format_message"):
                raise
            text = usage(" ".join(error.format_message().split()), language)
            if text is None:
                raise
            raise InputError(f"{text}（参见 --help）") from error

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it refuses is said in the language."""
        try:
            return super().invoke(ctx)
        except ConvlinError as error:
            told = retold(error, ctx.meta[LANGUAGE])
            if told is error:
                raise
            raise told from error


def language_of(args: Sequence[str]) -> str:
    """Return the language that a command line asks for; English if it says nothing readable.

    >>> language_of(["--lang=zh"]), language_of(["--state", "?size=7&lang=zh"]), language_of([])
    ('zh', 'zh', 'en')
    """
    given = [(arg, after) for arg, after in pairwise([*args, ""])]
    given += [(name, text) for name, is_given, text in (a.partition("=") for a in args) if is_given]
    for option, text in given:
        if option == "--lang" and text == "zh":
            return "zh"
        if option == "--state" and asked_language(text) == "zh":
            return "zh"
    return "en"
