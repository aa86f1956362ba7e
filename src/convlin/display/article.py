"""Nouns with their article, for messages that name a type."""

from __future__ import annotations

import re

__all__ = ["indefinite"]

SPOKEN_WITH_A_VOWEL = "AEFHILMNORSX"  # letters, when an abbreviation is spelled out


def indefinite(noun: str) -> str:
    """Return a noun, such as the name of a type, behind "a" or "an".

    >>> [indefinite(noun) for noun in ("int", "Tensor", "LSTM", "GRU", "UserModel", "Upsample")]
    ['an int', 'a Tensor', 'an LSTM', 'a GRU', 'a UserModel', 'an Upsample']
    """
    if noun[:2].isupper():
        vowel = noun[0] in SPOKEN_WITH_A_VOWEL
    else:
        vowel = bool(re.match("[aeio]|u(?!int|ni|se|tf)", noun.lower()))
    return f"{'an' if vowel else 'a'} {noun}"
