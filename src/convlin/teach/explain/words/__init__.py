"""All sentences of the lessons, one file a language; the numbers in them are fields.

`{pixels}` stands for a number, `{pixels:pixel|pixels}` for the word that goes with it.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

__all__ = ["LANGUAGES", "Words"]

LANGUAGES = "en", "zh"


class Words(Formatter):
    """The sentences of one language, filled in by name.

    >>> words = Words("en")
    >>> words("sparse.wires", pixels=36, wires=9, rest=27).split(";")[0]
    'An FC neuron has a wire to every pixel, 36 in all'
    """

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._sentences = sentences(lang)

    def __call__(self, key: str, **fields: Any) -> str:
        """Return a sentence; every field that it names must be given, and no other."""
        template = self._sentences[key]
        text = self.vformat(template, (), fields)
        unused = fields.keys() - {name for _, name, _, _ in self.parse(template) if name}
        assert not unused, f"{key} ({self.lang}) has no {unused}"
        return text

    def templates(self, figure: str) -> dict[str, str]:
        """Return the words on a figure, whose numbers `convlin.figures` fills in."""
        start = f"{figure}."
        return {
            key.removeprefix(start): text
            for key, text in self._sentences.items()
            if key.startswith(start)
        }

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write numbers as people read them, and choose the word that goes with one."""
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return one if value == 1 else many
        if format_spec or isinstance(value, str):
            return str(super().format_field(value, format_spec))
        if isinstance(value, tuple):
            return "×".join(str(n) for n in value)
        return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


@cache
def sentences(lang: str) -> dict[str, str]:
    """Return every sentence of a language by its key, "table.key"."""
    text = files(__name__).joinpath(f"{lang}.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    return {f"{table}.{key}": line for table, keys in tables.items() for key, line in keys.items()}
