"""Refusals in the reader's language: every English text that is refused with, and its Chinese one.

What refuses knows no reader, so it says English. Here that text is matched against templates whose
`{holes}` stand for what differs, and said anew; a hole named after a table of the templates holds a
text of that table::

    {option} is {value}, expected {allowed}    →    {option} 为{value}，应为{allowed}

What fits no template stays English as a whole: no sentence is half translated.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from string import Formatter
from urllib.parse import parse_qsl

from convlin.errors import ConvlinError, Description, InputError, Refusal, Refused, printable

__all__ = ["asked_language", "retold", "said", "translated", "usage"]

# What a hole may hold, where that is not anything, of two such holes the first the most.
NUMBER = r"-?[0-9][0-9,.]*"
SIZE = r"[0-9]+(?:×[0-9]+)*"
NAME = r"(?:'[^' ]*'|[A-Za-z0-9_]+)"
HOLES = {
    "count": NUMBER,
    "other_count": NUMBER,
    "size": SIZE,
    "other_size": SIZE,
    "sizes": r"\([0-9, ]*\)",
    "names": f"{NAME}(?:, {NAME})+",
    "options": r"--?[a-z-]+(?:, --?[a-z-]+)*",
    "option": "--[a-z-]+",
    "kind": "[A-Za-z]+",
    "cause": ".+?",
}
LISTS = ("names", "options")
# Between an ideograph and any other sign stands a space, but not beside the wide marks.
IDEOGRAPH = re.compile("[\u3400-\u9fff]")
WIDE = re.compile("[\\s\u2018-\u201d\u3000-\u303f\uff00-\uffef]")


class Retold(Refusal):
    """A refusal whose line is that of another language."""

    def __str__(self) -> str:
        key = "{place} is {value}, expected {allowed}" + " ({reason})" * bool(self.reason)
        holes = {
            "place": _told("place", f"{self.site}: {self.field}") or f"{self.site}：{self.field}",
            "value": _value(self),
            "allowed": self.allowed,
            "reason": self.reason,
        }
        return printable(_filled(_tables()["sentence"][key], holes))


def said(error: Refusal | ConvlinError, lang: str) -> str:
    """Return what a refusal or an error says, in a language; English where nothing fits.

    >>> print(said(Refusal("explore", "padding", "99", "a whole number from 0 to 16"), "zh"))
    explore：padding 为 '99'，应为 0 到 16 的整数
    """
    if isinstance(error, Refusal):
        return str(translated(error, lang))
    return str(retold(error, lang))


def retold(error: ConvlinError, lang: str) -> ConvlinError:
    """Return an error of the same type that speaks a language; itself where nothing fits.

    >>> print(retold(InputError("a.txt: the file must end in .html"), "zh"))
    a.txt：文件名必须以 .html 结尾
    """
    if lang == "en":
        return error
    if isinstance(error, Refused) and not error.way_out:
        return type(error)(translated(refusal, lang) for refusal in error.refusals)
    text = _told("error", str(error)) if isinstance(error, InputError) else None
    return error if text is None else type(error)(text)


def translated(refusal: Refusal, lang: str) -> Refusal:
    """Return a refusal with its texts in a language, site and field kept; itself if one fits not.

    >>> translated(Refusal("--padding", "output size", "9×9", "at most 8×8"), "zh").allowed
    '不大于 8×8 的尺寸'
    """
    if lang == "en" or isinstance(refusal, Retold):
        return refusal
    allowed = _told("allowed", refusal.allowed)
    reason = _told("reason", refusal.reason)
    if allowed is None or reason is None:
        return refusal
    value = refusal.value
    # A description is the code's own words or a text in quotes; any other text is the reader's.
    if isinstance(value, Description):
        value = Description(_told("value", value) or value)
    return Retold(refusal.site, refusal.field, value, allowed, reason)


def usage(text: str, lang: str) -> str | None:
    """Return what is said of a command line that cannot be read; None where nothing fits.

    >>> usage("Option '--lang' requires an argument.", "zh")
    "选项 '--lang' 需要一个值"
    """
    return None if lang == "en" else _told("usage", text)


def asked_language(link: str) -> str:
    """Return the language that a link asks for, though nothing else of it need be readable.

    >>> asked_language("?size=99&lang=zh#matrix"), asked_language("?lang=fr"), asked_language("%")
    ('zh', 'en', 'en')
    """
    query = link.partition("#")[0].rpartition("?")[2]
    return "zh" if ("lang", "zh") in parse_qsl(query, errors="replace") else "en"


def _value(refusal: Refusal) -> str:
    """Return a refusal's value as its English line shows it."""
    line = Refusal("", "", refusal.value, "")
    return str(line).removeprefix(":  is ").removesuffix(", expected ")


def _told(table: str, text: str) -> str | None:
    """Return a text of a table in Chinese, None where no template fits; of nothing, nothing."""
    if not text:
        return text
    for english, chinese in _tables()[table].items():
        found = _template(english).fullmatch(text)
        holes = found and _holes(found.groupdict())
        if holes is not None:
            return _filled(chinese, holes)
    return None


def _holes(found: Mapping[str, str]) -> dict[str, str] | None:
    """Return what the holes of a template hold, in Chinese; None where one of them fits nothing."""
    holes = {}
    for name, text in found.items():
        told: str | None = text.replace(", ", "、") if name in LISTS else text
        if name in _tables() and name != "value":  # which may be anything
            told = _told(name, text)
        if told is None:
            return None
        holes[name] = told
    return holes


def _filled(text: str, holes: Mapping[str, str]) -> str:
    pieces = (
        piece
        for before, name, _, _ in Formatter().parse(text)
        for piece in (before, holes[name] if name else "")
    )
    return _joined(pieces)


def _joined(pieces: Iterable[str]) -> str:
    """Put pieces together as Chinese is set: a space where an ideograph meets another sign."""
    text = ""
    for piece in filter(None, pieces):
        ends = text[-1:], piece[0]
        apart = sum(bool(IDEOGRAPH.match(end)) for end in ends) == 1
        text += " " * (bool(text) and apart and not any(map(WIDE.match, ends))) + piece
    return text


@cache
def _template(english: str) -> re.Pattern[str]:
    """Return the pattern of a text with `{holes}`."""
    return re.compile(
        "".join(
            re.escape(before) + (f"(?P<{name}>{HOLES.get(name, '.+')})" if name else "")
            for before, name, _, _ in Formatter().parse(english)
        )
    )


@cache
def _tables() -> dict[str, dict[str, str]]:
    """Return the templates: table → English → Chinese."""
    file = files("convlin.teach") / "words" / "refusals.toml"
    return tomllib.loads(file.read_text("utf-8"))
