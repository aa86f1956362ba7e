"""Verdicts: proved, rounded, refuted or measured, and never one word for two of these.

Verdict
├── Proved     equal for every input of the scope; wrong with the stated probability only
├── Rounded    equal but for the rounding of merged weights, each of which was compared
├── Refuted    a counterexample says where the two sides part
└── Measured   no proof applies; the largest deviation found, next to its bound if there is one
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Literal

from convlin.display.blocks import Block, Toned
from convlin.display.shown import Shown
from convlin.display.terminal_view import renderable

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "Counterexample", "Kind", "Measured", "OwnDraws", "Proved", "Refuted", "Rounded", "Rounding",
    "Verdict",
]  # fmt: skip

Kind = Literal["weight", "bias", "value", "shape", "dtype", "exception", "contract"]


@dataclass(frozen=True)
class Rounding:
    """The largest deviation of two equal functions on real numbers in the modules' own dtype.

    deviation: largest |left - right|, on seeded normal inputs; scale: largest |left|.
    bound: how far any two orders of summation may lie apart at that element; None if no bound
    is derived, and `note` says why. within: no element lies beyond its own bound.

    >>> print(Rounding(2e-7, 3e-6, scale=2.0, dtype="float32"))
    in float32 the largest difference is 2e-07 where outputs reach 2; rounding explains up to 3e-06
    """

    deviation: float
    bound: float | None
    scale: float
    dtype: str
    note: str = ""
    within: bool = True

    def __str__(self) -> str:
        text = (
            f"in {self.dtype} the largest difference is {self.deviation:.2g} "
            f"where outputs reach {self.scale:.2g}; "
        )
        text += "no bound" if self.bound is None else f"rounding explains up to {self.bound:.2g}"
        return f"{text} ({self.note})" if self.note else text


@dataclass(frozen=True)
class Counterexample:
    """Where two sides part, shrunk.

    kind: what parts them. "weight": output element `output` meets input element `input` with
    weight `expected` on the one side and `got` on the other; "bias": the outputs for input 0;
    "value": the outputs for an input that could not be shrunk to one element; "shape",
    "dtype", "exception" and "contract" name a `field`. Indices are those of one sample, without
    the batch, unless `note` says otherwise. Numbers of kind weight and bias are exact (int or
    Fraction) between polynomials; else they are what float64 gave.

    >>> print(Counterexample("weight", 3, -4, output=(2, 0, 1), input=(1, 5, 0)))
    output (2, 0, 1) meets input (1, 5, 0) with weight 3 against -4
    """

    kind: Kind
    expected: object
    got: object
    output: tuple[int, ...] | None = None
    input: tuple[int, ...] | None = None
    field: str = ""
    note: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "weight":
                text = f"output {self.output} meets input {self.input} with weight"
            case "bias":
                text = f"output {self.output} has bias"
            case "value":
                text = f"output {self.output} is"
            case _:
                text = f"{self.field} is"
        text += " {} against {}".format(*_two(self.expected, self.got))
        return f"{text} ({self.note})" if self.note else text


@dataclass(frozen=True)
class OwnDraws:
    """How often two sides were found equal, bit for bit, in the modules' own dtype.

    >>> print(OwnDraws("float32", 7, 1.4e-10))
    in float32 7 draws, < 1.4e-10
    """

    dtype: str
    draws: int
    failure_probability: float

    def __str__(self) -> str:
        return f"in {self.dtype} {_draws(self.draws)}, < {self.failure_probability:.2g}"


@dataclass(frozen=True)
class Verdict(Shown):
    """What a proof found; true only if it proved something."""

    kind: ClassVar[Literal["proved", "rounded", "refuted", "measured"]]

    def __bool__(self) -> bool:
        return self.kind == "proved"

    @property
    def up_to_rounding(self) -> bool:
        """Whether the two sides are equal, or but for the rounding of merged weights."""
        return self.kind in ("proved", "rounded")

    @property
    def details(self) -> str:
        """Everything behind the word, in one line."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, str]:
        """Return kind and details as plain values, for JSON."""
        return {"kind": self.kind, "details": self.details}

    def __str__(self) -> str:
        return f"{self.kind}: {self.details}"

    @property
    def words(self) -> list[str | Toned]:
        """The verdict in one line, its kind as a badge."""
        return [Toned(self.kind, self.kind), f": {self.details}"]

    def _blocks(self, width: int | None = None) -> list[Block]:
        return [self.words]

    def __rich__(self) -> RenderableType:
        return renderable(self._blocks())


