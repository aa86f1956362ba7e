"""Arguments as callers give them, read once at the entrance of a public function.

Each reader returns a plain Python value, or raises `Refused` (or a kind of it) that names the
function or layer, the argument, what it is and what would fit. Anything may come in: `None`, text,
arrays, tensors without numbers, objects whose own methods raise.
"""

from __future__ import annotations

import itertools
import operator
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Set
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

from convlin.errors import Description, Refusal, Refused

__all__ = [
    "Progress", "as_path", "byte_count", "choice", "elements", "flag", "fraction", "index",
    "listener", "shown", "whole", "wholes",
]  # fmt: skip

Progress: TypeAlias = Callable[[str, int, int], None]

PLAIN = (str, bytes, int, float, complex, tuple, list, dict, set, type(None))
# Numbers of one argument: PyTorch's shapes have at most 64, and an iterator may never end.
MOST = 64

# Of a kB, as tables print it, 1000 bytes, of a KiB 1024; a bare 2G means both, so it is refused.
BYTES = re.compile(
    r"([0-9]{1,19}(?:\.[0-9]{1,9}(?= ?[kmgt]))?) ?(?:([kmgt])(i?)b|b?)", re.IGNORECASE
)


def whole(
    site: str,
    field: str,
    value: Any,
    least: int | None = None,
    *,
    allowed: str = "",
    error: type[Refused] = Refused,
) -> int:
    """Return a whole number as an int.

    >>> whole("audit", "draws", "3", 1)
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: audit: draws is '3', expected a whole number ≥ 1
    """
    number = index(value)
    if number is None or (least is not None and number < least):
        allowed = allowed or "a whole number" + ("" if least is None else f" ≥ {least}")
        raise error(Refusal(site, field, shown(value), allowed))
    return number


def listener(site: str, value: Any) -> Progress | None:
    """Return a callback for progress, which is called with (what, done, total).

    >>> listener("rewrite", None)
    """
    function: Progress | None = value
    if function is None or callable(value):
        return function
    allowed = "None, or a function of (what, done, total)"
    raise Refused(Refusal(site, "progress", shown(value), allowed))


def wholes(
    site: str,
    field: str,
    value: Any,
    least: int | None = None,
    *,
    allowed: str = "",
    error: type[Refused] = Refused,
) -> tuple[int, ...]:
    """Return several whole numbers as a tuple of ints.

    >>> wholes("to_conv", "feature_size", (3, 4.5, 5), 1)
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: to_conv: feature_size is (3, 4.5, 5), expected whole numbers ≥ 1
    """
    items = elements(value)
    numbers = [None] if items is None else [index(number) for number in items]
    if any(number is None or (least is not None and number < least) for number in numbers):
        allowed = allowed or "whole numbers" + ("" if least is None else f" ≥ {least}")
        raise error(Refusal(site, field, shown(value if items is None else items), allowed))
    return tuple(number for number in numbers if number is not None)


def elements(value: Any) -> tuple[Any, ...] | None:
    """Return what a sequence holds, None for what is none: text, mappings, sets, single things.

    >>> elements(range(3)), elements("123"), elements(7)
    ((0, 1, 2), None, None)
    """
    if isinstance(value, str | bytes | bytearray | Mapping | Set | type):
        return None
    try:
        if hasattr(value, "__len__") and len(value) > MOST:  # a tensor makes all rows at once
            return None
        items = tuple(itertools.islice(iter(value), MOST + 1))
    except Exception:  # whatever an object of others raises, it is no sequence
        return None
    return items if len(items) <= MOST else None


def flag(site: str, field: str, value: Any) -> bool:
    """Return a truth value; NumPy's will do.

    >>> flag("to_linear", "copy", "yes")
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: to_linear: copy is 'yes', expected True or False
    """
    if type(value).__name__ not in ("bool", "bool_"):
        raise Refused(Refusal(site, field, shown(value), "True or False"))
    return bool(value)


def fraction(site: str, field: str, value: Any) -> float:
    """Return a number between 0 and 1, both excluded.

    >>> fraction("prove", "failure_probability", 1e-9)
    1e-09
    """
    try:
        number = 0.0 if isinstance(value, str | bytes | bool) else float(value)
    except Exception:
        number = 0.0
    if not 0 < number < 1:
        raise Refused(Refusal(site, field, shown(value), "a number between 0 and 1"))
    return number


def byte_count(site: str, field: str, value: Any) -> int:
    """Return a number of bytes ≥ 1, from a whole number or from text with a unit.

    >>> byte_count("plan", "memory", "2GB"), byte_count("plan", "memory", "1.5 MiB")
    (2000000000, 1572864)
    >>> byte_count("plan", "memory", "2G")
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: plan: memory is '2G', expected bytes ≥ 1, such as 2GB or 512MiB
    """
    written = BYTES.fullmatch(value.strip()) if isinstance(value, str) else None
    number = index(value)
    if written:
        amount, prefix, binary = written.groups()
        unit = (1024 if binary else 1000) ** ("kmgt".index(prefix.lower()) + 1 if prefix else 0)
        number = int(Fraction(amount) * unit)  # a float makes 1.001 GB a byte too few
    if number is None or number < 1:
        raise Refused(Refusal(site, field, shown(value), "bytes ≥ 1, such as 2GB or 512MiB"))
    return number


def choice(site: str, field: str, value: Any, choices: Iterable[str]) -> str:
    """Return one of several names.

    >>> choice("to_linear", "groups", "batched", ("batched", "block_diagonal"))
    'batched'
    """
    names = tuple(choices)
    if not isinstance(value, str) or value not in names:
        raise Refused(Refusal(site, field, shown(value), " or ".join(map(repr, names))))
    return value


def shown(value: Any) -> Description:
    """Return a value as a message may show it: plain ones as they are, in short, others by type.

    >>> shown((1, "a")), shown(object())
    ("(1, 'a')", 'object')
    """
    if isinstance(value, int) and abs(value) > 2**64:
        return Description(f"a number {'below -' if value < 0 else 'above '}2⁶⁴")
    kind = Description(type(value).__name__)
    try:
        shape = getattr(value, "shape", ())
        if isinstance(value, PLAIN) or (hasattr(value, "item") and shape == ()):
            return Description(reprlib.repr(value))
    except Exception:  # an object of others, which cannot show itself
        return kind
    if not isinstance(shape, tuple) or not shape:
        return kind
    return Description(f"{kind} of shape {tuple(shape)}")


def index(value: Any) -> int | None:
    """Return a whole number, None for what is none; truth values are none."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except Exception:  # not TypeError alone: a tensor on the meta device raises another
        return None


def as_path(site: str, field: str, value: Any) -> Path:
    """Return the path of a file or a folder.

    >>> as_path("convert_checkpoint", "source", b"weights")
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: convert_checkpoint: source is b'weights', expected a path
    """
    try:
        return Path(value)
    except Exception as error:  # whatever the value's own methods raise
        raise Refused(Refusal(site, field, shown(value), "a path")) from error
