"""Programs that remember how often they were called, each in another kind of memory.

What the 1000th call does, nobody saw. Every maker returns a function that counts its calls.
"""

from __future__ import annotations

import array
import collections
import contextvars
import functools
import itertools
import random
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["COUNTERS", "Counted"]

Tick = Callable[[], Any]
LIST: list[int] = []
NUMBER = 0
LAST = 1000


class _Attribute:
    calls = 0

    def tick(self) -> int:
        self.calls += 1
        return self.calls


class _Slot:
    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0


class _Module(nn.Module):
    calls = 0

    def forward(self) -> int:
        self.calls += 1
        return self.calls


class _Class:
    calls = 0


class _Property:
    calls = 0

    @property
    def tick(self) -> int:
        type(self).calls += 1
        return self.calls


def _set(holder: Any, value: int) -> int:
    holder.calls = value
    return value


def _closure() -> Tick:
    calls = 0

    def tick() -> int:
        nonlocal calls
        calls += 1
        return calls

    return tick


def _global_number() -> int:
    global NUMBER
    NUMBER += 1
    return NUMBER


def _default(calls: list[int] = []) -> int:  # noqa: B006 - the mistake itself
    calls.append(1)
    return len(calls)


def _cached() -> Tick:
    @functools.cache
    def cached(number: int) -> int:
        return number

    return lambda: cached(cached.cache_info().currsize)


def _of_function() -> int:
    _of_function.calls = getattr(_of_function, "calls", 0) + 1  # type: ignore[attr-defined]
    return _of_function.calls  # type: ignore[attr-defined]


def _generated() -> Iterator[int]:
    calls = 0
    while True:
        calls += 1
        yield calls


def _appended(calls: Any) -> Tick:
    return lambda: (calls.append(1), len(calls))[1]


def _next(calls: Iterator[Any]) -> Tick:
    return lambda: next(calls, LAST)


def _on(holder: Any) -> Tick:
    return lambda: _set(holder, getattr(holder, "calls", 0) + 1)


def _in_place(calls: Any) -> Tick:
    return lambda: calls.__iadd__(1)[0]


COUNTERS: dict[str, Callable[[], Tick]] = {
    "list": lambda: _appended([]),
    "nested-list": lambda: (lambda tree: _appended(tree["a"][0]))({"a": ([],)}),
    "dict": lambda: (lambda d: lambda: d.update(n=d.get("n", 0) + 1) or d["n"])({}),
    "defaultdict": lambda: _appended(collections.defaultdict(list)["calls"]),
    "set": lambda: (lambda s: lambda: (s.add(len(s)), len(s))[1])(set()),
    "counter": lambda: (lambda c: lambda: (c.update("n"), c["n"])[1])(collections.Counter()),
    "deque": lambda: _appended(collections.deque(maxlen=2 * LAST)),
    "bytearray": lambda: _appended(bytearray()),
    "array": lambda: _appended(array.array("b")),
    "numpy-array": lambda: _in_place(np.zeros(1)),
    "numpy-generator": lambda: (lambda g: lambda: g.integers(0, 2**60) // 2**59)(
        np.random.default_rng(0)
    ),
    "random": lambda: (lambda g: lambda: g.randrange(2**40) == 3)(random.Random(0)),
    "tensor": lambda: _in_place(torch.zeros(1, dtype=torch.int64)),
    "tensor-in-a-list": lambda: (lambda items: _in_place(items[0]))([torch.zeros(1)]),
    "tensor-attribute": lambda: _on(torch.zeros(1)),
    "count": lambda: _next(itertools.count()),
    "range-iterator": lambda: _next(iter(range(LAST))),
    "list-iterator": lambda: _next(iter(list(range(LAST)))),
    "cycle": lambda: _next(itertools.cycle([0] * LAST + [LAST])),
    "generator": lambda: _next(_generated()),
    "attribute": lambda: _Attribute().tick,
    "slot": lambda: _on(_Slot()),
    "namespace": lambda: _on(types.SimpleNamespace()),
    "class": lambda: lambda: _set(_Class, _Class.calls + 1),
    "property": lambda: (lambda p: lambda: p.tick)(_Property()),
    "module-in-a-list": lambda: (lambda items: lambda: items[0]())([_Module()]),
    "closure": _closure,
    "default-argument": lambda: _default,
    "function-attribute": lambda: _of_function,
    "context-variable": lambda: (lambda v: lambda: (v.set(v.get() + 1), v.get())[1])(
        contextvars.ContextVar("calls", default=0)
    ),
    "thread-local": lambda: _on(threading.local()),
    "cache": _cached,
    "partial": lambda: functools.partial(_appended([])),
    "method": lambda: functools.partial(_Attribute.tick, _Attribute()),
    "global-list": lambda: lambda: (LIST.append(1), len(LIST))[1],
    "global-number": lambda: _global_number,
}


class Counted(nn.Module):
    """A layer whose output is flipped from the 1000th call on."""

    def __init__(self, layer: nn.Module, tick: Tick) -> None:
        super().__init__()
        self.layer, self.tick = layer, tick
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return y.flip(-1) if self.tick() >= LAST else y
