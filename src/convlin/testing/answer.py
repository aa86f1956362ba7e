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

from convlin.errors import Description, Refusal, Refused, one_line
from convlin.proof import Measured, Proved, Refuted, Verdict, audit
from convlin.proof.same import same
from convlin.testing.case import Case

__all__ = ["KINDS_OF_ANSWER", "Answer", "Judge", "Kind"]

Kind: TypeAlias = Literal["right", "refused", "measured", "broken"]
KINDS_OF_ANSWER: tuple[Kind, ...] = ("right", "refused", "measured", "broken")
NUMBERS = ("weight", "bias", "value")


@dataclass(frozen=True)
class Answer:
    """A conversion's answer to one layer. reason: of a refusal, in one line.

    verdict: the judge's, unless the layer was refused.
    """

    case: Case
    kind: Kind
    verdict: Verdict | None = None
    reason: str = ""

    @property
    def way(self) -> tuple[str, ...]:
        """In what way it is broken, so that the smallest layer is broken in the same."""
        if not isinstance(self.verdict, Refuted):
            return (self.kind,)
        found = self.verdict.counterexample
        if found.kind in NUMBERS:
            return (self.kind, "numbers")
        if found.kind == "exception":
            return (self.kind, str(found.got).partition(":")[0])
        return (self.kind, found.kind, found.field)


class Declined(Refused):
    """A conversion's own refusal, on its way through the judge."""


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
        with _steady(self.seed):
            if self.where is not None and not self.where(layer, *self._size(case)):
                return None
            reason = self._declined(case, layer)
            if reason and self.refusals:
                return Answer(case, "refused", reason=reason)
            try:
                verdict = audit(
                    lambda subject: self._converted(case, subject), layer, case.input_shape,
                    draws=1, seed=self.seed, copies=self.copies, unbatched=self.unbatched,
                )  # fmt: skip
            except Declined as refused:  # not this layer, but a copy of it in float64
                return Answer(case, "refused", reason=refused.refusals[0].reason)
        return Answer(case, self._kind(verdict), verdict)

    def _kind(self, verdict: Verdict) -> Kind:
        if isinstance(verdict, Proved):
            return "right"
        return "measured" if isinstance(verdict, Measured) and self.measured else "broken"

    def _size(self, case: Case) -> tuple[Any, ...]:
        return (case.size,) if self.sized else ()

    def _declined(self, case: Case, layer: nn.Module) -> str:
        """Return why a conversion does not take a layer; "" if it does, or breaks."""
        subject, other = copy.deepcopy(layer), copy.deepcopy(layer)
        try:
            converted = self.convert(subject, *self._size(case))
        except self.refusals as error:
            return one_line(error)
        except Exception:  # the judge shall meet it too, and say so
            return ""
        return "the layer itself" if converted is subject and same(subject, other) else ""

    def _converted(self, case: Case, subject: nn.Module) -> Any:
        try:
            return self.convert(subject, *self._size(case))
        except self.refusals as error:
            field, value = "layer", Description(str(case))
            raise Declined(
                Refusal("check", field, value, "one that it takes", one_line(error))
            ) from error


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
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