@dataclass(frozen=True)
class Proved(Verdict):
    """Equal on the whole scope; a wrong pair passes with at most `failure_probability`.

    scope names what was varied, and in which dtypes the two sides are equal. own: the draws in
    the modules' own dtype, if there were any; a side that is wrong in that dtype alone passes
    with at most their probability. by: "identity" if the two sides are one and the same program
    with the same numbers, which takes no draw.

    >>> verdict = Proved("every input of shape (3,)", 2, 1e-12, None)
    >>> bool(verdict), str(verdict)
    (True, 'proved: every input of shape (3,); 2 draws, wrong with probability < 1e-12')
    """

    kind = "proved"
    scope: str
    draws: int
    failure_probability: float
    rounding: Rounding | None
    own: OwnDraws | None = None
    by: Literal["draws", "identity"] = "draws"

    @property
    def details(self) -> str:
        """Scope, draws, failure probability and rounding."""
        if self.by == "identity":
            return f"by identity, {self.scope}"
        return "; ".join(str(part) for part in (self.claim, self.own, self.rounding) if part)

    @property
    def claim(self) -> str:
        """What was proved, and how surely."""
        wrong = f"wrong with probability < {self.failure_probability:.2g}"
        return f"{self.scope}; {_draws(self.draws)}, {wrong}"


@dataclass(frozen=True)
class Rounded(Verdict):
    """Equal up to the rounding of merged weights; not true, since it is not equal.

    Every one of the `weights` that the merged side has, as an affine function, is the exact one
    rounded to `dtype`: `units` in the last place away at most, half of one. identity: the proof
    that the merge would be equal if it did not round, for a merge that knows it. untold: weights of
    which float64 cannot tell more than that they are no further off than it rounds itself.

    >>> verdict = Rounded("every input of shape (3,)", 12, "float32", 0.4861, None)
    >>> bool(verdict), verdict.up_to_rounding, print(verdict)  # doctest: +NORMALIZE_WHITESPACE
    rounded: equal up to rounding, every input of shape (3,); each of 12 weights is the exact one
    rounded to float32, at most 0.486 units in the last place away
    (False, True, None)
    """

    kind = "rounded"
    scope: str
    weights: int
    dtype: str
    units: float
    rounding: Rounding | None
    identity: Proved | None = None
    untold: int = 0

    def with_identity(self, identity: Proved) -> Rounded:
        """Return this verdict on a merge that was proved to be equal but for rounding."""
        return replace(self, identity=identity)

    @property
    def details(self) -> str:
        """The identity, scope, weights and rounding."""
        weights = (
            f"each of {self.weights:,} weights is the exact one rounded to {self.dtype}, "
            f"at most {self.units:.3g} units in the last place away"
        )
        if self.untold:
            weights += f" ({self.untold:,} too small beside their summands to be told from it)"
        scope = f"equal up to rounding, {self.scope}"
        if self.identity is not None:
            scope = f"proved as an identity: {self.identity.claim}; merged weights rounded"
        return "; ".join(str(part) for part in (scope, weights, self.rounding) if part is not None)


@dataclass(frozen=True)
class Refuted(Verdict):
    """Not equal, or a broken contract: see `counterexample`.

    >>> bool(Refuted(Counterexample("bias", 1, 0, output=(4,))))
    False
    """

    kind = "refuted"
    counterexample: Counterexample

    @property
    def details(self) -> str:
        """The counterexample."""
        return str(self.counterexample)


@dataclass(frozen=True)
class Measured(Verdict):
    """Neither proved nor refuted: `reason` says why, `rounding` how far apart the sides were."""

    kind = "measured"
    reason: str
    rounding: Rounding | None

    @property
    def details(self) -> str:
        """The deviation and the reason why it was not proved."""
        if self.rounding is None:
            return self.reason
        return f"{self.rounding}; not proved: {self.reason}"


def _draws(count: int) -> str:
    return f"{count} draw{'s' * (count != 1)}"


def _two(expected: object, got: object) -> tuple[str, str]:
    """Write two numbers so that different ones look different, and in the same way."""
    written = _number(expected), _number(got)
    return (str(expected), str(got)) if written[0] == written[1] else written


def _number(value: object) -> str:
    """Write a long fraction as the decimal nearest to it, with … behind digits that are not all."""
    if not isinstance(value, Fraction):
        return repr(value) if isinstance(value, float) else str(value)
    try:
        number = float(value)
    except OverflowError:
        return str(value)
    if number == value:
        return repr(number)
    return str(value) if len(str(value)) < len(repr(number)) else f"{number!r}…"
