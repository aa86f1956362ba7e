"""The failure of a check, in words: the smallest layer, what is wrong with it, and the ways out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from convlin.errors import ConvlinError, printable
from convlin.proof import Refuted
from convlin.testing.answer import Answer
from convlin.testing.checked import FEW, Checked

__all__ = ["Broken", "broken"]


class Broken(ConvlinError, AssertionError):
    """A conversion is broken; the message has the smallest layer that shows it.

    An AssertionError, so that test runners count a failure and no error. answer: the judge's, to
    that layer; None where nothing was converted at all. checked: the answers to all layers, which
    print as a table. `answer.case.layer()` makes the layer again.
    """

    def __init__(
        self, message: str, checked: Checked | None = None, answer: Answer | None = None
    ) -> None:
        super().__init__(message)
        self.checked, self.answer = checked, answer

    def as_dict(self) -> dict[str, Any]:
        """Return the smallest layer and the counts as plain values, for JSON."""
        counts = self.checked.as_dict() if self.checked else {}
        if self.answer is None:
            return {"smallest": None, **counts}
        case, verdict = self.answer.case, self.answer.verdict
        found = {"kind": "refused", "details": self.answer.reason}
        if verdict is not None:  # one that proved nothing is false
            found = verdict.as_dict()
        layer = {"layer": str(case), "notes": case.notes, "input_shape": case.input_shape}
        return {"smallest": layer | found, **counts}


Broken.__module__ = "convlin.testing"  # as a test's report calls it


def broken(checked: Checked, answer: Answer | None, others: Sequence[Answer] = ()) -> Broken:
    """Return the failure of a check, from the answer to the smallest layer; None: nothing worked.

    others: one answer for each other way in which it is broken; the first few get a line.

    >>> print(broken(Checked("f", (), left_out=3), None))
    f converted no layer at all
    tried 0 layers, 3 left out by where=
    """
    said = _nothing(checked) if answer is None else _smallest(checked.name, answer)
    also = map(_other, others[: FEW - 1])
    lines = [*said, *also, checked.summary, *_ways_out(answer)]
    return Broken("\n".join(map(printable, lines)), checked, answer)


def _nothing(checked: Checked) -> Iterator[str]:
    yield f"{checked.name} converted no layer at all"
    yield from (f"  {reason}" for reason in checked.reasons[:FEW])


def _smallest(name: str, answer: Answer) -> Iterator[str]:
    case, verdict = answer.case, answer.verdict
    yield f"{name} fails on {case}, for inputs of shape {case.input_shape}"
    yield from (f"  {note}" for note in case.notes)
    if isinstance(verdict, Refuted):
        yield f"  the layer against its conversion: {verdict.details}"
    elif verdict is not None:
        yield f"  {verdict}"
    else:
        yield f"  it is not converted, and refusals=() lets it refuse nothing: {answer.reason}"


def _other(answer: Answer) -> str:
    verdict = answer.verdict
    said = answer.reason if verdict is None else verdict.details
    return f"also on {answer.case}: {said}"


def _ways_out(answer: Answer | None) -> Iterator[str]:
    """Yield how to say it to `check`, if the conversion is meant to be so."""
    if answer is None:
        return
    verdict, case = answer.verdict, answer.case
    found = verdict.counterexample if isinstance(verdict, Refuted) else None
    if verdict is not None and found is None:
        yield "if measuring is enough: check(…, measured=True)"
    elif found is not None and "unbatched" in found.note:
        yield "if it serves batches only: check(…, unbatched=False)"
    elif found is not None and found.field.startswith("the layer's "):
        yield "if it works in place: check(lambda layer: convert(copy.deepcopy(layer)))"
    elif case.subclassed:
        kind = f"nn.{case.kind.__name__}"
        yield f"if it is for {kind} alone: check(…, where=lambda layer: type(layer) is {kind})"
    elif found is not None and found.note == "a batch of 0":
        yield "a batch of 0 leaves view(…, -1) no size to infer: write it out, or use flatten"
    elif found is not None and found.kind == "exception" and not found.note:  # by converting
        yield (
            "to refuse a layer, raise ValueError or NotImplementedError, or return it as it is; "
            "other exceptions: check(…, refusals=(…,))"
        )
