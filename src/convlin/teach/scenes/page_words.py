"""The page's texts, by language; a text that a language lacks is English."""

from __future__ import annotations

from convlin.display.languages import load

__all__ = ["words"]


def words(language: str) -> dict[str, str]:
    """Return all texts of a language by their keys."""
    return load(__package__, "en") | load(__package__, language)
