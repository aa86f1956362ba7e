"""Seen, not only derived: every network is run against its model before it is returned.

Nothing here knows how the network was made; it is two programs, a window and a stride. Both are
run, in float64 copies, on noise: at the window, and, where every window is said to be equal, on an
image a few strides larger against the model on its crops (`side_by_side.py`). A difference above
1e-10 of the largest output is an error that names the first layer where the two part
(`parting.py`).

A model that cannot be copied, or not run in float64, is run as it is, with a wider tolerance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from convlin.errors import Refusal, Refused
from convlin.layers.unchanged import same_random_numbers
from convlin.models.dense.network import FullyConvolutional
from convlin.models.dense.parting import Pair
from convlin.models.dense.side_by_side import Comparison
from convlin.models.grouped import AllGroupsAtOnce
from convlin.models.seen_run import AgainstModel
from convlin.proof.twins import Twins, named_tensors, shadow

__all__ = ["Refold", "run_against"]


@dataclass(frozen=True)
class Refold:
    """A kernel that was computed from a Linear's weight, and so rounded: how to compute it anew.

    `exact` takes the weight in float64 and the kernel's own dtype; it returns the kernel, and how
    far from that rounding may have taken the one in its own dtype, element by element.
    """

    site: str
    kernel: nn.Module
    linear: nn.Module
    exact: Callable[[Tensor, torch.dtype], tuple[Tensor, Tensor]]


def run_against(
    model: nn.Module, network: FullyConvolutional, *, exact: bool, refolds: Sequence[Refold] = ()
) -> AgainstModel:
    """Return what running both showed; raise `Refused`, naming the layer, where they part.

    `exact`: every window of a larger image must agree too; if not, how far those are off is
    noted. Neither module is changed, nor the state of any random generator.
    """
    started = time.perf_counter()
    tensors = list(named_tensors(model).values())
    if any(tensor.is_meta for tensor in tensors):
        return AgainstModel(why="weights on the meta device have no values")
    with _untouched(tensors):
        try:
            with AllGroupsAtOnce():
                seen = Comparison(_in_float64(model, network, refolds)).made(exact)
        except Refused:
            raise
        except Exception:  # whatever keeps it from being copied, or from running in float64
            seen = Comparison(_as_it_is(model, network)).made(exact)
    return replace(seen, seconds=time.perf_counter() - started)


def _in_float64(model: nn.Module, network: FullyConvolutional, refolds: Sequence[Refold]) -> Pair:
    """Return copies in float64 on the CPU, where both still share what they share."""
    parts = [part for refold in refolds for part in (refold.kernel, refold.linear)]
    twins = Twins([model, network, *parts])
    twins.take()
    for refold in refolds:
        _refold(refold, twins.twin(refold.kernel).weight, twins.twin(refold.linear).weight)
    like = torch.empty(0, dtype=torch.float64)
    return Pair(twins.twin(model), twins.twin(network), like, copied=True)


def _refold(refold: Refold, kernel: Tensor, weight: Tensor) -> None:
    """Write the exact kernel over the rounded one, which must be near it."""
    rounded: Tensor = refold.kernel.get_parameter("weight")
    exact, bound = refold.exact(weight, rounded.dtype)
    beyond = (kernel - exact).abs() > bound
    if beyond.any():
        index = tuple(beyond.nonzero()[0].tolist())
        value, fits = float(kernel[index]), f"{exact[index]} within {bound[index]:.2g}"
        reason = "folded anew from the weight of the Linear"
        raise Refused(Refusal(refold.site, f"weight{list(index)}", value, fits, reason))
    kernel.copy_(exact)


def _as_it_is(model: nn.Module, network: FullyConvolutional) -> Pair:
    """Return the two in their own dtype, on their own device; buffers copied if they can be."""
    like = next((t for t in named_tensors(model).values() if t.is_floating_point()), torch.empty(0))
    with suppress(Exception):  # what cannot be copied is run itself
        model = shadow(model)
    return Pair(model, network, torch.empty(0, dtype=like.dtype, device=like.device), copied=False)


@contextmanager
def _untouched(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Put everything back as it was: random states, and buffers that a forward writes into."""
    buffers = [(t, t.clone()) for t in tensors if not isinstance(t, nn.Parameter)]
    with same_random_numbers(tensors), torch.no_grad():
        try:
            yield
        finally:
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)
