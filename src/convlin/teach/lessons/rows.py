"""Rows of the matrix: an output's weights on its pixels, in one line, and all of them."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator

from convlin.teach.document import Beside, Block, Cell, Grid, Paragraph
from convlin.teach.example import Example
from convlin.teach.lessons.parts import ACROSS, WIDEST, grid, number
from convlin.teach.lessons.shown import view
from convlin.teach.words import Words

__all__ = ["matrix_blocks", "middle", "row_by_number", "weights_by_pixel"]

LETTERS = string.ascii_letters
# Rows and columns: the article's 16×36 whole, in a terminal's 80; half would cut it, twice does not
# fit.
MATRIX_SHOWN = 20, 36
# Pixels of a row that is written out with their numbers, in lines of WIDEST: 12×12 is twelve lines
# of two, a screen.
ROW_SHOWN = 144


def weights_by_pixel(
    words: Words, title: str, example: Example, neuron: tuple[int, int]
) -> Grid:  # fmt: skip
    """Return an output's weights, each on the pixel it meets, in the colour of its tap."""
    read = example.wires(neuron)

    def paint(cell: tuple[int, int], _: str) -> Cell:
        if cell not in read:
            return Cell("0", look="faint")
        tap, weight = read[cell]
        return Cell(number(weight), tap)

    centre = middle(read)
    return grid(
        words, title, example.image, paint, kernel=(1, 1, *example.kernel.shape), centre=centre
    )


def row_by_number(
    words: Words, title: str, example: Example, neuron: tuple[int, int]
) -> Grid | None:
    """Return an output's row of the matrix, pixel numbers above weights; None if it is too long."""
    pixels, width = example.pixels, example.image.shape[1]
    if pixels > ROW_SHOWN:
        return None
    read = example.wires(neuron)
    texts = [str(pixels), *(number(weight) for _, weight in read.values())]
    across = min(WIDEST, pixels, ACROSS // (max(map(len, texts)) + 2))
    rows = []
    for start in range(0, pixels, across):
        numbers = range(start, min(start + across, pixels))
        ends = ("",) * (across - len(numbers))
        found = [read.get(divmod(pixel, width)) for pixel in numbers]
        rows.append(tuple(Cell(str(n + 1), look="faint") for n in numbers) + _blank(ends))
        rows.append(
            tuple(
                Cell("0", look="faint") if wire is None else Cell(number(wire[1]), wire[0])
                for wire in found
            )
            + _blank(ends)
        )
    return Grid(title, tuple(rows), (1, 1, *example.kernel.shape))


def _blank(texts: Iterable[str]) -> tuple[Cell, ...]:
    return tuple(Cell(text, look="faint") for text in texts)


def matrix_blocks(words: Words, example: Example) -> Iterator[Block]:
    """Yield the whole layer as a matrix, a letter for each weight of the kernel."""
    matrix, taps, columns = example.matrix, example.kernel.size, example.kernel.shape[1]
    kernel = (1, 1, *example.kernel.shape)
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

    text = words("sparse.matrix" if taps <= len(LETTERS) else "sparse.matrix_many")
    yield Paragraph(text, view(example, example.neuron))
    yield Beside((grid(words, words("sparse.kernel"), example.kernel, named, kernel=kernel),))
    title = words("sparse.matrix_title")
    yield Beside(
        (
            grid(
                words, title, matrix.toarray(), wire, kernel=kernel, widest=MATRIX_SHOWN,
                tight=True,
            ),
        )
    )  # fmt: skip


def middle(cells: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return the cell amid these, or the first one of the image."""
    rows, columns = zip(*(list(cells) or [(0, 0)]), strict=True)
    return (min(rows) + max(rows)) // 2, (min(columns) + max(columns)) // 2
