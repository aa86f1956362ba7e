"""What a conversion answers to one layer: right, refused, only measured, or broken."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from convlin.arguments import shown
from convlin.errors import Refusal, Refused, one_line
from convlin.proof import Proved, Refuted, Verdict, audit
from convlin.proof.same import same
from convlin.testing.case import Case

__all__ = ["KINDS_OF_ANSWER", "Answer", "Judge", "Kind"]

Kind: TypeAlias = Literal["right", "refused", "measured", "broken"]
KINDS_OF_ANSWER: tuple[Kind, ...] = ("right", "refused", "measured", "broken")
NUMBERS = ("weight", "bias", "value")
UNCHANGED = "it returns the layer as it was"


@dataclass(frozen=True)
class Answer:
    """A conversion's answer to one layer.

    verdict: the judge's, None for a layer that was not converted, and `reason` says why.
    """

    case: Case
    kind: Kind
    verdict: Verdict | None = None
    reason: str = ""

    @property
    def way(self) -> tuple[str, ...]:
        """In what way it is broken: the smallest layer shall be broken in the same."""
        if self.verdict is None:
            return (self.kind, self.reason)
        if not isinstance(self.verdict, Refuted):
            return (self.kind, self.verdict.kind)
        found = self.verdict.counterexample
        if found.kind in NUMBERS:
            return (self.kind, "numbers")
        unbatched = "unbatched" * ("unbatched" in found.note)
        if found.kind == "exception":
            return (self.kind, str(found.got).partition(":")[0], unbatched)
        return (self.kind, found.kind, found.field, unbatched)


@dataclass(frozen=True)
class Judge:
    """A conversion, and how it is judged: see `convlin.testing.check`."""

    convert: Callable[..., Any]
    where: Callable[..., Any] | None = None
    sized: bool = False
    refusals: tuple[type[Exception], ...] = (ValueError, NotImplementedError)
    unbatched: bool = True
    copies: bool | None = None
    measured: bool = False
    seed: int = 0

    def answer(self, case: Case) -> Answer | None:
        """Return the answer to a case; None for a layer that `where` leaves out."""
        layer = case.layer(self.seed)
        size = (case.size,) if self.sized else ()
        with _steady(self.seed):
            if not self._tries(layer, *size):
                return None
            reason = self._declined(layer, *size)
            if reason:
                return Answer(case, "refused" if self.refusals else "broken", reason=reason)
            try:
                verdict = audit(
                    lambda subject: self._converted(subject, *size), layer, case.input_shape,
                    draws=1, seed=self.seed, copies=self.copies, unbatched=self.unbatched,
                )  # fmt: skip
            except _Declined as refused:  # not this layer, but a copy of it in float64
                return Answer(case, "refused", reason=refused.refusals[0].reason)
        if isinstance(verdict, Proved):
            return Answer(case, "right", verdict)
        passes = self.measured and not isinstance(verdict, Refuted)
        return Answer(case, "measured" if passes else "broken", verdict)

    def _tries(self, layer: nn.Module, *size: Any) -> bool:
        """Whether `where` lets a layer be tried."""
        try:
            return self.where is None or bool(self.where(layer, *size))
        except Exception as error:
            allowed = "a function that says of each layer whether to try it"
            reason = f"it raised {one_line(error)}"
            raise Refused(Refusal("check", "where", shown(self.where), allowed, reason)) from error

    def _declined(self, layer: nn.Module, *size: Any) -> str:
        """Return why a conversion does not take a layer; "" if it does, or breaks.

        Functions on whole models wrap a lone layer in a Sequential, and return it with the layer.
        """
        subject, untouched = copy.deepcopy(layer), copy.deepcopy(layer)
        try:
            converted = self.convert(subject, *size)
        except self.refusals as error:
            return one_line(error)
        except Exception:  # the judge shall meet it too, and say so
            return ""
        if converted is None:
            return "it returns None"
        while type(converted) is nn.Sequential and len(converted) == 1:
            converted = converted[0]
        kept = same(subject, untouched) and same(converted, untouched)
        return UNCHANGED if kept else ""

    def _converted(self, subject: nn.Module, *size: Any) -> Any:
        """Convert a layer for the judge, which lets no refusal pass but convlin's own."""
        try:
            return self.convert(subject, *size)
        except self.refusals as error:
            said = Refusal("check", "layer", shown(subject), "one that it takes", one_line(error))
            raise _Declined(said) from error
        except Refused as error:
            raise _Unwanted(one_line(error)) from error


class _Declined(Refused):
    """A conversion's refusal, on its way through the judge."""


class _Unwanted(Exception):
    """A refusal of convlin's where `refusals` has none of its kind."""


@contextmanager
def _steady(seed: int) -> Iterator[None]:
    """Let every layer be judged alike, whatever came before: random numbers of one seed.

    And in one thread: sums of a few numbers are not worth waking others for, which takes ten times
    as long as the sums.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
            torch.manual_seed(seed % 2**63)
            yield
    finally:
        torch.set_num_threads(threads)
