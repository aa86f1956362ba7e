"""One run of a model, and who used each layer's parameters in it: the layer itself, or others.

A parent may use a child's weight without calling the child, as `nn.MultiheadAttention` does with
its `out_proj`: a form put in the child's place then never runs. No hook tells, for hooks see calls
alone, and turn PyTorch's fast paths off. So the operations are watched, as the dispatcher runs
them, and each is given to the innermost module on the Python stack:

| the innermost module is | the operation |
|---|---|
| the layer, in a call of its own | is part of a *call* of the layer, whatever it takes |
| another, or none, and it takes a parameter of the layer | *reads* the layer |

Parameters are known by their memory, so that `.data`, views and detached copies are they, and by
the copy in another dtype that autocast makes once and hands out again. Who asks for no more than
`weight.dtype` or for `zeros_like` is no reader. Not seen are kernels that take bare pointers, and
other threads.

What is seen holds for this run, with gradients or without, in training or not, as it was made.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from convlin.internals.dispatch import TorchDispatchMode, is_operator
from convlin.internals.storages import storage_id, weak
from convlin.models.graph.operations import name_of
from convlin.models.rewrite.layout_questions import asks_for_layout
from convlin.models.rewrite.on_the_stack import Running, outward, running
from convlin.models.trace import tensors_in

__all__ = ["Reader", "Seen", "observed"]


@dataclass(frozen=True)
class Reader:
    """Code that used a layer's parameters outside the layer's own calls.

    name: dotted name of the innermost module that was running; None if it is none of the model's
    layer: the class of that module; None without one
    code: the function; with its file and line, if no name says where it is
    """

    name: str | None
    layer: str | None
    code: str

    def __str__(self) -> str:
        """Return e.g. "encoder.attention (MultiheadAttention)"."""
        return self.code if self.name is None else f"{self.name or 'the model'} ({self.layer})"


@dataclass(frozen=True)
class Seen:
    """What one run showed of a layer.

    calls: how often it was called; what is computed again for a backward pass counts again
    inputs: the shapes of the first tensor that it took, each once, in the order seen
    readers: who else used its parameters, each once, in the order seen
    """

    calls: int
    inputs: tuple[tuple[int, ...], ...]
    readers: tuple[Reader, ...]


def observed(
    model: nn.Module, sites: Mapping[str, nn.Module], run: Callable[[], Any]
) -> tuple[dict[str, Seen], Any]:
    """Run a model once, and return what became of its layers `sites`, and what `run` returned.

    Compiled parts run as the Python that they were compiled from.

    >>> attention = nn.MultiheadAttention(4, 2)
    >>> x = torch.ones(3, 1, 4)
    >>> seen, _ = observed(attention, {"out_proj": attention.out_proj}, lambda: attention(x, x, x))
    >>> seen["out_proj"].calls, *map(str, seen["out_proj"].readers)
    (0, 'the model (MultiheadAttention)')
    """
    watch = _Watch(model, sites.values(), below=sys._getframe())
    try:
        with torch.compiler.set_stance("force_eager"), watch:
            result = run()
        return {name: watch.seen(site) for name, site in sites.items()}, result
    finally:
        del watch  # it refers to this frame, which would keep it, and the model with it


class _Span(NamedTuple):
    """Bytes of a storage, `start` to before `stop`, in which a module holds a parameter."""

    start: int
    stop: int
    holder: nn.Module


class _Notes:
    """What was noted of one site; the dictionaries are sets that keep the order."""

    def __init__(self) -> None:
        self.calls = 0
        self.inputs: dict[tuple[int, ...], None] = {}
        self.readers: dict[Reader, None] = {}


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives every operation to the module that ran it; `below` is the frame that the run is in."""

    supports_higher_order_operators = True  # else torch.cond and flex_attention fail

    def __init__(self, model: nn.Module, sites: Iterable[nn.Module], below: FrameType) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.below = below
        self.notes = {site: _Notes() for site in sites}
        self.names = {module: name for name, module in model.named_modules()}
        self.calls: set[FrameType] = set()  # those of sites that are running
        self.spans: defaultdict[int, list[_Span]] = defaultdict(list)  # by the storage's number
        self.numbers: list[Any] = []  # what keeps these numbers from being given again
        self.hold_parameters()

    def seen(self, site: nn.Module) -> Seen:
        notes = self.notes[site]
        return Seen(notes.calls, tuple(notes.inputs), tuple(notes.readers))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        frame = sys._getframe().f_back
        innermost = next(running(frame, self.below), None)
        if innermost is not None and innermost.call is not None:
            self.note_call(innermost, innermost.call)
        name = name_of(func).rpartition("::")[2]
        taken = [self.overlapping(tensor) for tensor in tensors_in((args, kwargs))]
        for spans in filter(None, taken):
            if not asks_for_layout(name):
                self.note_reader({span.holder for span in spans}, running(frame, self.below))
        if not is_operator(func):
            args = [self.inside(part) if callable(part) else part for part in args]
        result = func(*args, **(kwargs or {}))
        if name == "_to_copy":
            # autocast casts a parameter once, for whoever comes first, and keeps the copy
            for span in taken[0]:
                self.hold(result, span.holder)
        return result

    def inside(self, part: Callable[..., Any]) -> Callable[..., Any]:
        """Return a part of an operation of higher order, such as a branch, watched as all else."""

        def watched(*args: Any) -> Any:
            with self:
                return part(*args)

        return watched

    def note_call(self, user: Running, call: FrameType) -> None:
        if user.module not in self.notes or call in self.calls:
            return
        notes = self.notes[user.module]
        notes.calls += 1
        taken = user.first_input()
        if taken is not None and not taken.is_nested:  # which has no shape to tell
            notes.inputs[tuple(taken.shape)] = None
        # frames of calls that are over are dropped, and all that they keep with them
        self.calls = {call, *self.calls.intersection(outward(call))}
        if not all(map(self.overlapping, user.module.parameters(recurse=False))):
            self.hold_parameters()  # others since, as under torch.func.functional_call

    def note_reader(self, holders: set[nn.Module], users: Iterable[Running]) -> None:
        """Note the innermost module that does not hold a parameter which an operation takes."""
        for user in users:
            if user.module not in holders:
                for holder in holders & self.notes.keys():
                    self.notes[holder].readers[self.reader(user)] = None
                return
            if user.call is not None:
                return
            # else somebody outside it uses a property or a method of the layer

    def reader(self, user: Running) -> Reader:
        code = user.frame.f_code
        name = None if user.module is None else self.names.get(user.module)
        layer = None if user.module is None else type(user.module).__name__
        where = f" ({Path(code.co_filename).name}:{user.frame.f_lineno})" if name is None else ""
        return Reader(name, layer, code.co_qualname + where)

    def hold_parameters(self) -> None:
        for holder in self.names:
            for parameter in holder.parameters(recurse=False):
                self.hold(parameter, holder)

    def hold(self, tensor: Tensor, holder: nn.Module) -> None:
        number = _storage_number(tensor)
        span = _Span(*_reach(tensor), holder)
        if span not in self.spans[number]:
            self.spans[number].append(span)
            self.numbers.append(weak(tensor) if number >= 0 else tensor)

    def overlapping(self, tensor: Tensor) -> list[_Span]:
        spans = self.spans.get(_storage_number(tensor))
        if not spans:
            return []
        start, stop = _reach(tensor)
        return [span for span in spans if span.start < stop and start < span.stop]


def _storage_number(tensor: Tensor) -> int:
    """Return the number of a tensor's storage; below 0, of a tensor that has none to itself."""
    try:
        return storage_id(tensor)
    except RuntimeError:
        return -id(tensor)


def _reach(tensor: Tensor) -> tuple[int, int]:
    """Return the first byte of its storage that a tensor uses, and the one behind its last."""
    try:
        size, first = tensor.element_size(), int(tensor.storage_offset())
        steps = zip(tensor.shape, tensor.stride(), strict=True)
        return first * size, (first + sum((n - 1) * step for n, step in steps) + 1) * size
    except RuntimeError:
        return 0, 1
