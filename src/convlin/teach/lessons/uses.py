"""Lesson 5: what 1×1 convolutions are for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from convlin.display.numbers import times
from convlin.teach.document import Beside, Block, Heading, Paragraph, Table, View
from convlin.teach.lessons.parts import code, exercise, grid, judgement, proof, question, unbroken
from convlin.teach.numbers import Uses
from convlin.teach.numbers.uses import Channels, Collapse, Locality, Size
from convlin.teach.words import Words

__all__ = ["uses_lesson"]

WHY = 6  # the lesson that shuffles a 3×3, too


def uses_lesson(words: Words, lesson: Uses) -> Iterator[Block]:
    """Yield the blocks of lesson 5."""
    yield from _locality(words, lesson.locality)
    yield from _sizes(words, lesson.sizes)
    yield from _channels(words, lesson.channels)
    yield from _collapse(words, lesson.collapse)
    yield exercise(words, 2, "collapse")


def _locality(words: Words, locality: Locality) -> Iterator[Block]:
    yield Heading(words("uses.place"))
    options = [words(f"uses.place_{which}") for which in ("fc", "pointwise", "both", "neither")]
    yield question(words("uses.place_ask"), options, options[2])
    yield Paragraph(words("uses.place_text"), View("?preset=lesson3&at=output:1,1,2", "wiring"))
    counts = {"pointwise": locality.pointwise, "flattened": locality.flattened}
    yield judgement(
        words,
        "corrected",
        words("uses.place_claim"),
        words("uses.place_answer", lesson=WHY),
        words("uses.place_reads", positions=locality.positions, **counts),
        words("uses.place_shuffled" if locality.shuffled else "uses.place_unshuffled"),
        code=code(words, "place"),
    )


def _sizes(words: Words, sizes: tuple[Size, ...]) -> Iterator[Block]:
    yield Heading(words("uses.size"))
    runs = sum(case.flattened for case in sizes)
    prompt = words("uses.size_ask", size=times(sizes[0].size), count=len(sizes))
    yield question(prompt, range(len(sizes) + 1), runs)
    high, wide = sizes[1].size
    text = words("uses.size_text")
    yield Paragraph(text, View(f"?size={high}x{wide}&in=3&out=2&kernel=1x1&at=output:1,2,4"))
    rows = [
        (times(case.size), times(case.pointwise),
         words("uses.runs" if case.flattened else "uses.refuses"))
        for case in sizes
    ]  # fmt: skip
    header = words("uses.map"), words("uses.conv"), words("uses.linear")
    yield Table(words("uses.sizes"), header, tuple(rows))
    yield judgement(
        words,
        "right",
        words("uses.size_claim"),
        words("uses.size_answer"),
        words("uses.size_evidence", count=len(sizes), runs=runs),
        code=code(words, "size"),
    )  # fmt: skip


def _channels(words: Words, wide: Channels) -> Iterator[Block]:
    yield Heading(words("uses.channels"))
    shapes = {
        name: (*size, channels)
        for name, (channels, *size) in {"input": wide.input, "output": wide.output}.items()
    }
    height, width, inputs = shapes["input"]
    kernels = shapes["output"][2]
    options = [
        times(shape)
        for shape in (
            (height, width, inputs * kernels), (height, width, kernels), (1, 1, kernels),
            (height, width, inputs),
        )
    ]  # fmt: skip
    prompt = words("uses.channels_ask", input=shapes["input"], kernels=kernels)
    yield question(prompt, options, times(shapes["output"]))
    text = words("uses.channels_text", reads=wide.reads)
    yield Paragraph(text, View("?preset=lesson5&at=output:2,1,1", "wiring"))
    yield judgement(
        words,
        "right",
        words("uses.channels_claim"),
        words("uses.channels_answer", **shapes),
        words(
            "uses.channels_cost", weights=wide.weights, adds=wide.multiply_adds,
            flattened=wide.flattened,
        ),
        code=code(words, "channels"),
    )  # fmt: skip


def _collapse(words: Words, collapse: Collapse) -> Iterator[Block]:
    yield Heading(words("uses.activation"))
    options = [words(f"uses.activation_{which}") for which in ("one", "larger", "none")]
    yield question(words("uses.activation_ask"), options, options[0])
    yield Paragraph(words("uses.activation_text"), View("?preset=lesson5&at=output:0,1,1"))
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
        code=code(words, "activation"),
    )


def _vector(values: Iterable[int]) -> str:
    return unbroken(tuple(map(int, values)))
