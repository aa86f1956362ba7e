"""Two programs that are one: the same code with the same numbers, bit for bit.

Nothing has to be drawn for these, whatever they are made of: equal for every input by identity.
Only what can be read off is called the same: objects of one class with equal attributes, tensors
of equal bits, strides and dtype, tied alike; functions of the same code that close over the same;
two traced graphs of the same text. What is none of these is not compared, and not the same.
Neither is a program that gives another output in a second run, that draws a random number, or
that remembers having been called: what it does then, no comparison of programs says.
"""

from __future__ import annotations

import enum
import functools
import random
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from convlin.internals.dispatch import TorchDispatchMode
from convlin.internals.trees import TreeSpec, tree_leaves
from convlin.proof.outcome import Outcome, run
from convlin.proof.remembered import state
from convlin.proof.storage import identity, sample
from convlin.proof.twins import named_tensors
from convlin.proof.watch import Watch

__all__ = ["repeats", "same"]

VALUES = (
    bool, int, float, complex, str, bytes, type(None), type(...), range, slice, enum.Enum,
    torch.dtype, torch.device, torch.memory_format, torch.layout, torch.Size, TreeSpec,
)  # fmt: skip
"""Types whose objects are the same if they are written the same."""
DERIVED = frozenset({"_graph", "_code", "_lineno_map", "_prologue_start", "meta"})
"""Attributes of a traced module that its text says as well, or that do not run."""


class _Bare:
    """An object with nothing but attributes: no larger than this is all that can be read off."""


def same(one: Any, other: Any) -> bool:
    """Whether two programs are the same code with bit-identical numbers.

    >>> one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    >>> same(one, one), same(one, other), other.load_state_dict(one.state_dict()), same(one, other)
    (True, False, <All keys matched successfully>, True)
    """
    return _Pairs().same(one, other)


def repeats(program: Any, x: Tensor) -> Outcome | None:
    """Return what a program gives for `x`; None if it may give something else the next time.

    It runs three times: the first time with uninitialised memory poisoned, and with every operation
    that says it draws random numbers in sight.
    """
    chance, before = _Chance(), _memory(program)  # type: ignore[no-untyped-call]
    with chance:
        first = run(program, x, Watch())
    steady = all(first.gives(run(program, x)) for _ in range(2))
    return first if steady and not chance.met and _memory(program) == before else None


