"""Which layers of a model a rewrite is about: by glob pattern, by type, or by a predicate."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from torch import nn

from convlin.arguments import elements, shown
from convlin.errors import Description, Refusal, Refused, one_line

__all__ = ["Selection", "selected"]

Predicate: TypeAlias = Callable[[str, nn.Module], bool]
One: TypeAlias = "str | type[nn.Module] | Predicate"
Selection: TypeAlias = "One | Sequence[One] | None"

NEAREST = 3


def selected(sites: Mapping[str, nn.Module], only: Selection, skip: Selection) -> list[str]:
    """Return the names that `only` selects (None: all) and `skip` does not, in order.

    A pattern or type that selects nothing is an error; a pattern's names the nearest names.

    >>> sites = {"stem": nn.Conv2d(3, 5, 1), "layer1.0.conv": nn.Conv2d(5, 7, 1)}
    >>> selected(sites, "layer1.*", None)
    ['layer1.0.conv']
    >>> selected(sites, "layers.*", None)
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: rewrite: only is 'layers.*', expected a pattern that matches a site \
(nearest: 'layer1.0.conv')
    """
    names = set(sites) if only is None else set().union(*_matched(sites, "only", only))
    skipped = set() if skip is None else set().union(*_matched(sites, "skip", skip))
    return [name for name in sites if name in names - skipped]


def _matched(sites: Mapping[str, nn.Module], field: str, selection: Any) -> Iterator[set[str]]:
    items = elements(selection)
    for one in (selection,) if items is None else items:
        names = {name for name, layer in sites.items() if _takes(field, one, name, layer)}
        if not names and isinstance(one, str | type):
            raise Refused(_nothing(sites, field, one))
        yield names


def _takes(field: str, one: Any, name: str, layer: nn.Module) -> bool:
    if isinstance(one, str):
        return fnmatchcase(name, one)
    if isinstance(one, type) and issubclass(one, nn.Module):
        return isinstance(layer, one)
    allowed, reason = "glob patterns, types of modules, or a function of (name, module)", ""
    if callable(one) and not isinstance(one, type | nn.Module):
        try:
            return bool(one(name, layer))
        except Exception as error:
            reason = one_line(error)
    raise Refused(Refusal("rewrite", field, shown(one), allowed, reason))


def _nothing(sites: Mapping[str, nn.Module], field: str, one: Any) -> Refusal:
    if isinstance(one, type):
        types = sorted({type(layer).__name__ for layer in sites.values()})
        allowed = f"a type of which there is a site ({', '.join(types) or 'there are no sites'})"
        return Refusal("rewrite", field, Description(one.__name__), allowed)
    near = difflib.get_close_matches(one, sites, n=NEAREST, cutoff=0.3) or list(sites)[:NEAREST]
    nearest = f"nearest: {', '.join(map(repr, near))}" if near else "the model has no sites"
    return Refusal("rewrite", field, one, "a pattern that matches a site", nearest)
