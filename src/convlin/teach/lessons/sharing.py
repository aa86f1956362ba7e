"""Lesson 2: one kernel for all positions, and the layers that have more."""

from __future__ import annotations

import string
from collections.abc import Iterator

from convlin.costs import Form
from convlin.teach.document import Beside, Block, Cell, Paragraph, Table
from convlin.teach.example import Example
from convlin.teach.lessons.parts import figure, grid, judgement, number
from convlin.teach.lessons.sparse import weights_by_pixel
from convlin.teach.numbers import Sharing
from convlin.teach.words import Words

__all__ = ["sharing_lesson"]

FORMS: tuple[Form, ...] = ("conv", "local", "linear")
LETTERS = string.ascii_letters
# Rows and columns: the article's 16×36 whole, in a terminal's 80; half would cut it, twice does not
# fit.
MATRIX_SHOWN = 20, 36
PARTED = 0.99  # of a step that is shared: above, nothing parts that a reader would see


def sharing_lesson(words: Words, lesson: Sharing) -> Iterator[Block]:
    """Yield the blocks of lesson 2."""
    example = lesson.example
    if example.neighbour is None:
        yield Paragraph(words("sharing.alone"))
    else:
        yield from _beside(words, example, example.neighbour)
    yield from _matrix(words, example)
    yield Paragraph(words("sharing.between"))
    yield Table(
        words("sharing.counts"),
        (words("sharing.layer"), words("sharing.weights")),
        tuple((words(f"sharing.{form}"), f"{lesson.weights[form]:,}") for form in FORMS),
    )
    yield figure(
        "forms", words("sharing.forms_text"), words("sharing.forms"), example.matrix,
        words=words.templates("three_forms"),
    )  # fmt: skip
    splits = [words("sharing.splits")] if lesson.steps else [words("sharing.still")]
    yield Paragraph((" " if words.lang == "en" else "").join([words("sharing.nested"), *splits]))
    yield from _steps(words, lesson)
    yield judgement(
        words,
        "right",
        words("sharing.claim"),
        words("sharing.answer"),
        *_evidence(words, lesson),
    )


def _beside(words: Words, example: Example, neighbour: tuple[int, int]) -> Iterator[Block]:
    position = {"row": neighbour[0] + 1, "column": neighbour[1] + 1}
    value = number(example.outputs[neighbour])
    both = (example.wires(at).values() for at in (example.neuron, neighbour))
    taps, others = ({tap for tap, _ in wires} for wires in both)
    # With the same taps they read other pixels, unless they read none; otherwise padding took some.
    key = "sharing.step" if taps and taps == others else "sharing.step_padding"
    yield Paragraph(words(key, **position, value=value))
    yield Beside(
        (
            weights_by_pixel(words, words("sharing.first"), example, example.neuron),
            weights_by_pixel(words, words("sharing.second"), example, neighbour),
        )
    )


def _matrix(words: Words, example: Example) -> Iterator[Block]:
    matrix, taps, columns = example.matrix, example.kernel.size, example.kernel.shape[1]
    width, across = matrix.input_size[1], matrix.output_size[1]
    read = [example.wires(divmod(row, across)) for row in range(matrix.shape[0])]

    def letter(tap: int) -> str:
        return LETTERS[tap] if taps <= len(LETTERS) else "#"

    def wire(cell: tuple[int, int], _: str) -> Cell:
        row, pixel = cell
        tap = read[row].get(divmod(pixel, width))
        return Cell(".", look="faint") if tap is None else Cell(letter(tap[0]), tap[0])

    def named(cell: tuple[int, int], text: str) -> Cell:
        tap = cell[0] * columns + cell[1]
        return Cell(f"{letter(tap)} {text}", tap)

    yield Paragraph(words("sharing.matrix" if taps <= len(LETTERS) else "sharing.matrix_many"))
    yield Beside((grid(words, words("sparse.kernel"), example.kernel, named, taps=taps),))
    title = words("sharing.matrix_title")
    yield Beside(
        (
            grid(
                words, title, matrix.toarray(), wire, taps=taps, widest=MATRIX_SHOWN, tight=True,
            ),
        )
    )  # fmt: skip


def _steps(words: Words, lesson: Sharing) -> Iterator[Block]:
    if not lesson.steps:
        return
    rows = [
        (words(f"sharing.{form}"), *map(_share, lesson.steps[form].fractions)) for form in FORMS
    ]
    header = (words(f"sharing.{name}") for name in ("layer", "shared", "apart", "off"))
    yield Table(words("sharing.steps"), tuple(header), tuple(rows))
    yield figure(
        "energy", words("sharing.energy_text"), words("sharing.energy"),
        [lesson.steps[form] for form in FORMS], [words(f"sharing.{form}") for form in FORMS],
        words=words.templates("energy_split"),
    )  # fmt: skip


def _evidence(words: Words, lesson: Sharing) -> Iterator[str]:
    weights = {form: lesson.weights[form] for form in FORMS}
    if lesson.example.neighbour is None:
        yield words("sharing.evidence_alone", conv=weights["conv"], local=weights["local"])
        return
    yield words("sharing.evidence_counts", **weights)
    if lesson.steps and lesson.steps["linear"].fractions[0] < PARTED:
        shares = {form: _share(lesson.steps[form].fractions[0]) for form in ("conv", "linear")}
        yield words("sharing.evidence_step", **shares)


def _share(fraction: float) -> str:
    return f"{fraction:.1%}"
