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

__all__ = ["on_magnitudes"]

ARITHMETIC = RULES.keys() | COUNTED.keys()
DIFFERENCES = {"sub": ("self", "other"), "rsub": ("other", "self")}
"""From what to what; the second is multiplied by alpha."""
FACTORS = frozenset({"alpha", "beta", "fill_value", "other", "value"})
"""Arguments that are numbers of the arithmetic, and no axis or size, where they are numbers."""


def on_magnitudes(make: Callable[[], Any], x: Tensor) -> Outcome:
    """Return what a program whose weights are not negative gives for |x|, in float64.

    make: makes the program; a conversion is an operation on weights too.
    """
    with _Magnitudes():  # type: ignore[no-untyped-call]
        try:
            program = make()
        except Exception as error:
            return Outcome(error=error)
        return run(program, x.double().abs(), way=Way(len(x)))


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
        arguments = {
            name: argument if any(argument is w for w in written) else _magnitudes(name, argument)
            for name, argument in call.arguments.items()
        }
        if call.name == "neg":
            return written[0] if written else arguments["self"].clone()
        if call.name in DIFFERENCES:
            first, second = (arguments[name] for name in DIFFERENCES[call.name])
            total = first + second * arguments["alpha"]
            return written[0].copy_(total) if written else total
        if arguments.get("running_mean") is not None:
            arguments["running_mean"] = -arguments["running_mean"]
        return func(**arguments)


def _magnitudes(name: str, tree: Any) -> Any:
    if isinstance(tree, int | float):
        return abs(tree) if name in FACTORS and not isinstance(tree, bool) else tree
    return tree_map(_magnitude, tree)


def _magnitude(leaf: Any) -> Any:
    numbers = isinstance(leaf, Tensor) and leaf.is_floating_point()
    return leaf.abs() if numbers and bool((leaf < 0).any()) else leaf
