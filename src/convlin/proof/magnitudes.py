"""A program run on magnitudes: what its roundings can add up to.

With every number replaced by its absolute value, every difference by a sum, and every mean that is
subtracted by one that is added, each result is the sum of the magnitudes of what is summed in it:
n roundings move the true result by at most γₙ of that (Higham, "Accuracy and Stability of Numerical
Algorithms", 2nd ed., chapter 3). Quotients and roots are left as they are: `convlin.proof.listed`
counts them only where nothing cancels in what they divide by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from convlin.internals.dispatch import TorchDispatchMode, has_parts, run_as_parts
from convlin.internals.trees import tree_map
from convlin.proof.listed import COUNTED, RULES
from convlin.proof.operation import Operation
from convlin.proof.outcome import Outcome, run
from convlin.proof.ways import Way

__all__ = ["added", "on_magnitudes"]

ARITHMETIC = RULES.keys() | COUNTED.keys()
DIFFERENCES = {"sub": ("self", "other"), "rsub": ("other", "self")}
"""From what to what; the second is multiplied by alpha."""
FACTORS = frozenset({"alpha", "beta", "fill_value", "other", "value"})
"""Arguments that are numbers of the arithmetic, and no axis or size, where they are numbers."""


def on_magnitudes(make: Callable[[], Any], x: Tensor, way: Way | None = None) -> Outcome:
    """Return what a program whose weights are not negative gives for |x|, in float64.

    make: makes the program; a conversion is an operation on weights too. way: how to hand it over,
    if not as one batch.
    """
    with _Magnitudes():  # type: ignore[no-untyped-call]
        try:
            program = make()
        except Exception as error:
            return Outcome(error=error)
        return run(program, x.double().abs(), way=way or Way(len(x)))


def added(call: Operation, of: Callable[[Tensor], Tensor]) -> Any:
    """Return an operation's results where nothing is subtracted, and no factor is below 0.

    of: what to put in the place of each tensor of floats.
    """
    arguments = {name: _argument(name, tree, of) for name, tree in call.arguments.items()}
    if call.name == "neg":
        return arguments["self"].clone()
    if call.name in DIFFERENCES:
        first, second = (arguments[name] for name in DIFFERENCES[call.name])
        return first + second * arguments["alpha"]
    if arguments.get("running_mean") is not None:
        arguments["running_mean"] = -arguments["running_mean"]
    return call.func(**arguments)


def _magnitude(tensor: Tensor) -> Tensor:
    """Return the magnitudes of a tensor's elements; itself, if none is negative."""
    return tensor.abs() if bool((tensor < 0).any()) else tensor


def _argument(name: str, tree: Any, of: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(tree, int | float):
        return abs(tree) if name in FACTORS and not isinstance(tree, bool) else tree

    def replaced(leaf: Any) -> Any:
        return of(leaf) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf

    return tree_map(replaced, tree)


class _Magnitudes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Let every operation have magnitudes for operands, and add where it would subtract."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if has_parts(func):
            with self:
                return run_as_parts(func, args, kwargs or {})
        call = Operation(func, args, kwargs or {})
        if call.name not in ARITHMETIC:  # a view must stay one, of memory that is yet to be filled
            return func(*args, **kwargs or {})
        written = call.written
        out = added(call, lambda t: t if any(t is w for w in written) else _magnitude(t))
        return written[0].copy_(out) if written and out is not written[0] else out
