"""What a printed text claims: every word and number, but times, and how far rounding went."""

from __future__ import annotations

import re

__all__ = ["NUMBER", "differences", "parted"]

NUMBER = r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"

# Times and what follows from them: that they are there is all that is claimed.
TIMES = [
    rf"slid, batches of (?P<n>{NUMBER}) ",
    rf"slid, batches of {NUMBER} (?P<n>{NUMBER}) ",
    rf"dense, one pass (?P<n>{NUMBER}) ",
    rf"(?P<n>{NUMBER}) times faster ",
    rf"times faster \(from (?P<n>{NUMBER}) to ",
    rf"times faster \(from {NUMBER} to (?P<n>{NUMBER});",
    rf"in float\d\d \((?P<n>{NUMBER}) s\)",
]
# What another kernel rounds otherwise, and bounds of where it did so most: their size is claimed.
SIZES = [
    rf"the largest difference is (?P<n>{NUMBER}) where",
    rf"where outputs reach (?P<n>{NUMBER});",  # inputs are random
    rf"rounding explains up to (?P<n>{NUMBER})",
    rf"within (?P<n>{NUMBER}) in float\d\d",
    rf"off by at most (?P<n>{NUMBER}) ",
    rf"off by at most {NUMBER} \((?P<n>{NUMBER}) of the largest score",
    rf"float\d\d (?P<n>{NUMBER}) {NUMBER} {NUMBER}",
    rf"float\d\d {NUMBER} (?P<n>{NUMBER}) {NUMBER}",
]
NOTHING = 1e-12
"""Of scores below 100, what float64 may leave where in one run it leaves 0."""


def differences(shown: str, got: str) -> list[str]:
    """Return in words how a text that was printed differs from the one that is shown."""
    (words, sizes), (own_words, own_sizes) = parted(shown), parted(got)
    pairs = zip(words, own_words, strict=False)
    found = [f"{own!r} for {word!r}" for word, own in pairs if word != own]
    if len(words) != len(own_words):
        found.append(f"{len(own_words)} words for {len(words)}")
    for size, own in zip(sizes, own_sizes, strict=False):
        low, high = sorted(max(value, NOTHING) for value in (size, own))
        if high > 10 * low:
            found.append(f"{own:.1e} for about {size:.1e}")
    return found


def parted(text: str) -> tuple[list[str], list[float]]:
    """Return the words and numbers that must be the same, and the numbers whose size must be."""
    text = " ".join(re.sub(r"[─━]", " ", text).split())
    times, sizes = (
        {match.span("n") for pattern in patterns for match in re.finditer(pattern, text)}
        for patterns in (TIMES, SIZES)
    )
    numbers = [float(text[slice(*span)].replace(",", "")) for span in sorted(sizes)]
    for start, stop in sorted(times | sizes, reverse=True):
        text = text[:start] + ("time" if (start, stop) in times else "size") + text[stop:]
    return text.split(), numbers
