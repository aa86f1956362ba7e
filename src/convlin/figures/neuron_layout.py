"""Where the maps of one neuron's picture stand, in inches.

Side by side, input channels above each other; maps that are far wider than high (a 1-D signal)
stand above each other instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convlin.figures.cells import Sheet

__all__ = ["Layout", "arrange"]

# Inches. Where a map is small: half leaves the article half a page, twice makes it a poster.
CELL = 0.5
# Room for one input map, by how many there are: all are some three to seven inches together. Half
# leaves the numbers of a 12×12 map out, twice is higher than a page on its side.
HEIGHTS = (3.2, 2.3, 1.7, 1.4)
WIDE = 7.0  # of a signal: half has no numbers, twice is wider than a page
# BETWEEN is where wires bend: half has them too steep to follow, twice is a page too wide. ABOVE
# and GAP hold names, BELOW the sentence: half has them collide, twice is empty paper.
MARGIN, GAP, BETWEEN, ABOVE, BELOW = 0.4, 0.4, 1.3, 0.6, 0.55
# So many times wider than high is flat: at half of it photographs stand above each other, at twice
# it two rows of 16 are side by side, too wide for a page.
FLAT = 3


@dataclass(frozen=True)
class Layout:
    """The input maps and their kernels, by channel, the output map, and the size of it all.

    Upright, wires run downwards; else to the right.
    """

    inputs: dict[int, Sheet]
    kernels: dict[int, Sheet]
    output: Sheet
    width: float
    height: float
    upright: bool


def arrange(
    channels: Sequence[int],
    read: Sequence[int],
    image: tuple[int, int],
    kernel: tuple[int, int],
    output: tuple[int, int],
) -> Layout:
    """Return the layout of these input channels, of which some are `read` through a kernel.

    image, kernel, output: rows and columns.
    """
    flat = max(image[1], output[1]) >= FLAT * max(image[0], output[0])
    return (_stacked if flat else _abreast)(channels, read, image, kernel, output)


def _abreast(
    channels: Sequence[int],
    read: Sequence[int],
    image: tuple[int, int],
    kernel: tuple[int, int],
    output: tuple[int, int],
) -> Layout:
    room = HEIGHTS[len(channels) - 1]
    side = _side(image, room, 1.5 * room)
    tap = _side(kernel, 0.6 * room, 0.6 * room)
    cell = _side(output, HEIGHTS[0], 1.5 * HEIGHTS[0])
    # Middles of channels lie `pitch` apart, so that map and kernel of one channel are level. From
    # the first to the last of k it is (k - 1)·pitch; half of what the height has over is above.
    pitch = max(image[0] * side, kernel[0] * tap) + GAP
    height = max(pitch * len(channels) - GAP, output[0] * cell)
    first = ABOVE + (height - pitch * (len(channels) - 1)) / 2
    middles = {channel: first + pitch * n for n, channel in enumerate(channels)}
    second = MARGIN + image[1] * side + BETWEEN
    third = second + kernel[1] * tap + BETWEEN
    return Layout(
        {c: Sheet(MARGIN, y - image[0] * side / 2, *image, side) for c, y in middles.items()},
        {c: Sheet(second, middles[c] - kernel[0] * tap / 2, *kernel, tap) for c in read},
        Sheet(third, ABOVE + (height - output[0] * cell) / 2, *output, cell),
        third + output[1] * cell + MARGIN,
        ABOVE + height + BELOW,
        upright=False,
    )


def _stacked(
    channels: Sequence[int],
    read: Sequence[int],
    image: tuple[int, int],
    kernel: tuple[int, int],
    output: tuple[int, int],
) -> Layout:
    side = min(_side(image, WIDE, WIDE), _side(output, WIDE, WIDE))
    across = WIDE / max(len(read), 1) - GAP
    tap = _side(kernel, across, across)
    width = max(image[1] * side, output[1] * side, len(read) * (kernel[1] * tap + GAP), 5.0)
    pitch = image[0] * side + GAP
    second = ABOVE + pitch * len(channels) - GAP + BETWEEN
    third = second + kernel[0] * tap + BETWEEN
    middle = MARGIN + width / 2
    # k kernels have k - 1 gaps between them: so wide is the row whose middle is `middle`.
    start = middle - (len(read) * (kernel[1] * tap + GAP) - GAP) / 2
    return Layout(
        {
            c: Sheet(middle - image[1] * side / 2, ABOVE + pitch * n, *image, side)
            for n, c in enumerate(channels)
        },
        {
            c: Sheet(start + n * (kernel[1] * tap + GAP), second, *kernel, tap)
            for n, c in enumerate(read)
        },
        Sheet(middle - output[1] * side / 2, third, *output, side),
        width + 2 * MARGIN,
        third + output[0] * side + BELOW,
        upright=True,
    )


def _side(cells: tuple[int, int], height: float, width: float) -> float:
    """Return the side of a cell for so many rows and columns in so much room."""
    return min(CELL, height / cells[0], width / cells[1])
