"""Commands that refuse in the language they are asked in, by `--lang` or by a link's `lang`.

The language is read from the command line as it stands, since a line that cannot be parsed is
refused too. What the parser says of it becomes an `InputError`, whose line is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from typer.core import TyperCommand

from convlin.display.languages import LANGUAGES
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
            said = " ".join(error.format_message().split())
            # pydantic, which reads the options for Typer, names the exception before what it says.
            text = usage(said.replace("Value error, ", "", 1), language)
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
    language = "en"
    words = [word for arg in args for word in (arg.split("=", 1) if arg[:2] == "--" else [arg])]
    for option, text in pairwise(words):  # of several, the last counts, as for the parser
        if option == "--lang" and text in LANGUAGES:
            language = text
        elif option == "--state" and asked_language(text) != "en":
            language = asked_language(text)
    return language
