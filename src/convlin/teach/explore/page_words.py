"""The page's texts, by language; a text that a language lacks is English."""

from __future__ import annotations

import json
from importlib import resources

from convlin.errors import Refusal, Refused
from convlin.teach.explore.decimals import shortened

__all__ = ["LANGUAGES", "filled", "language", "words"]

LANGUAGES = ("en", "zh")


def language(name: str) -> str:
    """Return the name of a language there is; `Refused` for any other."""
    if name not in LANGUAGES:
        raise Refused(Refusal("explore", "lang", shortened(name), " or ".join(LANGUAGES)))
    return name


def words(language: str) -> dict[str, str]:
    """Return all texts of a language by their keys."""
    texts: dict[str, str] = {}
    for name in dict.fromkeys(("en", language)):
        file = resources.files("convlin.teach.explore") / "words" / f"{name}.json"
        if file.is_file():
            texts |= json.loads(file.read_text("utf-8"))
    return texts


def filled(text: str, **values: int) -> str:
    """Return a text with its {names} filled in.

    >>> filled("{dimension} of {of}", dimension=35, of=36)
    '35 of 36'
    """
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", f"{value:,}")
    return text
