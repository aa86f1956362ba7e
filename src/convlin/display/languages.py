"""Texts in several languages, and what they say of numbers.

A text is a template: `{pixels}` stands for a number as people read it, `{pixels:pixel|pixels}` for
the word that goes with it. Texts lie beside those who say them, a file for each language.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

from convlin.display.numbers import times
from convlin.errors import Refusal, Refused

__all__ = ["LANGUAGES", "Texts", "figure_texts", "language", "load"]

LANGUAGES = ("en", "zh")


class Texts(Formatter):
    """Texts by key, which are filled in by name.

    >>> texts = Texts({"reads": "It reads {n} {n:pixel|pixels}.", "on": "on {size}"})
    >>> texts("reads", n=1), texts("reads", n=2304), texts("on", size=(6, 6))
    ('It reads 1 pixel.', 'It reads 2,304 pixels.', 'on 6×6')
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def __getitem__(self, key: str) -> str:
        return self._texts[key]

    def __call__(self, key: str, **fields: Any) -> str:
        """Return a text; every field that it names must be given."""
        return self.vformat(self[key], (), fields)

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write numbers as people read them, and choose the word that goes with one."""
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return one if value == 1 else many
        if format_spec or isinstance(value, str):
            return str(super().format_field(value, format_spec))
        if isinstance(value, tuple):
            return times(value)
        return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


@cache
def load(package: str, lang: str) -> dict[str, str]:
    """Return the texts in a package's folder `words`, by key; tables make keys "table.key"."""
    folder = files(package) / "words"
    toml = folder / f"{lang}.toml"
    if not toml.is_file():
        return dict(json.loads((folder / f"{lang}.json").read_text("utf-8")))
    tables = tomllib.loads(toml.read_text("utf-8"))
    return {f"{table}.{key}": line for table, keys in tables.items() for key, line in keys.items()}


def language(site: str, name: str) -> str:
    """Return the name of a language that there is; raise `Refused` for any other."""
    if name not in LANGUAGES:
        raise Refused(Refusal(site, "lang", name, " or ".join(LANGUAGES)))
    return name


def figure_texts(site: str, english: Mapping[str, str], words: Mapping[str, str] | None) -> Texts:
    """Return the English texts of a figure, but the caller's where given; refuse unknown keys.

    >>> figure_texts("neuron", {"input": "input", "output": "output"}, {"input": "Bild"})["input"]
    'Bild'
    """
    unknown = [name for name in words or {} if name not in english]
    if unknown:
        allowed = f"one of {', '.join(english)}"
        raise Refused([Refusal(site, "key of words", name, allowed) for name in unknown])
    return Texts({**english, **(words or {})})
