"""Lesson 1: a convolution is a sparse FC layer, and what else its wires could weigh."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from convlin.teach.document import (
    Beside,
    Block,
    Cell,
    Figure,
    Formula,
    Heading,
    Note,
    Paragraph,
    Table,
)
from convlin.teach.drawings.straightened import straightened
from convlin.teach.example import Example
from convlin.teach.lessons.parts import (
    code,
    exercise,
    grid,
    judgement,
    listed,
    number,
    proof,
    proof_note,
    question,
    total,
)
from convlin.teach.lessons.rows import matrix_blocks, middle, row_by_number
from convlin.teach.lessons.shown import view
from convlin.teach.numbers import Sparse
from convlin.teach.numbers.sparse import Other
from convlin.teach.words import Words

__all__ = ["sparse_lesson"]

# Terms of a sum that is written out: six would leave out the article's nine, 24 fill four lines.
WRITTEN_OUT = 12


def sparse_lesson(words: Words, lesson: Sparse) -> Iterator[Block]:
    """Yield the blocks of lesson 1."""
    example = lesson.example
    pixels, wires = example.pixels, len(lesson.numbers)
    yield from _sliding(words, example)
    options = [0, wires, pixels - wires, pixels]
    row, column = example.neuron
    at = {"row": row + 1, "column": column + 1}
    yield question(words("sparse.ask", pixels=pixels, **at), options, pixels - wires)
    yield from _straightened(words, lesson)
    yield from matrix_blocks(words, example)
    matrix = example.matrix
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
        code=code(words, "sparse") if example.own == "none" else None,
    )
    yield proof_note(words)
    yield from _open_question(words, lesson)
    yield exercise(words, 1, "unique")


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
        pairs = {
            name: a if a == b else words("sparse.pair", down=a, across=b)
            for name, (a, b) in steps.items()
        }
        text += (" " if words.lang == "en" else "") + words("sparse.settings", **pairs)
    yield Paragraph(text, view(example, example.neuron))
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
    yield Note(words("sparse.strictly"), words("sparse.strictly_text"))
    example, numbers = lesson.example, lesson.numbers
    at = {"row": example.neuron[0] + 1, "column": example.neuron[1] + 1}
    fields = {"first": 1, "last": example.pixels, "value": number(lesson.value), **at}
    seen = view(example, example.neuron, "straighten")
    if not numbers:
        yield Paragraph(words("sparse.nothing", **fields), seen)
        return
    read = listed(words, numbers)
    yield Paragraph(words("sparse.straighten", **fields, wires=len(numbers), numbers=read), seen)
    if len(numbers) <= WRITTEN_OUT:
        terms = [
            (weight, example.image[pixel])
            for pixel, (_, weight) in example.wires(example.neuron).items()
        ]
        yield Formula((total(terms, lesson.value),))
    row = row_by_number(words, words("sparse.row"), example, example.neuron)
    if row is not None:
        yield Beside((row,))
    pixels, wires = example.pixels, len(numbers)
    seen = view(example, example.neuron, "wiring")
    if pixels == wires:
        yield Paragraph(words("sparse.wires_all", pixels=pixels), seen)
    else:
        yield Paragraph(
            words("sparse.wires", pixels=pixels, wires=wires, rest=pixels - wires), seen
        )
    value = number(lesson.value)
    yield Figure(
        partial(straightened, example, words.templates("straightened")),
        words("sparse.figure_text"),
        words("sparse.figure", pixels=pixels, value=value),
    )


def _open_question(words: Words, lesson: Sparse) -> Iterator[Block]:
    one, layer, conv, other = lesson.one, lesson.layer, lesson.conv, lesson.other
    example, pixels = lesson.example, lesson.example.pixels
    yield Heading(words("sparse.open"))
    wires = len(lesson.numbers)
    options = [0, len(lesson.bench.coloured_dark), pixels - wires, one.free]
    yield question(words("sparse.ask_free", unknowns=pixels), options, one.free)
    yield from _equation(words, lesson)
    if other is not None:
        yield from _other(words, lesson, other)
    yield _known(words, lesson)
    yield from _same_nine(words, lesson)
    key = "sparse.shared_free" if conv.free else "sparse.shared_fixed"
    counts = {"unknowns": conv.unknowns, "rank": conv.rank}
    outputs = example.matrix.shape[0]
    more = {"free": conv.free} if conv.free else {"windows": outputs}
    yield judgement(
        words,
        "answered",
        words("sparse.question"),
        words("sparse.family_fixed") if other is None else words("sparse.family"),
        words("sparse.equation", unknowns=one.unknowns, rank=one.rank, free=one.free),
        words("sparse.equation_layer", outputs=outputs, free=layer.free, unknowns=layer.unknowns),
        words(key, **counts, **more),
        code=code(words, "other_weights") if example.own == "none" else None,
    )


def _equation(words: Words, lesson: Sparse) -> Iterator[Block]:
    """Yield what the lit pixels of the window ask of their weights, and what is free."""
    bench, value = lesson.bench, number(lesson.value)
    seen = view(lesson.example, lesson.example.neuron, "bench")
    lit = bench.coloured_lit
    if not lit:
        yield Paragraph(words("sparse.lit_none", value=value), seen)
        return
    written = len(lit) <= WRITTEN_OUT
    text = [
        words("sparse.lit", lit=len(lit), numbers=listed(words, lit)),
        words("sparse.lit_sum" if written else "sparse.lit_one"),
    ]
    yield Paragraph((" " if words.lang == "en" else "").join(text), seen)
    if written:
        yield Formula((str(bench.window),))
    grey = len(bench.grey_lit) + len(bench.grey_dark)
    counts = {"dark": len(bench.coloured_dark), "grey": grey, "free": bench.free}
    if grey and bench.coloured_dark:
        yield Paragraph(words("sparse.lit_free", **counts, pixels=lesson.example.pixels))


def _other(words: Words, lesson: Sparse, other: Other) -> Iterator[Block]:
    """Yield other weights of the same output, and the image that tells them apart."""
    own, rounding = number(lesson.value), other.rounding
    yield Paragraph(
        words("sparse.other"), view(lesson.example, lesson.example.neuron, "bench", "other")
    )
    title, digits = words("sparse.other_row"), None if rounding is None else 2
    centre = middle(lesson.example.wires(lesson.example.neuron))
    yield Beside((grid(words, title, other.weights, digits=digits, centre=centre),))
    if rounding is None:
        yield Paragraph(words("sparse.other_same", value=own))
    else:
        bounds = {"difference": _tiny(rounding.deviation), "bound": _tiny(rounding.bound)}
        yield Paragraph(words("sparse.other_close", value=_rounded(other), own=own, **bounds))
    apart = {"other": number(other.other_there), "own": number(other.own_there)}
    yield Paragraph(
        words("sparse.other_apart", pixel=other.pixel, pixels=lesson.example.pixels, **apart),
        view(lesson.example, lesson.example.neuron, "bench", "second"),
    )


def _known(words: Words, lesson: Sparse) -> Table:
    """Return what is free of one neuron, the more images are known."""
    one = lesson.one
    rows = [
        (words("sparse.known_one"), "1", f"{one.rank:,}", f"{one.free:,}"),
        *(
            (words("sparse.known_more", first=1, count=count), f"{count + 1:,}", f"{known.rank:,}",
             f"{known.free:,}")
            for count, known in lesson.known
        ),
    ]  # fmt: skip
    header = (words(f"sparse.known_{name}") for name in ("kept", "images", "rank", "free"))
    title = words("sparse.known", pixels=lesson.example.pixels)
    return Table(title, tuple(header), tuple(rows))


def _same_nine(words: Words, lesson: Sparse) -> Iterator[Block]:
    """Yield what is free of the weights that all windows share."""
    outputs = lesson.example.matrix.shape[0]
    if outputs < 2 or not lesson.conv.rank or not 0 < len(lesson.windows) <= WRITTEN_OUT:
        return
    counts = {"unknowns": lesson.conv.unknowns, "windows": outputs, "free": lesson.conv.free}
    seen = view(lesson.example, lesson.example.neuron, "bench", "shared")
    yield Paragraph(words("sparse.same_nine", **counts), seen)
    free = [f"{left}" for left in lesson.windows]
    header = (words("sparse.windows_seen"), *(str(n + 1) for n in range(len(free))))
    yield Table(words("sparse.windows"), header, ((words("sparse.windows_free"), *free),))


def _rounded(other: Other) -> str:
    """Return the output of the other weights, 0 where rounding explains what else it is."""
    bound = other.rounding.bound if other.rounding is not None else 0
    return "0" if abs(other.value) <= (bound or 0) else number(other.value)


def _tiny(value: float | None) -> str:
    return f"{value:.1e}" if value else "0"
