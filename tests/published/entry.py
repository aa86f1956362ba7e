"""One published conversion, and what became of it on every layer of the sweep."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from convlin import Refused, prove
from convlin.errors import GeometryError
from convlin.proof import Refuted
from convlin.testing.answer import Judge
from convlin.testing.case import Case
from convlin.testing.sweep import sweep

Outcome: TypeAlias = Literal["right", "refused", "state lost", "crashed", "silently wrong"]
OUTCOMES: tuple[Outcome, ...] = ("right", "refused", "state lost", "crashed", "silently wrong")
REFUSALS = (ValueError, NotImplementedError, AssertionError)
ROUNDINGS = 256  # of the dtype, beside the largest output: sums of at most a hundred products

Pair: TypeAlias = tuple[nn.Module, Callable[[], nn.Module], tuple[int, ...]]


@dataclass(frozen=True)
class Entry:
    """A conversion of layers, by one of two functions.

    convert: takes a layer, with `sized` its spatial size as well, and returns what stands for it.
    pair: takes a case of the sweep, and returns what was there, a function that makes what
    replaces it, and the shape of one input; for what takes more than a layer.

    source: the package, or the system that it is restated from. checks: what it looks at before it
    converts. unbatched: whether it claims to take one input without a batch, as the layer does.
    """

    name: str
    source: str
    checks: str
    kinds: tuple[type[nn.Module], ...]
    convert: Callable[..., Any] | None = None
    pair: Callable[[Case], Pair] | None = None
    sized: bool = False
    unbatched: bool = False

    def outcomes(self, every: int = 1) -> dict[Case, Outcome]:
        """Return what became of it, on every layer of the sweep or every second, third, …"""
        cases = [case for kind in self.kinds for case in sweep(kind)[::every]]
        return {case: self.outcome(case) for case in cases}

    def counted(self, every: int = 1) -> Counter[Outcome]:
        """Return how often it came to what."""
        return Counter(self.outcomes(every).values())

    def outcome(self, case: Case) -> Outcome:
        """Return what became of it on one layer."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self._of_pair(case) if self.convert is None else self._of_layer(case)

    def _of_layer(self, case: Case) -> Outcome:
        """Let convlin's judge audit the conversion: for all weights, and as a drop-in."""
        judge = Judge(self.convert, None, self.sized, REFUSALS, self.unbatched, measured=True)
        answer = judge.answer(case)
        if answer.kind == "refused":
            return "refused"
        if answer.kind != "broken":
            return "right"
        if not isinstance(answer.verdict, Refuted):
            return "crashed"
        found = answer.verdict.counterexample
        if found.kind == "exception":
            return "crashed"
        if found.kind in ("contract", "dtype"):  # which the judge meets before any numbers
            layer = case.layer()
            size = (case.size,) if self.sized else ()
            return _plainly(layer, lambda: self.convert(copy.deepcopy(layer), *size), case.input_shape)
        return "silently wrong"

    def _of_pair(self, case: Case) -> Outcome:
        """Let convlin's judge compare the two, for all inputs."""
        try:
            original, replaced, shape = self.pair(case)
            other = replaced()
        except REFUSALS:
            return "refused"
        except Exception:
            return "crashed"
        try:
            verdict = prove(original, other, shape, failure_probability=1e-3, seed=0)
        except (Refused, GeometryError):  # it is the merged module that cannot be run
            return _plainly(original, lambda: other, shape)
        if not isinstance(verdict, Refuted):
            return "right"
        found = verdict.counterexample
        if found.kind in ("contract", "dtype") or "unbatched" in found.note:
            return _plainly(original, lambda: other, shape)
        return "crashed" if found.kind == "exception" else "silently wrong"


def _plainly(
    original: nn.Module, convert: Callable[[], nn.Module], shape: tuple[int, ...]
) -> Outcome:
    """Compare outputs of two images, where the judge found another fault before."""
    dtype = next(original.parameters()).dtype
    x = torch.randn(2, *shape).to(dtype)
    with torch.no_grad():
        expected = original(x)
        try:
            got = convert()(x)
        except Exception:
            return "crashed"
    return "state lost" if _close(expected, got) else "silently wrong"


def _close(expected: Tensor, got: Any) -> bool:
    if not isinstance(got, Tensor) or got.shape != expected.shape:
        return False
    bound = ROUNDINGS * torch.finfo(expected.dtype).eps * expected.abs().max()
    return bool((got - expected).abs().max() <= bound)
