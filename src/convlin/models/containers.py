"""What a model returns, as plain tuples, lists and dicts, and how to make of those what it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Container", "opened"]

PLAIN = (tuple, list, dict)


@dataclass(frozen=True)
class Container:
    """A container of the model's own kind, and those in it; `kind` None: a leaf, or a plain one."""

    kind: Any
    inside: tuple[Any, ...]
    named: bool = False

    def closed(self, value: Any, make: Callable[..., Any]) -> Any:
        """Return what was opened again, of its plain form; `make(kind, *args, **named)` calls."""
        if isinstance(value, dict):
            pairs = zip(value.items(), self.inside, strict=True)
            value = {key: part.closed(each, make) for (key, each), part in pairs}
        elif isinstance(value, tuple | list):
            pairs = zip(value, self.inside, strict=True)
            value = type(value)(part.closed(each, make) for each, part in pairs)
        if self.kind is None:
            return value
        if isinstance(value, dict):
            return make(self.kind, **value) if self.named else make(self.kind, value)
        return make(self.kind, *value)


def opened(value: Any) -> tuple[Any, Container]:
    """Return a value in plain containers, and what they were: named tuples, data classes, others.

    >>> from collections import Counter
    >>> plain, container = opened([Counter(a=1), (2, 3)])
    >>> plain
    [{'a': 1}, (2, 3)]
    >>> container.closed(plain, lambda kind, *args, **named: kind(*args, **named))
    [Counter({'a': 1}), (2, 3)]
    """
    kind = None if type(value) in PLAIN else type(value)
    named = dataclasses.is_dataclass(value) and not isinstance(value, type)
    if isinstance(value, dict) or named:
        names = value if isinstance(value, dict) else [f.name for f in dataclasses.fields(value)]
        items = [(key, value[key] if isinstance(value, dict) else getattr(value, key))
                 for key in names]  # fmt: skip
        parts = {key: opened(each) for key, each in items}
        plain = {key: part for key, (part, _) in parts.items()}
        return plain, Container(kind, tuple(inside for _, inside in parts.values()), named)
    if isinstance(value, tuple | list):
        made = [opened(each) for each in value]
        base = list if isinstance(value, list) else tuple
        return base(part for part, _ in made), Container(kind, tuple(each for _, each in made))
    return value, Container(None, ())
