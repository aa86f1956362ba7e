"""Which modules are running, innermost first: read off Python's stack, without hooks.

A frame is a module's if `self` is that module in it: in its methods, in their lambdas,
comprehensions and generators, and in PyTorch's own `nn.Module.__call__`, which every call goes
through, be `forward` wrapped, bound to another function, or a `functools.partial`. Functions
between belong to the module that called them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from convlin.models.trace import tensors_in

__all__ = ["Running", "outward", "running"]

CALL = nn.Module.__call__.__code__
BACKWARD = (torch.autograd.backward.__code__, torch.autograd.grad.__code__)
TORCH = str(Path(torch.__file__).parent)


class Running(NamedTuple):
    """A module on the stack, from one of its frames outwards to the first of another module.

    module: None for functions that no module called
    frame: its innermost frame; without a module, the innermost one outside PyTorch
    call: the frame in which it was called; None where but a method or a property of it is used
    forward: the frame below that one, with what hooks made of the arguments
    """

    module: nn.Module | None
    frame: FrameType
    call: FrameType | None = None
    forward: FrameType | None = None

    def first_input(self) -> Tensor | None:
        """Return the first tensor that the module was called with."""
        if self.forward is None:
            return None
        arguments = inspect.getargvalues(self.forward)
        names = (*arguments.args, arguments.varargs or "", arguments.keywords or "")
        taken = tensors_in([arguments.locals.get(name) for name in names])
        return taken[0] if taken else None


def running(frame: FrameType | None, below: FrameType) -> Iterator[Running]:
    """Yield the modules on the stack, from `frame` outwards to `below`; last, what is of none.

    What a backward pass does is nobody's, but for what it has modules compute again. On an
    accelerator it has a thread to itself, and with that a stack which does not lead to `below`.
    """
    module: nn.Module | None = None
    own: list[FrameType] = []
    between: list[FrameType] = []
    for outer in outward(frame):
        if outer is below or outer.f_code in BACKWARD:
            break
        found = _module_of(outer)
        if found is None:
            between.append(outer)
            continue
        if found is not module and module is not None:
            yield _running(module, own)
            own = []
        module, between = found, []
        own.append(outer)
    if module is not None:
        yield _running(module, own)
    if between and outer is below:
        outside = (f for f in between if not f.f_code.co_filename.startswith(TORCH))
        yield Running(None, next(outside, between[0]))


def outward(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame, the frame that called it, and so on."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def _module_of(frame: FrameType) -> nn.Module | None:
    code = frame.f_code
    # up to Python 3.12, `f_locals` copies every variable: not for frames that have no `self`
    if "self" not in code.co_varnames and "self" not in code.co_freevars:
        return None
    found = frame.f_locals.get("self")
    return found if isinstance(found, nn.Module) else None


def _running(module: nn.Module, own: list[FrameType]) -> Running:
    """Find, in frames of one module, innermost first, the call of it and its own code in that."""
    for at, frame in enumerate(own):
        if frame.f_code is CALL:
            return Running(module, own[0], frame, own[max(at - 1, 0)])
    forwards = [frame for frame in own if frame.f_code.co_name == "forward"]
    outermost = forwards[-1] if forwards else None  # of a `forward` that was called by its name
    return Running(module, own[0], outermost, outermost)
