"""Lesson 3: a 1×1 convolution is an FC layer over channels."""

from __future__ import annotations

from collections.abc import Iterator

from convlin.teach.document import Beside, Block, Cell, Formula, Paragraph, Table, View
from convlin.teach.lessons.parts import (
    code,
    figure,
    grid,
    judgement,
    proof,
    proof_note,
    question,
    total,
)
from convlin.teach.numbers import Pointwise
from convlin.teach.words import Words

__all__ = ["pointwise_lesson"]


def pointwise_lesson(words: Words, lesson: Pointwise) -> Iterator[Block]:
    """Yield the blocks of lesson 3."""
    outputs, inputs = lesson.mixing.shape
    yield Paragraph(words("pointwise.start", channels=inputs, outputs=outputs), _view(lesson))
    yield from _grids(words, lesson)
    conv, local, linear = (lesson.weights[form] for form in ("conv", "local", "linear"))
    pixels = lesson.map[0].size
    options = [conv, local, linear, pixels]
    yield question(words("pointwise.ask", pixels=pixels), options, conv)
    yield from _pixel(words, lesson)
    yield judgement(
        words,
        "right",
        words("pointwise.claim"),
        words("pointwise.answer"),
        proof(words, lesson.proof, "all"),
        code=code(words, "pointwise"),
    )
    yield proof_note(words)
    kinds = [words(f"pointwise.ask_{which}") for which in ("flat", "over", "both", "none")]
    yield question(words("pointwise.ask_fewer", conv=conv), kinds, kinds[0])
    rows = (
        (words("pointwise.conv"), f"{conv:,}"),
        (words("pointwise.over"), f"{lesson.over_channels:,}"),
        (words("pointwise.local"), f"{local:,}"),
        (words("pointwise.flat"), f"{linear:,}"),
    )
    header = words("pointwise.layer"), words("pointwise.weights")
    yield Table(words("pointwise.counts"), header, rows)
    stored = lesson.matrix.nnz
    yield judgement(
        words,
        "depends",
        words("pointwise.claim_fewer"),
        words(
            "pointwise.answer_fewer", inputs=lesson.flat[0], outputs=lesson.flat[1], conv=conv,
            linear=linear, over=lesson.over_channels,
        ),
        words(
            "pointwise.zeros", zeros=linear - stored, linear=linear, stored=stored, conv=conv,
            times=stored // conv,
        ),
        code=code(words, "fewer"),
    )  # fmt: skip


def _view(lesson: Pointwise, tab: str = "matrix") -> View:
    """Return the views of this very layer, at the pixel that is written out."""
    y, x = lesson.pixel
    return View(f"?preset=lesson3&at=output:0,{y},{x}", tab)


def _grids(words: Words, lesson: Pointwise) -> Iterator[Block]:
    inputs = lesson.mixing.shape[1]

    # A colour is one weight: the pixel that is written out is marked, not coloured.
    def own(cell: tuple[int, int], text: str) -> Cell:
        return Cell(text, cell[0] * inputs + cell[1])

    def marked(cell: tuple[int, int], text: str) -> Cell:
        return Cell(text, look="marked" if cell == lesson.pixel else "plain")

    grids = []
    for c in range(inputs):
        title = words("pointwise.channel", number=c + 1)
        grids.append(grid(words, title, lesson.map[c], marked))
    kernel = grid(
        words, words("pointwise.kernel"), lesson.mixing, own, kernel=(*lesson.mixing.shape, 1, 1)
    )
    results = [
        grid(words, words("pointwise.out", number=o + 1), values, marked)
        for o, values in enumerate(lesson.outputs)
    ]
    yield Beside((*grids, kernel), (*("",) * inputs, "*"))
    yield Beside(tuple(results), ("=", *("",) * (len(results) - 1)))


def _pixel(words: Words, lesson: Pointwise) -> Iterator[Block]:
    outputs, inputs = lesson.mixing.shape
    y, x = lesson.pixel
    yield Paragraph(words("pointwise.pixel", row=y + 1, column=x + 1), _view(lesson, "wiring"))
    yield Formula(
        tuple(
            words(
                "pointwise.sum",
                number=o + 1,
                sum=total(zip(row, lesson.map[:, y, x], strict=True), lesson.outputs[o, y, x]),
            )
            for o, row in enumerate(lesson.mixing)
        )
    )
    others = lesson.map[0].size - 1
    yield Paragraph(words("pointwise.same", channels=inputs, outputs=outputs, others=others))
    yield figure(
        "pointwise", words("pointwise.figure_text"), words("pointwise.figure"), lesson.matrix,
        image=lesson.map, words=words.templates("per_pixel"), first=1,
        positions=[(0, 0), lesson.pixel, (2, 1)],
    )  # fmt: skip
