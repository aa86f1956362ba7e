"""Seen, not only derived: the model and its rewrite, both run on the example.

In their own dtype, which shows how rounding differs; and in float64 copies, where rounding is about
1e-13 in deep networks and a difference of 1e-10 of the largest output is an error that raises. A
model that computes in a narrower dtype inside is held to half of that dtype's digits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused
from convlin.internals.trees import tree_map
from convlin.layers.unchanged import same_random_numbers, unchanged
from convlin.models.differences import Dtypes, relative
from convlin.models.rewrite.rewrite_report import SeenOutputs
from convlin.models.rewrite.swap import Exchanged, swap
from convlin.models.trace import tensors_in
from convlin.numerics.roundoff import unit
from convlin.proof.twins import Twins, named_tensors

__all__ = ["Example", "apart_in_float64", "apart_in_own_dtype", "undisturbed"]

TOLERANCE = 1e-10


class Example:
    """What a model is called with: a tensor, a tuple of arguments, or a dict of named ones."""

    def __init__(self, given: Any) -> None:
        self.named = dict(given) if isinstance(given, dict) else {}
        rest = given if isinstance(given, tuple | list) else (given,)
        self.args: tuple[Any, ...] = () if isinstance(given, dict) else tuple(rest)

    def __call__(self, model: nn.Module) -> Any:
        """Call a model, on copies of the tensors, into which it may write."""
        args, named = tree_map(_copied, (self.args, self.named))
        return model(*args, **named)

    def wide(self) -> Example:
        """Return the same in float64, on the CPU."""
        wide = Example(None)
        wide.args, wide.named = tree_map(_in_float64, (self.args, self.named))
        return wide


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _in_float64(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    value = value.detach().cpu()
    return value.double() if value.is_floating_point() else value


def apart_in_own_dtype(
    rewritten: nn.Module, own: Sequence[Tensor], example: Example, in_float64: float | None
) -> SeenOutputs:
    """Return how far the rewrite's outputs are from the model's `own`, which were observed.

    Raises `Refused` where they are further apart than half of the digits, and float64 copies, which
    would tell rounding from a difference, do not run.
    """
    started = time.perf_counter()
    with undisturbed(rewritten):
        theirs = tensors_in(example(rewritten))
    difference = _apart(own, theirs)
    floats = [tensor.dtype for tensor in own if tensor.is_floating_point()]
    dtype = max(floats, key=unit, default=torch.float32)
    if in_float64 is None and difference > sqrt(unit(dtype)):
        raise _refused(rewritten, difference, sqrt(unit(dtype)))
    name = str(dtype).removeprefix("torch.")
    return SeenOutputs(len(own), name, difference, in_float64, time.perf_counter() - started)


def apart_in_float64(
    model: nn.Module, exchanges: Sequence[Exchanged], example: Example
) -> float | None:
    """Return how far a model and its rewrite are apart, as float64 copies; None: they do not run.

    Raises `Refused` where rounding does not explain it.
    """
    try:
        twins = Twins([model])
        for region in twins.regions:
            region.target.copy_(region.source)
        copied, wide = twins.twin(model), example.wide()
        dtypes = Dtypes()
        with undisturbed(copied), dtypes:
            mine = tensors_in(wide(copied))
    except Exception:  # whatever keeps it from being copied, or from running in float64
        return None
    rewritten = swap(copied, exchanges).model
    with undisturbed(rewritten):
        off = _apart(mine, tensors_in(wide(rewritten)))
    narrowest = max((torch.float64, *dtypes.seen), key=unit)
    tolerance = TOLERANCE if narrowest == torch.float64 else sqrt(unit(narrowest))
    if off > tolerance:
        raise _refused(model, off, tolerance)
    return off


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put back what a run sets in a model and in the generators of random numbers."""
    tensors = list(named_tensors(model).values())
    with unchanged(model), same_random_numbers(tensors):
        yield


def _apart(own: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    if len(own) != len(theirs):
        return torch.inf
    return max(map(relative, own, theirs), default=0.0)


def _refused(model: nn.Module, off: float, tolerance: float) -> Refused:
    value = Description(f"off by {off:.2g} of the largest output")
    reason = "seen on the example, though every site was derived to be equal"
    allowed = f"the model's, within {tolerance:.0e}"
    return Refused(Refusal(type(model).__name__, "output", value, allowed, reason))
