"""What a program remembers beside its weights, and what of it no watch can see into.

Looked for in its attributes and its classes', in the closures, defaults and attributes of its
functions, in the globals that their code names, and in the objects that any of these hold. Not
looked at: what hooks note for their owners, and what lies behind libraries (a file, a clock, the
generators of torch and numpy).
"""

from __future__ import annotations

import dis
import functools
import sys
import threading
import types
from collections.abc import Iterator
from concurrent.futures import Executor
from contextvars import ContextVar
from functools import _lru_cache_wrapper
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlin.proof.storage import sample

__all__ = ["hidden", "state"]

LIBRARIES = frozenset({"numpy", "torch", *sys.stdlib_module_names})
"""Whose classes and functions are taken to remember nothing themselves."""
WRITTEN = ("torch.fx.", "torch.export.", "torch._")
"""Where the classes of graphs, and of what was noted when they were traced, come from: they are the
program as it is written, and caches of theirs say nothing of what it remembers."""
MOST = 100_000
"""How many objects are looked at; a program that holds more is compared by these. Half of it misses
what a list of 80,000 objects remembers last; twice of it takes twice as long, ten times a proof."""
HOOKS = frozenset(key for key in vars(nn.Module()) if "hooks" in key)
GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL"})
PLAIN = (bool, int, float, complex, str, bytes, bytearray, types.NoneType)


def state(program: Any) -> list[str | bytes]:
    """Return all that a program remembers: two lists are equal if nothing changed in between.

    >>> calls = []
    >>> program = lambda x: calls.append(x)
    >>> before = state(program)
    >>> program(3)
    >>> state(program) == before
    False
    """
    return [_printed(thing) for thing in _reachable(program)]


def hidden(program: Any) -> str:
    """Return what a program holds whose operations no watch sees, "" if nothing.

    >>> hidden(nn.Linear(2, 3))
    ''
    """
    return next(filter(None, map(_hides, _reachable(program))), "")


def _hides(thing: object) -> str:
    if isinstance(thing, torch.jit.ScriptModule):
        return "a ScriptModule"
    if isinstance(thing, torch.jit.ScriptFunction):
        return "a ScriptFunction"
    if isinstance(thing, nn.Module) and type(thing).__module__.startswith("torch._dynamo"):
        return "a compiled module"
    if isinstance(thing, types.FunctionType) and "_torchdynamo_orig_callable" in vars(thing):
        disabled = getattr(thing, "_torchdynamo_disable", False)  # wrapped too, not to be compiled
        return "" if disabled else "a compiled function"
    if isinstance(thing, Executor | Thread):
        return f"a {type(thing).__name__} of its own"
    return ""


def _printed(thing: Any) -> str | bytes:
    """Return the contents of one thing, without those of the things that it holds."""
    if isinstance(thing, PLAIN):
        return repr(thing)
    if isinstance(thing, Tensor):
        return f"{thing.dtype}{tuple(thing.shape)}".encode() + _numbers(thing)
    if isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
        return f"{thing.dtype}{thing.shape}".encode() + thing.tobytes()
    return type(thing).__name__


def _numbers(tensor: Tensor) -> bytes:
    try:
        return sample(tensor)
    except (NotImplementedError, RuntimeError):  # no memory to look into
        return b""


def _reachable(program: Any) -> Iterator[Any]:
    """Yield everything that a program holds, each once, always in the same order."""
    seen: dict[int, Any] = {}  # and keeps what is made on the way, so that no id is used again
    waiting = [program]
    while waiting and len(seen) < MOST:
        thing = waiting.pop()
        if isinstance(thing, PLAIN):
            yield thing
        elif id(thing) not in seen:
            seen[id(thing)] = thing
            yield thing
            waiting += reversed(_parts(thing))  # a stack: the first part is looked at next


def _parts(thing: Any) -> list[Any]:
    """Return what one thing holds."""
    if isinstance(thing, np.ndarray | types.ModuleType):
        return []
    if isinstance(thing, Tensor):
        return [vars(thing)]
    if isinstance(thing, types.FunctionType):
        return [] if _of_a_library(thing) else _parts_of_function(thing)
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, staticmethod | classmethod):
        return [thing.__func__]
    if isinstance(thing, property):
        return [thing.fget]
    if isinstance(thing, type):
        return [] if _of_a_library(thing) else [*thing.__mro__[1:], *vars(thing).values()]
    if isinstance(thing, ContextVar):
        return [thing.get(None)]
    if isinstance(thing, threading.local):
        return [type(thing), vars(thing)]
    if isinstance(thing, _lru_cache_wrapper):
        return [*thing.cache_info(), thing.__wrapped__]
    if isinstance(thing, types.GeneratorType):
        frame = thing.gi_frame
        return [] if frame is None else [frame.f_lasti, *frame.f_locals.values()]
    if isinstance(thing, dict):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)
    if not isinstance(thing, nn.Module) and f"{type(thing).__module__}.".startswith(WRITTEN):
        return []
    if isinstance(thing, nn.Module):
        return [type(thing), {k: v for k, v in vars(thing).items() if k not in HOOKS}]
    return [type(thing), *_reduced(thing)]


def _parts_of_function(function: types.FunctionType) -> list[Any]:
    cells = [c.cell_contents for c in function.__closure__ or () if c != types.CellType()]
    named = [function.__globals__.get(name) for name in sorted(_names(function.__code__))]
    return [*cells, function.__defaults__, function.__kwdefaults__, vars(function), *named]


@functools.lru_cache(maxsize=4096)  # a proof asks for the same ones hundreds of times
def _names(code: types.CodeType) -> frozenset[str]:
    """Return the names of globals in a function's code, inner functions too."""
    named = {i.argval for i in dis.get_instructions(code) if i.opname in GLOBAL}
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return frozenset(named).union(*map(_names, inner))


def _reduced(thing: Any) -> list[Any]:
    """Return what an object would be pickled as; nothing if it cannot be."""
    try:
        parts = thing.__reduce_ex__(4)
    except Exception:
        return []
    if isinstance(parts, str):
        return [parts]
    _maker, arguments, *rest = parts
    return [arguments, *(list(p) if isinstance(p, Iterator) else p for p in rest)]


def _of_a_library(thing: Any) -> bool:
    return str(thing.__module__ or "").partition(".")[0] in LIBRARIES
