"""How far rounding alone can move a program's outputs.

A step behind a rounding, a sign or a comparison say, can make any difference of a last bit: of
`sign(x - x)` and `sign(x/3*3 - x)` neither is wrong. So before two sides that round are called
different, each is run again with its input and its weights moved by a unit in the last place,
up or down at random (the idea of Vignes's CESTAC, "A stochastic arithmetic for reliable
scientific computation", 1993). A difference that this explains is none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from convlin.proof.outcome import Outcome, run
from convlin.proof.twins import home, named_tensors
from convlin.proof.ways import PLAIN, Way

__all__ = ["Side", "unexplained"]

TIMES = 16
"""An output that rounding moves half of the time stays where it is this often once in 2¹⁶."""

Side = tuple[Any, Callable[[Any], Any]]
"""A module, and what makes the program of it: nothing, or a conversion."""


def unexplained(
    mine: Outcome,
    theirs: Outcome,
    sides: Iterable[Side],
    x: Tensor,
    way: Way = PLAIN,
) -> Tensor:
    """Return which elements of two outcomes lie further apart than rounding moves either side."""
    apart = (mine.numbers - theirs.numbers).abs().nan_to_num(float("inf"))
    moved = torch.zeros_like(apart)
    for side in sides:
        there = _run(side, x, way).numbers
        for time in range(TIMES):
            after = _run(side, x, way, time).numbers
            if after.shape == there.shape == moved.shape:
                step = (after - there).abs().nan_to_num(float("inf"))
                moved = torch.maximum(moved, step)
    return apart > moved


def _run(side: Side, x: Tensor, way: Way, moved: int | None = None) -> Outcome:
    """Run once, on moved numbers or not; random steps draw the same numbers every time."""
    module, make = copy.deepcopy(side[0]), side[1]
    x = x.to(*home(module), copy=True)
    if moved is not None:
        generator = torch.Generator().manual_seed(moved)
        for tensor in (x, *named_tensors(module).values()):
            if tensor.is_floating_point():
                _move(tensor, generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            program = make(module)
        except Exception as error:
            return Outcome(error=error)
        return run(program, x, None, way)


@torch.no_grad()
def _move(tensor: Tensor, generator: torch.Generator) -> None:
    """Move every number by a unit in the last place, up or down."""
    up = torch.rand(tensor.shape, generator=generator) < 0.5
    factor = 1 + torch.finfo(tensor.dtype).eps * (2.0 * up - 1)
    tensor.copy_(tensor * factor.to(tensor.device, tensor.dtype))
