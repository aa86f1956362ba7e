"""The picture that the article begins with: an image as a column of neurons, wired to one output.

The rows of the image slide below each other and are one column of numbered neurons. Wires lead from
all of them to the output: coloured where the kernel reads the pixel, a colour for each weight, and
thin, grey and dashed where the weight is zero. An SVG element made of text, in the page's paper and
ink; as wide as a telephone, larger where there is room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from convlin.display.languages import figure_texts
from convlin.figures.palette import ink_on, weight_colors
from convlin.teach.example import Example

__all__ = ["WORDS", "straightened"]

WORDS = {
    "image": "the image",
    "column": "as {pixels:,} neurons",
    "weights": "weights",
    "neuron": "output",
    "wires": "{wires} {wires:wire|wires} with the weights of the kernel",
    "others": "{others:,} {others:wire|wires} of weight 0",
    "label": (
        "The {size} image, row below row, is a column of {pixels:,} neurons. To the output in row "
        "{row}, column {column}, which is {value}, lead {wires} coloured {wires:wire|wires} and "
        "{others:,} grey {others:wire|wires}."
    ),
}
# Pixels across, of which a telephone of 360 leaves 328: digits of 10 are then 9.6. Half of it has
# digits of 20 there, twice has digits that nobody reads.
WIDTH = 340
DIGITS, LETTERS = 10, 11
# Neurons that are drawn one by one; of more, the first, the last and those that are read, up to
# LONGEST. Half of them cuts 12×12 images, twice is a column of four screens.
MOST, LONGEST = 144, 48
# From one neuron to the next: the 36 of the article are a screen high. Of more there are so many
# that the least that digits need is taken.
PITCH, CLOSE, MANY = 14.0, 11.5, 36
STEP = 3.0  # between neurons of two rows of the image: half does not show, twice tears the column
IMAGE = 84.0  # side of the image: its cells hold a digit up to 7×7, twice leaves wires no room
LEAST = IMAGE + 20  # of the height: a title stands above the image
TOP, BELOW = 20.0, 40.0  # a line of letters above, two below
LEFT, COLUMN = 4.0, 148.0  # where the image begins, and the numbers of neurons end
# Room of wires that bend: half of it has them too steep to follow, twice is no telephone wide.
BEND = 80.0
HALF = 15.0  # of the output's height: half is a neuron like the others, twice a button


@dataclass(frozen=True)
class Column:
    """The neurons that are drawn: number from 0 → height of its middle; and where some are not."""

    neurons: dict[int, float]
    gaps: tuple[float, ...]
    pitch: float
    height: float


def straightened(
    example: Example,
    words: Mapping[str, str] | None = None,
    output: tuple[int, int] | None = None,
) -> str:
    """Return the image as a column of neurons and the wires of one output, as an SVG element.

    output: row and column, from 0; else the neuron of the lesson. words: others for those of
    `WORDS`. People see rows, columns and neurons counted from 1. Raises `Refused` for words that
    are not used.

    >>> from convlin.teach.example import article_example
    >>> svg = straightened(article_example())
    >>> svg.count('class="wire"'), svg.count('class="zero"')
    (9, 27)
    """
    texts = figure_texts("straightened", WORDS, words)
    at = example.neuron if output is None else output
    height, width = example.image.shape
    wires = {y * width + x: wire for (y, x), wire in example.wires(at).items()}
    colors = weight_colors((1, 1, *example.kernel.shape))
    reads = {pixel: (colors[tap], weight) for pixel, (tap, weight) in wires.items()}
    column = _column(example.pixels, width, set(reads))
    value = _number(example.outputs[at])
    fields = {
        "size": (height, width), "pixels": example.pixels, "row": at[0] + 1, "column": at[1] + 1,
        "value": value, "wires": len(reads), "others": example.pixels - len(reads),
    }  # fmt: skip
    body = max(column.height, LEAST)
    middle, total = TOP + body / 2, TOP + body + BELOW
    # From the left: numbers of neurons, their values, their weights, wires, the output.
    node = COLUMN + 4 + _wide(example.image.ravel()[pixel] for pixel in column.neurons)
    weights = node + 8 + _wide(weight for _, weight in reads.values())
    last = max(2 * HALF, 14 + 7.8 * len(value))  # its letters are larger and bold
    across = max(WIDTH, weights + BEND + last + 6)
    target = across - 6 - last, middle
    parts = [
        *_bands(example, column, middle),
        *_image(example, reads, middle),
        _text((LEFT + IMAGE / 2, middle - IMAGE / 2 - 8), texts("image"), LETTERS),
        _text((node, 12), texts("column", **fields), LETTERS, "end"),
        _text((node + 8, 12), texts("weights"), LETTERS, "start") if reads else "",
        *_wires(column, reads, (node, weights), target),
        *_neurons(example, column, reads, node),
        f'<rect x="{target[0]:g}" y="{middle - HALF:g}" width="{last:g}" height="{2 * HALF:g}" '
        f'rx="{HALF:g}" fill="var(--paper)" stroke="var(--ink)" stroke-width="1.5"/>',
        _text((across - 6 - last / 2, middle + 4), value, 12, bold=True),
        _text((across - 6, middle - HALF - 7), texts("neuron", **fields), LETTERS, "end"),
        *_legend(total, texts("wires", **fields), texts("others", **fields), colors[: len(reads)]),
    ]
    label = escape(texts("label", **fields))
    style = f"width:100%;max-width:{1.4 * across:g}px;min-width:0;max-height:none;height:auto"
    return (
        f'<svg class="straightened" role="img" aria-label="{label}" font-family="inherit" '
        f'viewBox="0 0 {across:g} {total:g}" style="display:block;margin:auto;{style}">'
        f"{''.join(parts)}</svg>"
    )


def _column(pixels: int, width: int, reads: set[int]) -> Column:
    """Lay out the column from the top down, with a step where a row of the image begins."""
    shown = list(range(pixels))
    if pixels > MOST:
        ends = sorted({0, *reads, pixels - 1})
        shown = ends if len(ends) <= LONGEST else [*ends[: LONGEST // 2], *ends[-LONGEST // 2 :]]
    pitch = PITCH if len(shown) <= MANY else CLOSE
    y, before = TOP, -1
    neurons, gaps = {}, []
    for pixel in shown:
        if pixel - before > 1:
            gaps.append(y + pitch / 2)
            y += pitch
        elif pixel and pixel % width == 0:
            y += STEP
        neurons[pixel] = y + pitch / 2
        y, before = y + pitch, pixel
    height = y - TOP
    lower = max(0.0, LEAST - height) / 2  # in the middle, where the image is higher
    return Column(
        {pixel: y + lower for pixel, y in neurons.items()},
        tuple(y + lower for y in gaps), pitch, height,
    )  # fmt: skip


def _bands(example: Example, column: Column, middle: float) -> Iterator[str]:
    """Draw how each row of the image slides into its part of the column."""
    rows, width = example.image.shape
    cell = _cell(example)
    for row in range(rows):
        ys = [y for pixel, y in column.neurons.items() if pixel // width == row]
        if not ys:
            continue
        left, right = LEFT + width * cell, COLUMN - 20
        low = middle + (row - rows / 2) * cell
        top, bottom = ys[0] - column.pitch / 2, ys[-1] + column.pitch / 2
        half = (left + right) / 2
        share = 14 if row % 2 else 7  # so that two rows can be told apart
        yield (
            f'<path d="M{left:g} {low:g}C{half:g} {low:g} {half:g} {top:g} {right:g} {top:g}'
            f'V{bottom:g}C{half:g} {bottom:g} {half:g} {low + cell:g} {left:g} {low + cell:g}z" '
            f'fill="var(--ink)" fill-opacity="{share / 100:g}"/>'
        )


def _image(
    example: Example, reads: Mapping[int, tuple[str, float]], middle: float
) -> Iterator[str]:
    """Draw the image: pixels that are read in the colour of their weight, with digits that fit."""
    rows, width = example.image.shape
    cell = _cell(example)
    most = float(abs(example.image).max()) or 1.0
    values = [_number(value) for value in example.image.ravel()]
    digits = cell >= 12 and max(map(len, values)) < 3
    darkest = 0.2 if digits else 0.8
    top = middle - rows * cell / 2
    for pixel, value in enumerate(example.image.ravel()):
        row, column = divmod(pixel, width)
        x, y = LEFT + column * cell, top + row * cell
        fill = f'fill="var(--ink)" fill-opacity="{abs(value) / most * darkest:.2g}"'
        if pixel in reads:
            fill = f'fill="{reads[pixel][0]}"'
        if pixel in reads or value:
            yield f'<rect x="{x:.5g}" y="{y:.5g}" width="{cell:.4g}" height="{cell:.4g}" {fill}/>'
        if digits:
            ink = ink_on(reads[pixel][0]) if pixel in reads else "var(--ink)"
            yield _text((x + cell / 2, y + cell / 2 + 3.5), values[pixel], DIGITS, ink=ink)
    yield f'<path d="{_grid(rows, width, cell, top)}" stroke="var(--soft)" stroke-width=".6"/>'


def _grid(rows: int, columns: int, cell: float, top: float) -> str:
    """Return the lines between pixels that have room for them, and the border."""
    right, bottom = LEFT + columns * cell, top + rows * cell
    every = cell > 5
    ys = [top + n * cell for n in (range(rows + 1) if every else (0, rows))]
    xs = [LEFT + n * cell for n in (range(columns + 1) if every else (0, columns))]
    across = (f"M{LEFT:g} {y:.5g}H{right:.5g}" for y in ys)
    down = (f"M{x:.5g} {top:.5g}V{bottom:.5g}" for x in xs)
    return "".join((*across, *down))


def _wires(
    column: Column,
    reads: Mapping[int, tuple[str, float]],
    start: tuple[float, float],
    end: tuple[float, float],
) -> Iterator[str]:
    """Draw the wires of weight zero, and above them those that are read, with their weights.

    start: where neurons end, and weights. end: the output, x and y.
    """
    wide = start[1] - start[0] - 8
    zero = 'class="zero" stroke="var(--soft)" stroke-width=".7" stroke-dasharray="2 3"'
    unread = [y for pixel, y in column.neurons.items() if pixel not in reads]
    yield from (f'<path {zero} fill="none" d="{_curve(start, y, end)}"/>' for y in unread)
    read = [(y, *reads[pixel]) for pixel, y in column.neurons.items() if pixel in reads]
    for y, color, _ in read:
        line = f'class="wire" stroke="{color}" stroke-width="2"'
        yield f'<path {line} fill="none" d="{_curve(start, y, end)}"/>'
    for y, color, weight in read:
        x = start[0] + 8
        pill = f'x="{x:g}" y="{y - 5.5:g}" width="{wide:g}" height="11" rx="3"'
        yield f'<rect {pill} fill="{color}"/>'
        yield _text((x + wide / 2, y + 3.5), _number(weight), DIGITS, ink=ink_on(color))


def _curve(start: tuple[float, float], y: float, end: tuple[float, float]) -> str:
    """Return a wire that leaves level, past the weights, and arrives level at the output."""
    level, (x, y1) = start[1] + 6, end
    bend = f"{level + 0.6 * (x - level):g} {y:g} {x - 0.6 * (x - level):g} {y1:g}"
    return f"M{start[0]:g} {y:g}H{level:g}C{bend} {x:g} {y1:g}"


def _neurons(
    example: Example, column: Column, reads: Mapping[int, tuple[str, float]], right: float
) -> Iterator[str]:
    """Draw the column: number, and a pill with the value; dots where neurons are left out."""
    values = example.image.ravel()
    high, wide = column.pitch - 1.5, right - COLUMN - 4
    for pixel, y in column.neurons.items():
        color = reads[pixel][0] if pixel in reads else ""
        yield _text((COLUMN, y + 3.5), str(pixel + 1), DIGITS, "end", ink="var(--soft)")
        yield (
            f'<rect x="{COLUMN + 4:g}" y="{y - high / 2:g}" width="{wide:g}" height="{high:g}" '
            f'rx="{high / 2:g}" fill="{color or "var(--paper)"}" stroke="var(--soft)" '
            'stroke-width=".7"/>'
        )
        ink = ink_on(color) if color else "var(--ink)"
        yield _text((COLUMN + 4 + wide / 2, y + 3.5), _number(values[pixel]), DIGITS, ink=ink)
    for y in column.gaps:
        yield _text((COLUMN + 4 + wide / 2, y + 3), "⋮", LETTERS, ink="var(--soft)")


def _legend(total: float, wires: str, others: str, colors: Sequence[str]) -> Iterator[str]:
    """Say below what the two kinds of wires are; nine colours stand for all."""
    y, dashes = total - BELOW + 20, 'stroke="var(--soft)" stroke-dasharray="2 3"'
    piece = 28 / max(len(colors[:9]), 1)
    for n, color in enumerate(colors[:9]):
        part = f"M{LEFT + n * piece:.4g} {y - 4:g}h{piece:.3g}"
        yield f'<path d="{part}" stroke="{color}" stroke-width="3"/>'
    yield _text((38, y), wires, LETTERS, "start")
    yield f'<path d="M{LEFT:g} {y + 12:g}h28" {dashes}/>'
    yield _text((38, y + 16), others, LETTERS, "start")


def _text(
    place: tuple[float, float],
    text: str,
    size: float,
    anchor: str = "middle",
    *,
    ink: str = "var(--ink)",
    bold: bool = False,
) -> str:
    weight = ' font-weight="700"' * bold
    return (
        f'<text x="{place[0]:.4g}" y="{place[1]:.6g}" font-size="{size:g}" text-anchor="{anchor}" '
        f'fill="{ink}"{weight}>{escape(text)}</text>'
    )


def _cell(example: Example) -> float:
    """Return the side of a pixel of the image."""
    return float(min(14.0, IMAGE / max(example.image.shape)))


def _wide(values: Iterable[float]) -> float:
    """Return how wide a pill is that holds any of these numbers."""
    return 8 + 6.2 * max((len(_number(value)) for value in values), default=1)


def _number(value: float) -> str:
    """Return a number in few characters.

    >>> _number(-1.0), _number(2 / 3), _number(255.0), _number(-1e6)
    ('−1', '0.667', '255', '−1e6')
    """
    return f"{value + 0.0:.3g}".replace("e+0", "e").replace("-", "\N{MINUS SIGN}")
