"""How far rounding can take a network's outputs, layer by layer: e ← |W|·e + what a layer rounds.

A running error analysis (Wilkinson; Higham, "Accuracy and Stability of Numerical Algorithms", 2nd
ed., section 3.3): beside every tensor of a run in float64 goes a bound e of what it may be off in
the dtype. An affine layer multiplies it by |W| and adds γₙ·(|W|·(|x| + e) + |b|); weights that are
rounded add their own u-th part. What is 1-Lipschitz (ReLU, a clamp, a maximum) hands e on. Through
anything else no bound is derived, and it is said through what.

The bound is a worst case: every rounding of every layer goes the wrong way. It grows with |W| where
the numbers themselves grow with W, by a few times a layer, so of a deep network it says little.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from convlin.internals.dispatch import TorchDispatchMode, has_parts, run_as_parts
from convlin.internals.storages import storage_id
from convlin.numerics.roundoff import gamma, unit
from convlin.proof.listed import MOVES, NORMALISATION, SHAPE_ONLY, products, summands
from convlin.proof.magnitudes import added
from convlin.proof.operation import Operation, tensors
from convlin.proof.twins import Twins, named_tensors

__all__ = ["NoBound", "through_layers"]


def _largest_window(call: Operation) -> int:
    # ⌈n/m⌉ + 1 pixels at most lie in one of m windows of n
    sizes = zip(call.arguments["self"].shape[-2:], call.arguments["output_size"], strict=True)
    return prod(-(-n // m) + 1 for n, m in sizes)


SUMMANDS: dict[str, Callable[[Operation], int]] = {
    "_adaptive_avg_pool2d": _largest_window,
    "add": lambda call: 1,
    "addmm": lambda call: int(call.arguments["mat1"].shape[-1]),
    "avg_pool2d": lambda call: prod(call.arguments["kernel_size"]),
    "bmm": lambda call: int(call.arguments["self"].shape[-1]),
    "convolution": lambda call: products(call.arguments),
    "div": lambda call: 1,
    "mean": lambda call: summands(call.arguments),
    "mm": lambda call: int(call.arguments["self"].shape[-1]),
    "mul": lambda call: 1,
    "native_batch_norm": lambda call: NORMALISATION - 1,
    "sub": lambda call: 1,
    "sum": lambda call: summands(call.arguments),
}
"""What an element sums, of operations that are linear in each argument: one rounding for each, and
one for what is added to the sum or divides it."""
LIPSCHITZ = frozenset({"clamp", "clamp_min", "hardtanh", "relu"})
"""Operations on single elements that move no two of them apart."""


class NoBound(Exception):
    """No bound is derived through an operation, which is named."""


def through_layers(
    module: nn.Module, x: Tensor, dtype: torch.dtype, rounded: Collection[str] = ()
) -> tuple[Tensor, Tensor]:
    """Return what a module gives for `x` in float64, and how far off it may be in `dtype`.

    rounded: parameters that are off by their u-th part themselves, as those of merged layers are.
    Raises `NoBound`.

    >>> layer, x = nn.Linear(3, 2), torch.ones(1, 3)
    >>> y, bound = through_layers(layer, x, torch.float32)
    >>> bool(((y - layer(x)).abs() <= bound).all())
    True
    """
    twins = Twins([module])
    twins.take()
    program, bounds = twins.twin(module), _Bounds(unit(dtype))
    for name, tensor in named_tensors(program).items():
        if name in rounded:
            bounds.note(tensor, tensor.detach().abs() * unit(dtype))
    with torch.no_grad(), bounds:
        y = program(x.to(dtype).double())
    if not isinstance(y, Tensor):
        raise NoBound(f"an output that is a {type(y).__name__}")
    return y, bounds.of(y)


class _Bounds(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Know how far off everything may be that is computed while it is entered."""

    def __init__(self, u: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._u = u
        self._known: dict[int, tuple[Tensor, Tensor]] = {}  # with the tensor, so that it stays

    def note(self, tensor: Tensor, bound: Tensor) -> None:
        """Say how far off a tensor may be."""
        self._known[id(tensor)] = tensor, bound

    def of(self, tensor: Tensor) -> Tensor:
        """Return how far off a tensor may be: not at all, if nobody said so."""
        known = self._known.get(id(tensor))
        return torch.zeros_like(tensor) if known is None else known[1]

    def largest(self, tensor: Tensor) -> Tensor:
        """Return how large its elements may be."""
        return tensor.abs() + self.of(tensor)

    def gamma(self, n: int) -> float:
        """Return γₙ; 16 bits are summed in float32, and then the sum, and a bias, are stored."""
        summing = gamma(n, min(self._u, unit(torch.float32)))
        if summing is None:
            raise NoBound(f"n·u ≥ 1 for {n} summands")
        return summing + (4 * self._u if self._u > unit(torch.float32) else 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if has_parts(func):
            with self:
                return run_as_parts(func, args, kwargs or {})
        call = Operation(func, args, kwargs or {})
        bound = self._bound(call)
        for written in call.written:
            shared = storage_id(written)
            if any(storage_id(t) == shared and t is not written for t, _ in self._known.values()):
                raise NoBound(f"{call.title}, which writes into memory that others read")
        out = func(*args, **kwargs or {})
        if bound is not None:
            for tensor, its in zip(tensors(out), tensors(bound), strict=False):
                self.note(tensor, its)
        return out

    def _bound(self, call: Operation) -> Any:
        """Return how far off the results of an operation may be; None if not at all."""
        floats = [tensor for tensor in call.operands if tensor.is_floating_point()]
        if call.name in SUMMANDS and floats and not call.arguments.get("training"):
            # |F(x + e) - F(x)| ≤ F(|x| + e) - F(|x|), for F that is linear in each argument
            large, exact = (tensors(added(call, of))[0] for of in (self.largest, Tensor.abs))
            return large - exact + self.gamma(SUMMANDS[call.name](call) + 1) * large
        if call.name in SHAPE_ONLY or not any(id(tensor) in self._known for tensor in floats):
            return None
        if call.name in LIPSCHITZ:
            return self.of(call.arguments["self"])
        if call.name in MOVES | {"constant_pad_nd"} or call.name.startswith("max_pool"):
            return added(call, self.of)
        raise NoBound(call.title)
