"""All sentences of the lessons, one file a language; the numbers in them are fields."""

from __future__ import annotations

from typing import Any

from convlin.display.languages import LANGUAGES, Texts, load

__all__ = ["LANGUAGES", "Words", "sentences"]


class Words(Texts):
    """The sentences of one language, filled in by name.

    >>> words = Words("en")
    >>> words("sparse.wires", pixels=36, wires=9, rest=27).split(";")[0]
    'An FC neuron has a wire to every pixel, 36 in all'
    """

    def __init__(self, lang: str) -> None:
        super().__init__(sentences(lang))
        self.lang = lang

    def __call__(self, key: str, **fields: Any) -> str:
        """Return a sentence; every field that it names must be given, and no other."""
        text = super().__call__(key, **fields)
        unused = fields.keys() - {name for _, name, _, _ in self.parse(self[key]) if name}
        assert not unused, f"{key} ({self.lang}) has no {unused}"
        return text

    def templates(self, table: str) -> dict[str, str]:
        """Return the words of one table, whose fields others fill in: on figures, for one."""
        start = f"{table}."
        return {
            key.removeprefix(start): text
            for key, text in sentences(self.lang).items()
            if key.startswith(start)
        }

    def table(self, name: str) -> Texts:
        """Return the words of one table, filled in by those who draw the lessons."""
        return Texts(self.templates(name))


def sentences(lang: str) -> dict[str, str]:
    """Return every sentence of a language by its key, "table.key"."""
    return load("convlin.teach", lang)
