"""Lesson 4: a kernel as large as the map is an FC layer on the flattened map."""

from __future__ import annotations

from collections.abc import Iterator

from convlin.teach.document import Beside, Block, Formula, Paragraph, Table, View
from convlin.teach.lessons.parts import code, grid, judgement, number, proof, question, total
from convlin.teach.numbers import FullSize
from convlin.teach.words import Words

__all__ = ["full_size_lesson"]


def full_size_lesson(words: Words, lesson: FullSize) -> Iterator[Block]:
    """Yield the blocks of lesson 4."""
    channels, *size = lesson.shape
    yield Paragraph(
        words(
            "full_size.start", shape=lesson.shape, outputs=lesson.outputs, kernel=tuple(size),
            channels=channels, features=lesson.features,
        ),
        View("?preset=lesson4"),
    )  # fmt: skip
    yield question(
        words("full_size.ask", channels=channels, outputs=lesson.outputs, kernel=tuple(size)),
        [lesson.outputs, lesson.each, lesson.all, lesson.all * channels],
        lesson.all,
    )
    text = words("full_size.matrix", outputs=lesson.outputs, features=lesson.features)
    yield Paragraph(text, View("?preset=lesson4&at=output:1,0,0"))
    yield Formula(tuple(_sums(words, lesson)))
    yield Paragraph(words("full_size.count"))
    yield Table(
        words("full_size.counts"),
        (
            words("full_size.layer"), words("full_size.one_channel"),
            words("full_size.channels", channels=channels),
        ),
        (
            (words("full_size.conv", outputs=lesson.outputs), f"{lesson.one_channel:,}",
             f"{lesson.all:,}"),
            (words("full_size.linear"), f"{lesson.linear_one_channel:,}", f"{lesson.linear:,}"),
        ),
    )  # fmt: skip
    yield Paragraph(words("full_size.order"), View("?preset=lesson4&at=output:1,0,0", "wiring"))
    yield from _orders(words, lesson)
    high, wide = lesson.larger
    yield Paragraph(
        words("full_size.larger", larger=lesson.larger, fits=lesson.fits),
        View(f"?size={high}x{wide}&in={channels}&out={lesson.outputs}&at=output:1,1,1"),
    )
    right, wrong = lesson.orders
    verdict = proof(words, lesson.mistaken, "these")
    mistaken = words("full_size.mistaken", wrong=wrong, right=right, verdict=verdict)
    yield judgement(
        words,
        "answered",
        words("full_size.claim", claimed=lesson.one_channel),
        words(
            "full_size.answer", channels=channels, each=lesson.each, outputs=lesson.outputs,
            all=lesson.all,
        ),
        proof(words, lesson.proof, "all"),
        mistaken,
        code=code(words, "full_size"),
    )  # fmt: skip


def _sums(words: Words, lesson: FullSize) -> Iterator[str]:
    """Yield the second output, channel after channel, and their total."""
    parts = []
    for c, (weights, values) in enumerate(zip(lesson.kernels[1], lesson.map, strict=True)):
        value = float((weights * values).sum())
        parts.append((1.0, value))
        terms = zip(weights.ravel(), values.ravel(), strict=True)
        yield words("full_size.row", number=2, channel=c + 1, sum=total(terms, value))
    added = " + ".join(number(value) if value >= 0 else f"({number(value)})" for _, value in parts)
    whole = number(float(lesson.values[1]))
    yield words("full_size.total", number=2, sum=f"{added} = {whole}")


def _orders(words: Words, lesson: FullSize) -> Iterator[Block]:
    """Yield where the elements land."""
    for order, numbers in lesson.orders.items():
        grids = []
        for c, values in enumerate(numbers):
            title = words("full_size.place", order=order, number=c + 1)
            grids.append(grid(words, title, values))
        yield Beside(tuple(grids))
