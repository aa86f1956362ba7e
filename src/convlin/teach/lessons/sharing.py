"""Lesson 2: one kernel for all positions, and the layers that have more."""

from __future__ import annotations

from collections.abc import Iterator

from convlin.costs import Form
from convlin.teach.document import Beside, Block, Paragraph, Table
from convlin.teach.example import Example
from convlin.teach.lessons.parts import code, figure, judgement, number, question
from convlin.teach.lessons.rows import weights_by_pixel
from convlin.teach.lessons.shown import view, view_of_tap
from convlin.teach.numbers import Sharing
from convlin.teach.words import Words

__all__ = ["sharing_lesson"]

FORMS: tuple[Form, ...] = ("conv", "local", "linear")
# Entries of a matrix that is drawn in three forms: of 100×100 a line is still seen, twice a side is
# a grey page of a megabyte.
DRAWN = 10_000
PARTED = 0.99  # of a step that is shared: above, nothing parts that a reader would see


def sharing_lesson(words: Words, lesson: Sharing) -> Iterator[Block]:
    """Yield the blocks of lesson 2."""
    example = lesson.example
    if example.neighbour is None:
        yield Paragraph(words("sharing.alone"), view(example, example.neuron))
    else:
        yield from _beside(words, example, example.neighbour)
        if lesson.most:
            key = "sharing.diagonals_padding" if lesson.idle else "sharing.diagonals"
            yield Paragraph(words(key, most=lesson.most), view_of_tap(example))
    weights = [lesson.weights[form] for form in FORMS]
    yield question(words("sharing.ask"), [*weights, example.pixels], weights[1])
    yield Paragraph(words("sharing.between"), view(example, example.neuron, "dial", "local"))
    yield Table(
        words("sharing.counts"),
        (words("sharing.layer"), words("sharing.weights")),
        tuple((words(f"sharing.{form}"), f"{lesson.weights[form]:,}") for form in FORMS),
    )
    if lesson.idle:
        yield Paragraph(
            words("sharing.padding_only", local=lesson.weights["local"], idle=lesson.idle)
        )
    if example.matrix.shape[0] * example.matrix.shape[1] <= DRAWN:
        yield figure(
            "forms", words("sharing.forms_text"), words("sharing.forms"), example.matrix,
            stacked=True, words=words.templates("three_forms"),
        )  # fmt: skip
    splits = [words("sharing.splits")] if lesson.steps else [words("sharing.still")]
    yield Paragraph(
        (" " if words.lang == "en" else "").join([words("sharing.nested"), *splits]),
        view(example, example.neuron, "dial", "step"),
    )
    yield from _steps(words, lesson)
    yield judgement(
        words,
        "right",
        words("sharing.claim"),
        words("sharing.answer"),
        *_evidence(words, lesson),
        code=code(words, "sharing") if example.own == "none" else None,
    )


def _beside(words: Words, example: Example, neighbour: tuple[int, int]) -> Iterator[Block]:
    position = {"row": neighbour[0] + 1, "column": neighbour[1] + 1}
    value = number(example.outputs[neighbour])
    both = (example.wires(at).values() for at in (example.neuron, neighbour))
    taps, others = ({tap for tap, _ in wires} for wires in both)
    # With the same taps they read other pixels, unless they read none; otherwise padding took some.
    key = "sharing.step" if taps and taps == others else "sharing.step_padding"
    yield Paragraph(words(key, **position, value=value), view(example, neighbour))
    yield Beside(
        (
            weights_by_pixel(words, words("sharing.first"), example, example.neuron),
            weights_by_pixel(words, words("sharing.second"), example, neighbour),
        )
    )


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
    # The FC layer's weights on the kernel move as the local layer's do; what it has besides may
    # move all alike, and then nothing that started equal parts.
    if lesson.steps and lesson.steps["local"].fractions[0] < PARTED:
        share = _share(lesson.steps["linear"].fractions[0])
        yield words("sharing.evidence_step", linear=share)


def _share(fraction: float) -> str:
    return f"{fraction:.1%}"
