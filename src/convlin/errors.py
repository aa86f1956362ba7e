"""The exception tree, and the value that every refusal carries.

::

    ConvlinError
    ├── Refused            the request was understood and cannot be granted exactly;
    │   │                  carries every field that does not fit, as `Refusal` values
    │   └── GeometryError  the numbers themselves describe no convolution
    └── InputError         something from outside (a file, an import path, an image, an
                           option) cannot be read

`Refused` is also a `ValueError`, so code that knows nothing of convlin catches it too.

What they say may hold names from files and from other people's models, so it is always printed
through `printable`: an `InputError` is one line and a `Refusal` is one line, whatever is in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

__all__ = [
    "ConvlinError",
    "Description",
    "GeometryError",
    "InputError",
    "Refusal",
    "Refused",
    "first_line",
    "one_line",
    "printable",
]


# Characters of a value, or of what others say, that a message shows: half cuts the names of a
# model's many inputs, twice is more than a screen for what says nothing.
LONGEST = 500


def printable(text: str) -> str:
    r"""Return `text` with everything escaped that a terminal would obey instead of showing it.

    Escape sequences, line breaks, marks that turn the direction of writing, lone surrogates: all
    that Unicode calls neither a letter, mark, number, sign nor the plain space.

    >>> print(printable("head\x1b[31m\n.weight"), printable("größe 卷积"))
    head\x1b[31m\n.weight größe 卷积
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def one_line(error: BaseException) -> str:
    r"""Return an exception of others in one line: its type and the first line that it says.

    >>> one_line(KeyError("head")), one_line(ValueError()), one_line(OSError("first\nsecond"))
    ("KeyError: 'head'", 'ValueError', 'OSError: first')
    """
    kind = type(error).__name__
    return f"{kind}: {first_line(error)}" if str(error).strip() else kind


def first_line(error: BaseException) -> str:
    """Return the first line that an exception of others says; its type if it says nothing."""
    return _cut((str(error).strip() or type(error).__name__).splitlines()[0].strip())


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


class Description(str):
    """What a value is, in words: a refusal shows it as it is, where text of callers is quoted.

    >>> print(Refusal("audit", "draws", "3", "a whole number"))
    audit: draws is '3', expected a whole number
    >>> print(Refusal("audit", "draws", Description("a tensor of shape (2,)"), "a whole number"))
    audit: draws is a tensor of shape (2,), expected a whole number
    """


# Refusals that differ in site and value only are one line from here on, which names two sites and
# one value: of two such that leaves out as much as it says, eight fill a screen that a ResNet's
# padding would scroll away. Fewer are one line where that leaves nothing out.
MANY = 4


@dataclass(frozen=True)
class Refusal:
    """One thing that does not fit: where, which field, what it is, what is expected, and why.

    >>> print(Refusal("features.3", "stride", (2, 2), "(3, 3), equal to the kernel"))
    features.3: stride is (2, 2), expected (3, 3), equal to the kernel
    """

    site: str
    field: str
    value: Any
    allowed: str
    reason: str = ""

    def __str__(self) -> str:
        text = f"{self.site}: {self.field} is {_short(self.value)}, expected {self.allowed}"
        return printable(f"{text} ({self.reason})" if self.reason else text)


def _short(value: Any) -> str:
    """Return any value in a few words; objects of others may not be able to show themselves."""
    try:
        text = repr(value) if type(value) is str else str(value)
    except Exception:
        return type(value).__name__
    return _cut(text)


class ConvlinError(Exception):
    """Base of everything convlin raises on purpose."""


class Refused(ConvlinError, ValueError):
    """The request was understood and cannot be granted; `refusals` says everything that is wrong.

    As text, many alike are one line. `way_out` is said last: what would be granted instead.

    >>> raise Refused([Refusal("conv", "groups", 3, "a divisor of in_channels = 8")])
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: conv: groups is 3, expected a divisor of in_channels = 8
    """

    def __init__(self, refusals: Refusal | Iterable[Refusal], way_out: str = "") -> None:
        self.refusals: tuple[Refusal, ...] = (
            (refusals,) if isinstance(refusals, Refusal) else tuple(refusals)
        )
        if not self.refusals:
            raise TypeError("Refused needs at least one Refusal")
        self.way_out = way_out
        super().__init__(*self.refusals)

    def __reduce__(self) -> Any:
        return type(self), (self.refusals, self.way_out)

    def __str__(self) -> str:
        text = "\n".join(_grouped(self.refusals))
        return f"{text}; {self.way_out}" if self.way_out else text


def _grouped(refusals: Iterable[Refusal]) -> Iterator[str]:
    """Yield a line for each refusal, but one for several that only differ in site and value."""
    alike: dict[tuple[str, str, str], list[Refusal]] = {}
    for refusal in refusals:
        alike.setdefault((refusal.field, refusal.allowed, refusal.reason), []).append(refusal)
    for group in alike.values():
        sites = [refusal.site for refusal in group]
        values = list(dict.fromkeys(_short(refusal.value) for refusal in group))
        if len(group) == 1 or (len(group) < MANY and values[1:]):
            yield from map(str, group)
            continue
        if len(group) >= MANY:
            sites[2:] = [f"{len(group) - 2} more"]
        value = Description(f"{values[0]}, …" if values[1:] else values[0])
        site = f"{', '.join(sites[:-1])} and {sites[-1]}"
        yield str(replace(group[0], site=site, value=value))


class GeometryError(Refused):
    """These numbers describe no convolution, or none on that input size."""


class InputError(ConvlinError):
    """A file, import path, image or option from outside that cannot be used, in one line."""

    def __str__(self) -> str:
        return printable(super().__str__())
