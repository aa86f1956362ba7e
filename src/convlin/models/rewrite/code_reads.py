"""Whose weights the code of a model's modules uses, found without running it.

A module's own code is its `forward`, and what of itself that goes through: methods, properties, and
what they override and call as `super()`. Where such code uses `self.CHILD.weight` it reads the
child, unless it asks for no more than its dtype, its shape, or whether it is None.

What is found may be in a branch that no input takes; `calls_and_reads.py` says what one input does.
What is handed to other functions first (`helper(self.child)`, `getattr`, `zip`) is not found.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections import defaultdict
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch import Tensor, nn

from convlin.models.rewrite.attribute_paths import EACH, Path, uses_of
from convlin.models.rewrite.layout_questions import asks_for_layout

__all__ = ["code_reads"]


def code_reads(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Return the layers whose parameters other modules use, and these modules, by dotted names.

    >>> code_reads(nn.Sequential(nn.MultiheadAttention(4, 2)))
    {'0.out_proj': ('0',)}
    """
    names = {module: name for name, module in model.named_modules()}
    reads: defaultdict[str, dict[str, None]] = defaultdict(dict)  # of sets that keep the order
    for reader, name in names.items():
        own = list(reader.parameters(recurse=False))
        for path in _paths(reader):
            for child, parameter in _parameters_at(reader, path):
                if child in names and not any(parameter is mine for mine in own):
                    reads[names[child]][name] = None
    return {name: tuple(readers) for name, readers in reads.items()}


def _paths(module: nn.Module) -> set[Path]:
    """Return what a module's `forward` uses of it, and what of its methods that goes through."""
    own = vars(module).get("forward")  # a hook's, say, instead of the class's
    kind: type = type(module)
    return _paths_from(kind, tuple(_codes(own or inspect.getattr_static(kind, "forward"))))


@functools.cache
def _paths_from(kind: type, codes: tuple[CodeType, ...]) -> set[Path]:
    waiting, seen, paths = list(codes), set[CodeType](), set[Path]()
    while waiting:
        code = waiting.pop()
        if code in seen:
            continue
        seen.add(code)
        uses = uses_of(code)
        paths |= uses.paths
        for path in uses.paths:
            waiting += _codes(inspect.getattr_static(kind, str(path[0]), None))
        for name in uses.above:
            for base in kind.__mro__:
                waiting += _codes(vars(base).get(name))
    return paths


def _codes(member: Any) -> Iterator[CodeType]:
    """Yield the code of a method or a property, and of the function that a decorator put in it."""
    match member:
        case FunctionType():
            yield member.__code__
        case MethodType():
            yield from _codes(member.__func__)
        case property():
            yield from _codes(member.fget)
        case functools.cached_property() | functools.partial() | functools.partialmethod():
            yield from _codes(member.func)
    yield from _codes(getattr(member, "__wrapped__", None)) if member is not None else ()


def _parameters_at(module: nn.Module, path: Path) -> Iterator[tuple[nn.Module, Tensor]]:
    """Yield the parameters of other modules that a path leads to, each with the module it is of."""
    reached = _step(module, path[0])
    for step, after in itertools.pairwise((*path[1:], "")):
        for holder in reached:
            parameter = holder._parameters.get(str(step))
            if parameter is not None and not asks_for_layout(str(after)):
                yield holder, parameter
        reached = [further for one in reached for further in _step(one, step)]


def _step(module: nn.Module, step: str | int) -> list[nn.Module]:
    """Return the modules that an attribute or an item may be."""
    inside = [child for child in module._modules.values() if child is not None]
    if step == EACH:
        return [module, *inside]  # itself: a slice of a list is a list
    if isinstance(step, int):
        return inside[step : step + 1 or None]
    found = module._modules.get(step) or vars(module).get(step)
    return [found] if isinstance(found, nn.Module) else []
