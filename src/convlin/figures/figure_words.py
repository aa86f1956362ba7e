"""The words on a figure: English, unless the caller has others."""

from __future__ import annotations

from collections.abc import Mapping

from convlin.errors import Refusal, Refused

__all__ = ["figure_texts"]


def figure_texts(
    site: str, english: Mapping[str, str], words: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the English words, but the caller's where given; raise for a word not used here.

    A word may hold `{names}` of numbers, which the figure fills in.

    >>> figure_texts("neuron", {"input": "input", "output": "output"}, {"input": "Bild"})
    {'input': 'Bild', 'output': 'output'}
    """
    unknown = [name for name in words or {} if name not in english]
    if unknown:
        raise Refused(
            [
                Refusal(site, "key of words", name, f"one of {', '.join(english)}")
                for name in unknown
            ]
        )
    return {**english, **(words or {})}
