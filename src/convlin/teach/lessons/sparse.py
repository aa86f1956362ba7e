"""Lesson 1: a convolution is a sparse FC layer, and what else its wires could weigh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from convlin.teach.document import (
    Beside,
    Block,
    Cell,
    Formula,
    Grid,
    Heading,
    Paragraph,
    Table,
)
from convlin.teach.example import Example
from convlin.teach.lessons.parts import (
    figure,
    grid,
    judgement,
    listed,
    number,
    proof,
    total,
    unbroken,
)
from convlin.teach.numbers import Sparse
from convlin.teach.numbers.sparse import Other
from convlin.teach.words import Words

__all__ = ["sparse_lesson", "weights_by_pixel"]

# Terms of a sum that is written out: six would leave out the article's nine, 24 fill four lines.
WRITTEN_OUT = 12


def sparse_lesson(words: Words, lesson: Sparse) -> Iterator[Block]:
    """Yield the blocks of lesson 1."""
    yield from _sliding(words, lesson.example)
    yield from _straightened(words, lesson)
    matrix = lesson.example.matrix
    rest = lesson.in_matrix - lesson.entries
    sizes = {"rows": matrix.shape[0], "columns": matrix.shape[1]}
    yield judgement(
        words,
        "right",
        words("sparse.claim"),
        _sparse(words, lesson.in_matrix, rest, sizes),
        words("sparse.stored", all=lesson.in_matrix, stored=lesson.entries, rest=rest)
        if rest
        else words("sparse.stored_all", all=lesson.in_matrix),
        proof(words, lesson.proof, "these"),
    )
    yield from _open_question(words, lesson)


def _sparse(words: Words, entries: int, zeros: int, sizes: dict[str, int]) -> str:
    """Return whether the convolution is a sparse layer: a small example need not be."""
    if not zeros:
        return words("sparse.answer_dense")
    return words("sparse.answer" if 2 * zeros > entries else "sparse.answer_few", **sizes)


def _sliding(words: Words, example: Example) -> Iterator[Block]:
    matrix, columns = example.matrix, example.kernel.shape[1]
    count, (row, column) = matrix.shape[0], example.neuron
    sizes = {"image": matrix.input_size, "kernel": example.kernel.shape}
    text = words("sparse.slide", **sizes, outputs=matrix.output_size, count=count)
    steps = {"stride": example.stride, "padding": example.padding, "dilation": example.dilation}
    if steps != {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}:
        pairs = {name: a if a == b else unbroken((a, b)) for name, (a, b) in steps.items()}
        text += (" " if words.lang == "en" else "") + words("sparse.settings", **pairs)
    yield Paragraph(text)
    read, kernel = example.wires(example.neuron), (1, 1, *example.kernel.shape)

    def pixel(cell: tuple[int, int], text: str) -> Cell:
        return Cell(text, read[cell][0]) if cell in read else Cell(text)

    def weight(cell: tuple[int, int], text: str) -> Cell:
        return Cell(text, cell[0] * columns + cell[1])

    def value(cell: tuple[int, int], text: str) -> Cell:
        return Cell(text, look="marked" if cell == (row, column) else "plain")

    centre = middle(read)
    yield Beside(
        (
            grid(words, words("sparse.image"), example.image, pixel, kernel=kernel, centre=centre),
            grid(words, words("sparse.kernel"), example.kernel, weight, kernel=kernel),
            grid(words, words("sparse.output"), example.outputs, value, centre=(row, column)),
        ),
        ("", "*", "="),
    )


def _straightened(words: Words, lesson: Sparse) -> Iterator[Block]:
    example, numbers = lesson.example, lesson.numbers
    at = {"row": example.neuron[0] + 1, "column": example.neuron[1] + 1}
    fields = {"first": 1, "last": example.pixels, "value": number(lesson.value), **at}
    if not numbers:
        yield Paragraph(words("sparse.nothing", **fields))
        return
    read = listed(words, numbers)
    yield Paragraph(words("sparse.straighten", **fields, wires=len(numbers), numbers=read))
    if len(numbers) <= WRITTEN_OUT:
        terms = [
            (weight, example.image[pixel])
            for pixel, (_, weight) in example.wires(example.neuron).items()
        ]
        yield Formula((total(terms, lesson.value),))
    yield Beside((weights_by_pixel(words, words("sparse.row"), example, example.neuron),))
    pixels, wires = example.pixels, len(numbers)
    if pixels == wires:
        yield Paragraph(words("sparse.wires_all", pixels=pixels))
    else:
        yield Paragraph(words("sparse.wires", pixels=pixels, wires=wires, rest=pixels - wires))
    yield figure(
        "neuron", words("sparse.figure_text"), words("sparse.figure"),
        example.matrix, example.image, output=(0, *example.neuron), words=words.templates("neuron"),
    )  # fmt: skip


def _open_question(words: Words, lesson: Sparse) -> Iterator[Block]:
    one, layer, conv, other = lesson.one, lesson.layer, lesson.conv, lesson.other
    rows = [
        (words("sparse.known_one"), "1", f"{one.rank:,}", f"{one.free:,}"),
        *(
            (words("sparse.known_more", count=count), f"{count + 1:,}", f"{known.rank:,}",
             f"{known.free:,}")
            for count, known in lesson.known
        ),
    ]  # fmt: skip
    yield Heading(words("sparse.open"))
    if other is not None:
        yield Paragraph(words("sparse.other"))
        title = words("sparse.other_row")
        yield Beside((grid(words, title, other.weights, digits=2),))
        yield Paragraph(
            words(
                "sparse.other_same", value=_rounded(other), own=number(lesson.value),
                difference=_tiny(other.rounding.deviation), bound=_tiny(other.rounding.bound),
            )
        )  # fmt: skip
        yield Paragraph(
            words(
                "sparse.other_apart", pixel=other.pixel, other=number(other.other_there),
                own=number(other.own_there),
            )
        )  # fmt: skip
    yield Table(
        words("sparse.known", pixels=lesson.example.pixels),
        (
            words("sparse.known_kept"), words("sparse.known_images"), words("sparse.known_rank"),
            words("sparse.known_free"),
        ),
        tuple(rows),
    )  # fmt: skip
    shared = "sparse.shared_free" if conv.free else "sparse.shared_fixed"
    counts = {"unknowns": conv.unknowns, "rank": conv.rank}
    outputs = lesson.example.matrix.shape[0]
    yield judgement(
        words,
        "answered",
        words("sparse.question"),
        words("sparse.family_fixed") if other is None else words("sparse.family"),
        words("sparse.equation", unknowns=one.unknowns, rank=one.rank, free=one.free),
        words("sparse.equation_layer", outputs=outputs, free=layer.free, unknowns=layer.unknowns),
        words(shared, **counts, **({"free": conv.free} if conv.free else {})),
    )


def _rounded(other: Other) -> str:
    """Return the output of the other weights, 0 where rounding explains what else it is."""
    return "0" if abs(other.value) <= (other.rounding.bound or 0) else number(other.value)


def _tiny(value: float | None) -> str:
    return f"{value:.1e}" if value else "0"
