"""How far rounding alone can move a program's outputs.

A step behind a rounding, a sign or a comparison say, can make any difference of a last bit: of
`sign(x - x)` and `sign(x/3*3 - x)` neither is wrong. So before two sides that round are called
different, each is run again with its input and its weights moved by a few units in the last
place, up or down at random (the idea of Vignes's CESTAC, "A stochastic arithmetic for reliable
scientific computation", 1993). A difference that this explains is none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from convlin.numerics.roundoff import unit
from convlin.proof.outcome import Outcome, run
from convlin.proof.twins import home, named_tensors
from convlin.proof.ways import PLAIN, Way

__all__ = ["Side", "itself", "unexplained"]

TIMES = 96
"""An output that rounding moves a quarter of the time stays where it is this often once in 10¹², as
0.75⁹⁶ says. Half as often is once in 10⁶, a false alarm in a large model; twice as often takes
twice as long before every alarm."""
LAST_PLACES = 16
"""By how many units in the last place to move, at most: many values must come of it. Half of it
calls a jump 12 units away a fault; twice of it excuses one that is 24 units off."""

Side = tuple[Any, Callable[[Any], Any]]
"""A module, and what makes the program of it: nothing, or a conversion."""


def itself(module: Any) -> Any:
    """Return a module as it is: what a side that nobody converts is made by."""
    return module


def unexplained(
    far: Tensor,
    mine: Outcome,
    theirs: Outcome,
    sides: Sequence[Side],
    x: Tensor,
    dtype: torch.dtype,
    way: Way = PLAIN,
) -> Tensor:
    """Return which of the elements `far` apart lie further apart than rounding moves either side.

    dtype: whose last places are rounded. None does if the first side is not even the same in a
    second run.
    """
    module, make = sides[0]
    if not mine.gives(run(make(copy.deepcopy(module)), x.to(*home(module)), None, way)):
        return torch.zeros_like(far)
    apart = (mine.numbers - theirs.numbers).abs().nan_to_num(float("inf"))
    # One run that moves an element of either side by as much as the two lie apart is enough: then
    # rounding can do it.
    there = [_run(side, x, way).numbers for side in sides]
    for time in range(TIMES):
        for side, before in zip(sides, there, strict=True):
            after = _run(side, x, way, dtype, time).numbers
            if after.shape == before.shape == far.shape:
                far = far & (apart > (after - before).abs().nan_to_num(float("inf")))
        if not far.any():
            break
    return far


def _run(
    side: Side, x: Tensor, way: Way, dtype: torch.dtype | None = None, seed: int = 0
) -> Outcome:
    """Run once, on numbers moved in a dtype or not; random steps draw the same every time."""
    module, make = copy.deepcopy(side[0]), side[1]
    x = x.to(*home(module), copy=True)
    if dtype is not None:
        generator = torch.Generator().manual_seed(seed)
        for tensor in (x, *named_tensors(module).values()):
            if tensor.is_floating_point():
                _move(tensor, dtype, generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            program = make(module)
        except Exception as error:
            return Outcome(error=error)
        return run(program, x, None, way)


@torch.no_grad()
def _move(tensor: Tensor, dtype: torch.dtype, generator: torch.Generator) -> None:
    """Move every number up or down by less than a few units in the last place of a dtype.

    By no whole number of them: a wider dtype's last bits must not be the same every time.
    """
    # x(1 + 2u·r) lies r units in x's last place away, if x is a power of 2, and less than 2r else.
    eps = 2 * max(unit(dtype), unit(tensor.dtype))
    parts = torch.rand(tensor.shape, generator=generator, dtype=torch.float64) * 2 - 1
    tensor.copy_(tensor * (1 + eps * LAST_PLACES * parts.to(tensor.device)).to(tensor.dtype))
