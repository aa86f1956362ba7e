"""Lesson 5: what 1×1 convolutions are for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from convlin.display.numbers import times
from convlin.teach.document import Beside, Block, Heading, Paragraph, Table
from convlin.teach.lessons.parts import grid, judgement, proof, unbroken
from convlin.teach.numbers import Uses
from convlin.teach.numbers.uses import Channels, Collapse, Locality, Size
from convlin.teach.words import Words

__all__ = ["uses_lesson"]


def uses_lesson(words: Words, lesson: Uses) -> Iterator[Block]:
    """Yield the blocks of lesson 5."""
    yield from _locality(words, lesson.locality)
    yield from _sizes(words, lesson.sizes)
    yield from _channels(words, lesson.channels)
    yield from _collapse(words, lesson.collapse)


def _locality(words: Words, locality: Locality) -> Iterator[Block]:
    yield Heading(words("uses.place"))
    yield Paragraph(words("uses.place_text"))
    counts = {"pointwise": locality.pointwise, "flattened": locality.flattened}
    yield judgement(
        words,
        "right",
        words("uses.place_claim"),
        words("uses.place_answer"),
        words("uses.place_reads", positions=locality.positions, **counts),
        words("uses.place_shuffled" if locality.shuffled else "uses.place_unshuffled"),
    )


def _sizes(words: Words, sizes: tuple[Size, ...]) -> Iterator[Block]:
    yield Heading(words("uses.size"))
    yield Paragraph(words("uses.size_text"))
    rows = [
        (times(case.size), times(case.pointwise),
         words("uses.runs" if case.flattened else "uses.refuses"))
        for case in sizes
    ]  # fmt: skip
    header = words("uses.map"), words("uses.conv"), words("uses.linear")
    yield Table(words("uses.sizes"), header, tuple(rows))
    runs = sum(case.flattened for case in sizes)
    yield judgement(
        words,
        "right",
        words("uses.size_claim"),
        words("uses.size_answer"),
        words("uses.size_evidence", count=len(sizes), runs=runs),
    )


def _channels(words: Words, wide: Channels) -> Iterator[Block]:
    yield Heading(words("uses.channels"))
    yield Paragraph(words("uses.channels_text", reads=wide.reads))
    shapes = {
        name: (*size, channels)
        for name, (channels, *size) in {"input": wide.input, "output": wide.output}.items()
    }
    yield judgement(
        words,
        "right",
        words("uses.channels_claim"),
        words("uses.channels_answer", **shapes),
        words(
            "uses.channels_cost", weights=wide.weights, adds=wide.multiply_adds,
            flattened=wide.flattened,
        ),
    )  # fmt: skip


def _collapse(words: Words, collapse: Collapse) -> Iterator[Block]:
    yield Heading(words("uses.activation"))
    yield Paragraph(words("uses.activation_text"))
    grids = [
        grid(words, words(f"uses.{name}"), weights)
        for name, weights in (
            ("second", collapse.second),
            ("first", collapse.first),
            ("product", collapse.product),
        )
    ]
    yield Beside(tuple(grids), ("", "·", "="))
    one, other = (_vector(pixel) for pixel in collapse.pixels)
    yield Paragraph(words("uses.relu", one=one, other=other))
    rows = [
        (words(f"uses.{name}"), *map(_vector, pair))
        for name, pair in (("plain", collapse.plain), ("activated", collapse.activated))
    ]
    header = (words(f"uses.{name}") for name in ("case", "after", "before"))
    yield Table(words("uses.sums"), tuple(header), tuple(rows))
    after, before = map(_vector, collapse.activated)
    yield judgement(
        words,
        "corrected",
        words("uses.activation_claim"),
        words("uses.activation_answer"),
        words("uses.activation_proof", verdict=proof(words, collapse.proof, "these")),
        words("uses.activation_relu", after=after, before=before),
    )


def _vector(values: Iterable[int]) -> str:
    return unbroken(tuple(map(int, values)))
