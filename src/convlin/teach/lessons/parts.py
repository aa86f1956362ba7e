"""What all lessons are made of: numbers in grids, rulings, verdicts in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Num

from convlin.proof import Proved, Refuted, Verdict
from convlin.teach.document import (
    Cell,
    Code,
    Exercise,
    Figure,
    Grid,
    Judgement,
    Note,
    Question,
    Ruling,
)
from convlin.teach.words import Words

__all__ = [
    "code",
    "exercise",
    "figure",
    "grid",
    "judgement",
    "listed",
    "number",
    "proof",
    "proof_note",
    "question",
    "total",
    "unbroken",
]

Paint = Callable[[tuple[int, int], str], Cell]

# Rows or columns of a grid that is shown whole: six is the article's image, which half would just
# hold but no row of its matrix; twice is wider than a terminal of 80.
WIDEST = 12
PART = 8, 9  # rows and columns of what is shown of a larger one: two fit beside each other
# Letters in a row of a grid, of a terminal's 80 with its indent, with two spaces beside every
# number.
ACROSS = 76
FEWEST = 3  # options of a question: of two, guessing is right half the time
LONGEST_LIST = 16  # items: the article's nine wires are written out, twice is three lines


def number(value: Any, digits: int | None = None) -> str:
    """Write whole numbers in full, others to three digits or so many behind the point.

    >>> number(-1.0), number(2 / 3), number(1234.5), number(-0.001, digits=2)
    ('-1', '0.667', '1234', '0.00')
    """
    value = float(value) + 0.0  # no -0
    if digits is None:
        return f"{value:.3g}" if abs(value) < 999.5 and not value.is_integer() else f"{value:.0f}"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def listed(words: Words, items: Iterable[Any]) -> str:
    """Write a list, cut where it is long."""
    texts = [str(item) for item in items]
    cut = texts if len(texts) <= LONGEST_LIST else [*texts[: LONGEST_LIST - 1], "…"]
    return ("、" if words.lang == "zh" else ", ").join(cut)


def total(terms: Iterable[tuple[float, float]], value: float) -> str:
    """Write a sum of products, weight · input; with ≈ where the digits written do not give it.

    >>> total([(2, 3), (-1, 4)], 2), total([(1 / 3, 3)], 1)
    ('2·3 + (-1)·4 = 2', '0.333·3 ≈ 1')
    """
    factors = [(number(weight), number(x)) for weight, x in terms]
    products = [f"{_factor(weight)}·{_factor(x)}" for weight, x in factors]
    sign = "=" if _exact(factors) == Fraction(number(value)) else "≈"
    return f"{' + '.join(products)} {sign} {number(value)}"


def _exact(factors: Iterable[tuple[str, str]]) -> Fraction:
    """Return the sum of the products as they are written."""
    return sum((Fraction(weight) * Fraction(x) for weight, x in factors), Fraction(0))


def unbroken(numbers: tuple[int, ...]) -> str:
    """Write a tuple that no line break divides."""
    return str(numbers).replace(" ", "\N{NO-BREAK SPACE}")


def _factor(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def grid(
    words: Words,
    title: str,
    values: Num[np.ndarray, "rows columns"],
    paint: Paint | None = None,
    *,
    kernel: tuple[int, ...] = (),
    digits: int | None = None,
    centre: tuple[int, int] = (0, 0),
    widest: tuple[int, int] = (WIDEST, WIDEST),
    tight: bool = False,
) -> Grid:
    """Return numbers as a grid; where there are too many, the part around `centre`.

    paint: from the position in the grid and the number in words, the cell.
    """
    paint = paint or (lambda _, text: Cell(text))
    if not tight:
        positions = np.ndindex(values.shape)
        longest = max(len(paint((y, x), number(values[y, x], digits)).text) for y, x in positions)
        shown = PART if max(values.shape) > WIDEST else widest
        widest = shown[0], min(shown[1], ACROSS // (longest + 2))
    # Half of what is shown before the centre; but no further than the last start that fills it.
    starts = [
        max(0, min(at - most // 2, n - most))
        for at, most, n in zip(centre, widest, values.shape, strict=True)
    ]
    stops = [
        min(start + most, n)
        for start, most, n in zip(starts, widest, values.shape, strict=True)
    ]  # fmt: skip
    rows = tuple(
        tuple(paint((y, x), number(values[y, x], digits)) for x in range(starts[1], stops[1]))
        for y in range(starts[0], stops[0])
    )
    whole = starts == [0, 0] and tuple(stops) == values.shape
    part = "" if whole else words(
        "page.part", top=starts[0] + 1, bottom=stops[0], rows=values.shape[0],
        left=starts[1] + 1, right=stops[1], columns=values.shape[1],
    )  # fmt: skip
    return Grid(title, rows, kernel, part, tight)


def proof(words: Words, verdict: Verdict, scope: str) -> str:
    """Write a verdict on maps in a sentence, counting from 1. scope: "these" weights, or "all"."""
    if isinstance(verdict, Proved):
        chance = f"{verdict.failure_probability:.1e}"
        return words(f"proof.{scope}", draws=verdict.draws, chance=chance)
    example = verdict.counterexample if isinstance(verdict, Refuted) else None
    if example is not None and example.kind == "weight" and example.output and example.input:
        channel, row, column = (index + 1 for index in example.input)
        sides = {"expected": str(example.expected), "got": str(example.got)}
        pixel = {"channel": channel, "row": row, "column": column}
        return words("proof.refuted", output=example.output[0] + 1, **pixel, **sides)
    return words("proof.measured", details=str(verdict))


def question(prompt: str, options: Iterable[Any], right: Any) -> Question:
    """Return a question with these options, each once; numbers stand in their order.

    Of fewer than three numbers, which small examples have, the next ones follow.

    >>> question("How many?", [36, 9, 27, 9], 27)
    Question(prompt='How many?', options=('9', '27', '36'), right=1)
    >>> question("How many?", [0, 1, 1], 0).options
    ('0', '1', '2')
    """
    several = list(dict.fromkeys([*options, right]))
    if all(isinstance(option, int) for option in several):
        several.sort()
        several += range(several[-1] + 1, several[-1] + 1 + FEWEST - len(several))
    texts = tuple(f"{option:,}" if isinstance(option, int) else option for option in several)
    return Question(prompt, texts, several.index(right))


def code(words: Words, name: str) -> Code:
    """Return the lines of Python of that name, with what they print."""
    folder = files("convlin.teach.lessons") / "snippets"
    return Code(words("try.title"), (folder / f"{name}.txt").read_text("utf-8").rstrip())


def exercise(words: Words, number: int, name: str) -> Exercise:
    """Return an exercise of that name, its answer, and the lines of Python that check it."""
    return Exercise(
        words("exercise.title", number=number),
        words(f"exercise.{name}"),
        words("exercise.answer"),
        words(f"exercise.{name}_answer"),
        code(words, name),
    )


def proof_note(words: Words) -> Note:
    """Return why a few random draws prove anything."""
    return Note(words("proof.why"), words("proof.because"))


def judgement(
    words: Words,
    ruling: Ruling,
    claim: str,
    answer: str,
    *evidence: str,
    code: Code | None = None,
) -> Judgement:
    """Return a ruling on a claim of the article."""
    label = "question" if ruling == "answered" else "claim"
    return Judgement(
        ruling,
        words(f"ruling.{ruling}"),
        words(f"ruling.{label}"),
        claim,
        answer,
        words("ruling.evidence"),
        evidence,
        code,
    )


def figure(name: str, text: str, caption: str, *arguments: Any, **options: Any) -> Figure:
    """Return a picture that `convlin.figures` draws when it is asked for."""

    def draw() -> Any:
        from convlin import figures

        return getattr(figures, name)(*arguments, **options)

    return Figure(draw, text, caption)
