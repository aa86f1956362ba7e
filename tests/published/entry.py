"""One published conversion, and what became of it on every layer of the sweep."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from convlin import prove
from convlin.proof import Proved, Refuted, Rounded, Verdict
from convlin.testing.answer import Judge, _steady
from convlin.testing.case import Case
from convlin.testing.sweep import sweep

Outcome: TypeAlias = Literal["right", "refused", "state lost", "crashed", "silently wrong"]
OUTCOMES: tuple[Outcome, ...] = ("right", "refused", "state lost", "crashed", "silently wrong")
REFUSALS = (ValueError, NotImplementedError, AssertionError)  # most of them refuse by an assert
LIKELY = 1e-3  # enough for a count: two draws of what a proof takes seven for
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
        with _steady(0):
            return self._of_pair(case) if self.convert is None else self._of_layer(case)

    def _of_layer(self, case: Case) -> Outcome:
        """Let convlin's judge audit the conversion: for all weights, and as a drop-in."""
        assert self.convert is not None
        judge = Judge(self.convert, None, self.sized, REFUSALS, self.unbatched, measured=True)
        answer = judge.answer(case)
        if answer.kind == "refused":
            return "refused"
        if answer.verdict is None:
            return "crashed"
        layer, size = case.layer(), (case.size,) if self.sized else ()
        convert = partial(self.convert, copy.deepcopy(layer), *size)
        return _outcome(answer.verdict, layer, convert, case.input_shape)

    def _of_pair(self, case: Case) -> Outcome:
        """Let convlin's judge compare the two, for all inputs."""
        assert self.pair is not None
        try:
            original, replaced, shape = self.pair(case)
            other = replaced()
        except REFUSALS:
            return "refused"
        except Exception:
            return "crashed"
        verdict = prove(original, other, shape, failure_probability=LIKELY, seed=0)
        return _outcome(verdict, original, lambda: other, shape)


def _outcome(
    verdict: Verdict, original: nn.Module, convert: Callable[[], Any], shape: tuple[int, ...]
) -> Outcome:
    """Return what a verdict means; where it is not about numbers, they are compared plainly."""
    if isinstance(verdict, Proved | Rounded):
        return "right"
    if not isinstance(verdict, Refuted):  # measured, with or without a bound
        return _plainly(original, convert, shape)
    found = verdict.counterexample
    if found.kind == "exception" and found.note:
        # In a memory format or without a batch, which other layers of the sweep are there for.
        return _plainly(original, convert, shape)
    if found.kind in ("contract", "dtype"):
        # What the judge meets before any numbers; they may be wrong besides.
        plain = _plainly(original, convert, shape)
        return "state lost" if plain == "right" else plain
    return "crashed" if found.kind == "exception" else "silently wrong"


def _plainly(original: nn.Module, convert: Callable[[], Any], shape: tuple[int, ...]) -> Outcome:
    """Compare the outputs of two random inputs."""
    x = torch.randn(2, *shape).to(next(original.parameters()).dtype)
    with torch.no_grad():
        expected = original(x)
        try:
            got = convert()(x)
        except Exception:
            return "crashed"
    return "right" if _close(expected, got) else "silently wrong"


def _close(expected: Tensor, got: Any) -> bool:
    if not isinstance(got, Tensor) or got.shape != expected.shape:
        return False
    bound = ROUNDINGS * torch.finfo(expected.dtype).eps * expected.abs().max()
    return bool((got - expected).abs().max() <= bound)