class _Chance(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notice operations that draw random numbers where `_memory` does not see it.

    That is from a generator of their own, or on a device. An attention says that it may draw
    numbers for a dropout, whether it does or not.
    """

    met = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags:
            leaves = tree_leaves((args, kwargs, out))
            tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
            own = any(isinstance(leaf, torch.Generator) for leaf in leaves)
            self.met = self.met or own or any(t.device.type != "cpu" for t in tensors)
        return out


def _memory(program: Any) -> list[Any]:
    """Return what a program, and the generators of random numbers, remember."""
    tensors = named_tensors(program).items()
    numbers = [(name, sample(t)) for name, t in tensors if identity(t) is not None]
    generators = (torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state()))
    return [state(program), numbers, *generators]


class _Pairs:
    """What was compared so far: an object of one side has one counterpart on the other."""

    def __init__(self) -> None:
        self._there: dict[Any, Any] = {}
        self._back: dict[Any, Any] = {}
        self._alive: list[Any] = []

    def _met(self, one: Any, other: Any) -> bool | None:
        """Whether two keys are each other's counterpart; None, and noted, if both are new."""
        if one in self._there or other in self._back:
            return bool(self._there.get(one) == other and self._back.get(other) == one)
        self._there[one], self._back[other] = other, one
        return None

    def same(self, one: Any, other: Any) -> bool:
        """Whether two objects are the same, as parts of their programs."""
        if isinstance(one, VALUES):
            return type(one) is type(other) and repr(one) == repr(other)
        if one is other and not isinstance(one, Tensor | nn.Module):
            return True
        met = self._met(id(one), id(other))
        if met is not None:
            return met
        self._alive += [one, other]  # so that no identity is used again meanwhile
        if isinstance(one, fx.GraphModule) and isinstance(other, fx.GraphModule):
            return self._traced(one, other)
        return type(one) is type(other) and self._parts(one, other)

    def _parts(self, one: Any, other: Any) -> bool:
        """Whether two objects of one type have the same parts."""
        match one:
            case Tensor():
                return self._tensors(one, other)
            case np.ndarray():
                fields = ("dtype", "shape", "strides")
                alike = all(getattr(one, field) == getattr(other, field) for field in fields)
                return alike and not one.dtype.hasobject and one.tobytes() == other.tobytes()
            case Mapping():
                return self.same(list(one), list(other)) and self.same(
                    list(one.values()), list(other.values())
                )
            case list() | tuple():
                return len(one) == len(other) and all(map(self.same, one, other))
            case set() | frozenset():
                return one == other and all(isinstance(element, VALUES) for element in one)
            case types.FunctionType():
                return self._functions(one, other)
            case types.MethodType():
                parts = ("__func__", "__self__")
                return all(self.same(getattr(one, part), getattr(other, part)) for part in parts)
            case types.CellType():
                return self.same(_contents(one), _contents(other))
            case functools.partial():
                halves = (
                    (one.func, one.args, one.keywords),
                    (other.func, other.args, other.keywords),
                )
                return self.same(*halves)
        if isinstance(one, nn.Module):
            return self._modules(one, other)
        if type(one).__basicsize__ > _Bare.__basicsize__ or not hasattr(one, "__dict__"):
            return one is other
        return self.same(vars(one), vars(other))

    def _functions(self, one: Any, other: Any) -> bool:
        if one.__code__ != other.__code__ or not self._globals(one, other):
            return False
        parts = ("__defaults__", "__kwdefaults__", "__closure__", "__dict__")
        return all(self.same(getattr(one, part), getattr(other, part)) for part in parts)

    def _globals(self, one: Any, other: Any) -> bool:
        """Whether two functions look names up in the same globals, or were generated alike."""
        generated = one.__code__.co_filename.startswith("<")
        if generated:
            return self.same(one.__globals__, other.__globals__)
        return one.__globals__ is other.__globals__

    def _traced(self, one: fx.GraphModule, other: fx.GraphModule) -> bool:
        """Whether two traced graphs say the same, and what they name is the same."""
        texts = [side.graph.python_code("self") for side in (one, other)]
        written = texts[0].src == texts[1].src and self.same(texts[0].globals, texts[1].globals)
        return written and self._modules(one, other)

    def _modules(self, one: nn.Module, other: nn.Module) -> bool:
        """Whether two modules have the same attributes, hooks by order and not by number."""
        mine, theirs = (
            {
                name: value
                for name, value in vars(side).items()
                if name not in DERIVED and "state_dict" not in name  # hooks of loading and saving
            }
            for side in (one, other)
        )
        for name in [name for name, value in mine.items() if isinstance(value, dict)]:
            if "_hooks" in name and isinstance(theirs.get(name), dict):
                hooks, others = mine.pop(name), theirs.pop(name)
                met = [
                    self._met(("hook", a), ("hook", b)) for a, b in zip(hooks, others, strict=False)
                ]
                if len(hooks) != len(others) or False in met:
                    return False
                if not self.same(list(hooks.values()), list(others.values())):
                    return False
        return self.same(mine, theirs)

    def _tensors(self, one: Tensor, other: Tensor) -> bool:
        """Whether two tensors have the same bits, laid out and tied alike."""
        stores = identity(one), identity(other)
        if None in stores or "meta" in (one.device.type, other.device.type):
            return one is other
        tied = self._met(("storage", stores[0]), ("storage", stores[1])) is not False
        if one is other:
            return tied
        fields = ("dtype", "device", "shape", "requires_grad")
        if any(getattr(one, field) != getattr(other, field) for field in fields):
            return False
        laid_out = (one.stride(), one.storage_offset()) == (other.stride(), other.storage_offset())
        return tied and laid_out and _bits_equal(one, other) and self.same(vars(one), vars(other))


def _contents(cell: types.CellType) -> Any:
    """Return what a cell holds; itself if that is nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return cell


def _bits_equal(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same bits: 0 is not -0, and NaN may be NaN."""
    bits = [t.detach().contiguous().reshape(-1).view(torch.uint8) for t in (one, other)]
    return bool(torch.equal(bits[0], bits[1]))
