"""`check`: one call that tries a conversion on hostile layers, for anybody's tests."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn

from convlin.arguments import elements, flag, shown, whole
from convlin.errors import Refusal, Refused
from convlin.testing.answer import Answer, Judge
from convlin.testing.broken import broken
from convlin.testing.case import Case
from convlin.testing.checked import Checked
from convlin.testing.shrink import cost, shrunk
from convlin.testing.sweep import KINDS, covering, families
from convlin.testing.usual import usual

__all__ = ["check"]


def check(
    convert: Callable[..., Any],
    layer: type[nn.Module] | tuple[type[nn.Module], ...] = nn.Conv2d,
    *,
    where: Callable[..., Any] | None = None,
    sized: bool = False,
    refusals: tuple[type[Exception], ...] = (ValueError, NotImplementedError),
    unbatched: bool = True,
    copies: bool | None = None,
    measured: bool = False,
    seed: int = 0,
) -> Checked:
    """Try a conversion of layers on hostile ones; raise `Broken` with the smallest that breaks it.

    convert: takes a layer, returns the module to put in its place. layer: what it takes: nn.Linear,
    or one of nn.Conv1d, 2d, 3d and nn.ConvTranspose1d, 2d, 3d; several in a tuple.

    Every layer of the sweep must be converted right, for all weights and every input, and stay a
    drop-in (`convlin.audit` judges); or it must be refused, by an exception of `refusals`, by None,
    or by returning the layer as it was. With `refusals=()` none may be refused. A conversion that
    takes no layer at all is broken.

    where: says of a layer whether to try it, if callers see to the others. sized: hand the spatial
    size of the input over to `convert` and `where` as well, as in `convert(layer, (5, 7))`.
    unbatched: whether the result must take an input without a batch. copies: whether its parameters
    must be copies (True), or share the layer's memory (False); None: either. measured: let pass,
    and count, what only measuring can judge: what rounds, or leaves the list of exact operations.

    Needs no network, no GPU, no file and no test runner, and seconds. The same seed gives the same
    layers, weights and answers. The layer that is shown cannot be simplified in one step: each
    argument that it has is needed to break the conversion in the same way.

    >>> import convlin
    >>> print(check(convlin.to_pointwise).summary)
    tried 124 layers: 24 right, 100 refused
    >>> def without_padding(conv):
    ...     if type(conv) is not nn.Conv2d or conv.kernel_size != (1, 1) or conv.groups > 1:
    ...         raise ValueError("not pointwise")
    ...     new = nn.Conv2d(conv.in_channels, conv.out_channels, 1, conv.stride).train(conv.training)
    ...     new.weight, new.bias = conv.weight, conv.bias
    ...     return new
    >>> check(without_padding)
    Traceback (most recent call last):
        ...
    convlin.testing.Broken: without_padding fails on nn.Conv2d(1, 1, 1, padding=1), for inputs of shape (1, 1, 1)
      the layer against its conversion: the output shape is (3, 1, 3, 3) against (3, 1, 1, 1)
    tried 124 layers: 2 right, 118 refused, 4 broken
    """  # noqa: E501
    __tracebackhide__ = True
    _require(convert, where, refusals)
    judge = Judge(
        convert, where, flag("check", "sized", sized), refusals,
        flag("check", "unbatched", unbatched), copies, flag("check", "measured", measured),
        whole("check", "seed", seed, 0),
    )  # fmt: skip
    answers, left_out = _answers(judge, _kinds(layer))
    checked = Checked(_name(convert), answers, left_out)
    wrong = [answer for answer in answers if answer.kind == "broken"]
    if wrong:
        wrong.sort(key=lambda answer: cost(answer.case))
        ways = {answer.way: answer for answer in reversed(wrong)}
        first = wrong[0]
        others = [answer for answer in wrong if ways[answer.way] is answer and answer is not first]
        raise broken(checked, _smallest(judge, first), others)
    if not checked.converted:
        raise broken(checked, None)
    return checked


def _answers(judge: Judge, kinds: tuple[type[nn.Module], ...]) -> tuple[tuple[Answer, ...], int]:
    """Return the answers to the layers that are tried, and how many `where` left out.

    The families are for conversions that do not take everything.
    """
    answers: dict[Case, Answer | None] = {}
    for kind in kinds:
        cases = (*covering(kind, judge.seed), *usual(kind))
        first = {case: judge.answer(case) for case in cases}
        plain = [answer for case, answer in first.items() if not case.subclassed]
        if not all(answer is not None and answer.verdict is not None for answer in plain):
            others = [case for case in families(kind) if case not in first]
            first |= {case: judge.answer(case) for case in others}
        answers |= first
    tried = tuple(answer for answer in answers.values() if answer is not None)
    return tried, len(answers) - len(tried)


def _smallest(judge: Judge, answer: Answer) -> Answer:
    """Return the answer to the smallest layer that is broken in the same way."""
    found = {answer.case: answer}

    def fails(case: Case) -> bool:
        other = judge.answer(case)
        if other is None or other.way != answer.way:
            return False
        found[case] = other
        return True

    return found[shrunk(answer.case, fails)]


def _require(convert: Any, where: Any, refusals: Any) -> None:
    """Raise unless functions are functions and exceptions are exceptions."""
    if not callable(convert):
        raise Refused(Refusal("check", "convert", shown(convert), "a function of the layer"))
    if where is not None and not callable(where):
        raise Refused(Refusal("check", "where", shown(where), "None, or a function of the layer"))
    kinds = refusals if isinstance(refusals, tuple) else (None,)
    if not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        raise Refused(Refusal("check", "refusals", shown(refusals), "a tuple of exceptions"))


def _kinds(layer: Any) -> tuple[type[nn.Module], ...]:
    kinds = (layer,) if isinstance(layer, type) else elements(layer)
    if not kinds or not all(isinstance(kind, type) and kind in KINDS for kind in kinds):
        names = ", ".join(f"nn.{kind.__name__}" for kind in KINDS)
        raise Refused(Refusal("check", "layer", shown(layer), f"of {names}, one or several"))
    return kinds


def _name(convert: Any) -> str:
    """Return what a function is called in a message."""
    while isinstance(convert, functools.partial):
        convert = convert.func
    name = getattr(convert, "__name__", type(convert).__name__)
    return "the conversion" if name == "<lambda>" else str(name)
