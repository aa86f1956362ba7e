"""Seen, not only derived: the model and its rewrite, both run on the example.

In their own dtype, which shows how rounding differs; and in float64 copies, where rounding is about
1e-13 in deep networks and a difference of 1e-10 of the largest output is an error that raises. A
model that computes in a narrower dtype inside is held to half of that dtype's digits.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused, one_line
from convlin.internals.trees import tree_map
from convlin.layers.unchanged import same_random_numbers, unchanged
from convlin.models.differences import Dtypes, relative
from convlin.models.rewrite.calls_and_reads import observed
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
        named = isinstance(given, Mapping)
        self.named: dict[str, Any] = dict(given) if named else {}
        rest = given if isinstance(given, tuple | list) else (given,)
        self.args: tuple[Any, ...] = () if named else tuple(rest)

    def __call__(self, model: nn.Module) -> Any:
        """Call a model, on copies of what it is given, into which it may write."""
        args, named = tree_map(_copied, (self.args, self.named))
        return model(*args, **named)

    def wide(self) -> Example:
        """Return the same in float64, on the CPU."""
        wide = Example(None)
        wide.args, wide.named = tree_map(_in_float64, (self.args, self.named))
        return wide


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    try:
        return copy.deepcopy(value)  # a cache, say, that the model fills
    except Exception:
        return value


def _in_float64(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    wide = value.detach().cpu()
    wide = wide.double() if value.is_floating_point() else wide
    return wide.requires_grad_(value.requires_grad)


def apart_in_own_dtype(
    rewritten: nn.Module, own: Sequence[Tensor], example: Example, in_float64: float | None,
    sites: Sequence[str],
) -> SeenOutputs:  # fmt: skip
    """Return how far the rewrite's outputs are from the model's `own`, which were observed.

    Raises `Refused` where they are further apart than half of the digits, and float64 copies, which
    would tell rounding from a difference, do not run; and where an exchanged site is not called:
    something holds the layer that was there before.
    """
    started = time.perf_counter()
    watched = {
        f"{site} {part}": module
        for site in sites
        for part, module in rewritten.get_submodule(site).named_modules()
    }
    with undisturbed(rewritten):
        try:
            seen, result = observed(rewritten, watched, lambda: example(rewritten))
        except Exception as error:  # a form takes fewer arguments than the layer, say
            raise _fails(rewritten, error) from error
    called = {name.partition(" ")[0] for name, of_it in seen.items() if of_it.calls}
    if forgotten := [site for site in sites if site not in called]:
        raise Refused(_not_called(forgotten[0]))
    compared = _apart(own, tensors_in(result))
    floats = [tensor.dtype for tensor in own if tensor.is_floating_point()]
    dtype = max(floats, key=unit, default=torch.float32)
    if compared is not None and in_float64 is None and compared > sqrt(unit(dtype)):
        raise _refused(rewritten, compared, sqrt(unit(dtype)))
    name = str(dtype).removeprefix("torch.")
    return SeenOutputs(len(own), name, compared, in_float64, time.perf_counter() - started)


def apart_in_float64(
    model: nn.Module, exchanges: Sequence[Exchanged], example: Example
) -> float | None:
    """Return how far a model and its rewrite are apart, as float64 copies; None: they do not run.

    Raises `Refused` where rounding does not explain it.
    """
    try:
        twins = Twins([model])
        twins.take()
        copied, wide = twins.twin(model), example.wide()
        dtypes = Dtypes()
        with undisturbed(copied), dtypes:
            mine = tensors_in(wide(copied))
    except Exception:  # whatever keeps it from being copied, or from running in float64
        return None
    rewritten = swap(copied, exchanges).model
    with undisturbed(rewritten), Dtypes():  # as the model was: it keeps PyTorch from fast paths
        try:
            off = _apart(mine, tensors_in(wide(rewritten)))
        except Exception as error:
            raise _fails(rewritten, error) from error
    narrowest = max((torch.float64, *dtypes.seen), key=unit)
    tolerance = TOLERANCE if narrowest == torch.float64 else sqrt(unit(narrowest))
    if off is not None and off > tolerance:
        raise _refused(model, off, tolerance)
    return off


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put back what a run sets in a model and in the generators of random numbers."""
    tensors = list(named_tensors(model).values())
    with unchanged(model), same_random_numbers(tensors):
        yield


def _apart(own: Sequence[Tensor], theirs: Sequence[Tensor]) -> float | None:
    """Return how far outputs are apart; None where there is no number to compare."""
    if len(own) != len(theirs):
        return torch.inf
    pairs = [
        (_dense(mine), _dense(other))
        for mine, other in zip(own, theirs, strict=True)
        if not (mine.is_meta or other.is_meta)
    ]
    numbers = any(mine.isfinite().any() for mine, _ in pairs)
    return max((relative(*pair) for pair in pairs), default=0.0) if numbers else None


def _dense(tensor: Tensor) -> Tensor:
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def _fails(rewritten: nn.Module, error: Exception) -> Refused:
    value, allowed = Description(one_line(error)), "no error, as of the model; try keys='same'"
    return Refused(Refusal(type(rewritten).__name__, "rewritten", value, allowed))


def _not_called(site: str) -> Refusal:
    allowed = "called, as it was in the model"
    reason = "something else holds the layer that was there: in_place=True, keys='same' changes it"
    return Refusal(site, "layer", Description("not called in the copy"), allowed, reason)


def _refused(model: nn.Module, off: float, tolerance: float) -> Refused:
    value = Description(f"off by {off:.2g} of the largest output")
    reason = "seen on the example, though every site was derived to be equal"
    allowed = f"the model's, within {tolerance:.0e}"
    return Refused(Refusal(type(model).__name__, "output", value, allowed, reason))
