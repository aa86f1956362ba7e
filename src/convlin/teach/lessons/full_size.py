"""Lesson 4: a kernel as large as the map is an FC layer on the flattened map."""

from __future__ import annotations

from collections.abc import Iterator

from convlin.teach.document import Beside, Block, Cell, Paragraph, Table
from convlin.teach.lessons.parts import grid, judgement, proof
from convlin.teach.numbers import FullSize
from convlin.teach.words import Words

__all__ = ["full_size_lesson"]


def full_size_lesson(words: Words, lesson: FullSize) -> Iterator[Block]:
    """Yield the blocks of lesson 4."""
    channels, *size = lesson.shape
    yield Paragraph(
        words(
            "full_size.start", shape=lesson.shape, outputs=lesson.outputs, kernel=tuple(size),
            features=lesson.features,
        )
    )  # fmt: skip
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
    yield Paragraph(words("full_size.order"))
    yield from _orders(words, lesson)
    yield Paragraph(words("full_size.larger", larger=lesson.larger, fits=lesson.fits))
    right, wrong = lesson.orders
    verdict = proof(words, lesson.mistaken, "these")
    mistaken = words("full_size.mistaken", wrong=wrong, right=right, verdict=verdict)
    yield judgement(
        words,
        "corrected",
        words("full_size.claim", claimed=lesson.one_channel),
        words(
            "full_size.answer", channels=channels, each=lesson.each, outputs=lesson.outputs,
            all=lesson.all,
        ),
        proof(words, lesson.proof, "all"),
        mistaken,
    )  # fmt: skip


def _orders(words: Words, lesson: FullSize) -> Iterator[Block]:
    """Yield where the elements land; a colour for each channel."""
    channels = lesson.shape[0]
    for order, numbers in lesson.orders.items():
        grids = []
        for c, values in enumerate(numbers):

            def paint(_: tuple[int, int], text: str, c: int = c) -> Cell:
                return Cell(text, c)

            title = words("full_size.place", order=order, number=c + 1)
            grids.append(grid(words, title, values, paint, taps=channels))
        yield Beside(tuple(grids))
