"""`pointwise`: a 1×1 convolution is one and the same fully connected layer at every pixel.

Three pixels stand for all of them: the layer is drawn for each, from the channels of that pixel to
the channels of its output, with a colour for each weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Shaped
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from convlin.display.languages import Texts, figure_texts
from convlin.errors import Refusal, Refused
from convlin.figures.canvas import Drawing, blank
from convlin.figures.cells import Sheet, covering, number, write
from convlin.figures.palette import BLANK, INK, MUTED
from convlin.figures.plane import on_paper, plane_shape, read_image, require_plane, weight_of
from convlin.figures.stored_entries import kernel_colors
from convlin.matrix import ConvMatrix, sources

__all__ = ["pointwise"]

WORDS = {
    "input": "input {channels}×{rows}×{columns}",
    "layer": "fully connected {inputs}→{outputs}",
    "output": "output {channels}×{rows}×{columns}",
    "channel": "channel {channel}",
    "pixel": "at {place}",
    "weights": "the same {weights:,} weights at each of {pixels:,} positions",
    "some": "the first {shown} channels of more",
}
# Channels on either side: two would not show lesson 3's three, eight make a page of nodes alone.
SHOWN = 4
# Inches: one map, and one of its cells, at most. At half of them the cells have no numbers, at
# twice them the maps are higher than the layers they are for.
MAP, CELL = 1.5, 0.42
# Of a node, and between two: at half a radius its number sticks out, twice or at half a step nodes
# touch, twice a step is a page too high.
RADIUS, STEP = 0.17, 0.46
# GAP holds a channel's name, ABOVE two lines of words, BELOW one and the weights, LAYER the lines
# of weights between nodes: half has them collide, twice is empty paper.
MARGIN, GAP, BETWEEN, LAYER, ABOVE, BELOW = 0.4, 0.42, 1.1, 1.7, 0.75, 0.6
WEIGHT = 0.34  # of a cell that lists a weight: half has no number, twice is larger than a map's

Shape = tuple[int, int, int]
Values = Shaped[np.ndarray, "c rows columns"] | None


def pointwise(
    matrix: ConvMatrix,
    image: Any = None,
    *,
    positions: Sequence[Sequence[SupportsIndex]] | None = None,
    first: int = 0,
    words: Mapping[str, str] | None = None,
) -> Drawing:
    """Draw a 1×1 convolution as the fully connected layer that it is at every pixel.

    image: (channels, *size), flattened, or (*size) where there is one channel; its numbers and
    those of the output stand in the cells and nodes. positions: outputs that are drawn, from 0;
    else the first, the middle and the last. first: the number that the figure calls the first
    channel, row and column. words: others for those of `WORDS`. At most four channels are drawn.
    Raises `Refused` for other kernels, for 3-D, and for an image or positions that do not fit.

    >>> from convlin import ConvGeometry, ConvMatrix
    >>> A = ConvMatrix(ConvGeometry(3, 2, (1, 1)), np.arange(6).reshape(2, 3, 1, 1), (4, 5))
    >>> pointwise(A)  # doctest: +ELLIPSIS
    <Drawing size ... with 1 Axes>
    """
    require_plane("pointwise", matrix)
    _require_one_tap(matrix)
    texts = figure_texts("pointwise", WORDS, words)
    shapes = plane_shape(matrix.input_shape), plane_shape(matrix.output_shape)
    inputs: Values = None if image is None else read_image("pointwise", matrix, image)
    outputs: Values = None
    if inputs is not None:
        outputs = np.asarray(matrix.dot(inputs.ravel())).reshape(shapes[1])
    places = _positions(matrix) if positions is None else _given(matrix, positions)
    each = max(min(shape[0], SHOWN) for shape in shapes) * STEP + 0.5
    height = max(each * len(places), *(_height(shape) for shape in shapes))
    in_maps = _maps(shapes[0], MARGIN, height)
    layer = in_maps[0].right + BETWEEN
    out_maps = _maps(shapes[1], layer + LAYER + BETWEEN, height)
    weights = _weights(matrix, (layer + LAYER / 2, ABOVE + height + BELOW))
    below = ABOVE + height + BELOW + (weights.rows * weights.side + 0.25 if weights else 0)
    figure, axes = blank(out_maps[0].right + MARGIN, below)
    for sheets, values in ((in_maps, inputs), (out_maps, outputs)):
        for channel, sheet in enumerate(sheets):
            if values is None:
                sheet.rule(axes)
            else:
                sheet.shade(axes, values[channel])
            _above(axes, sheet, texts("channel", channel=first + channel))
    for n, position in enumerate(places):
        middle = (layer + LAYER / 2, ABOVE + height * (n + 0.5) / len(places) + 0.1)
        _layer(axes, matrix, position, middle, (in_maps, out_maps), (inputs, outputs))
        text = texts("pixel", place=str(tuple(first + at for at in position)))
        write(axes, (middle[0], middle[1] - each / 2 + 0.2), text, 8, MUTED, **covering(BLANK))
    _captions(axes, matrix, texts, (in_maps, out_maps), height)
    if weights is not None:
        kernel = weight_of(matrix).reshape(weights.rows, weights.columns)
        colors = iter(kernel_colors(matrix))
        weights.paint(axes, {pair: [next(colors)] for pair in np.ndindex(kernel.shape)}, kernel)
    return figure


def _require_one_tap(matrix: ConvMatrix) -> None:
    geometry = matrix.geometry
    if geometry.taps > 1:
        raise Refused(
            Refusal("pointwise", "matrix.geometry.kernel", geometry.kernel,
                    str((1,) * geometry.ndim), "else an output reads more pixels than one")
        )  # fmt: skip


def _positions(matrix: ConvMatrix) -> list[tuple[int, ...]]:
    """Return the first, the middle and the last output position that reads a pixel."""
    reading = [
        np.flatnonzero(sources(matrix.geometry, dim, n)[:, 0] >= 0).tolist()
        for dim, n in enumerate(matrix.input_size)
    ]
    if not all(reading):
        raise Refused(
            Refusal("pointwise", "matrix.geometry.padding", matrix.geometry.padding, "less",
                    "no output reads a pixel")
        )  # fmt: skip
    first, middle, last = (
        tuple(outputs[at(len(outputs))] for outputs in reading)
        for at in (lambda _: 0, lambda n: n // 2, lambda n: n - 1)
    )
    return list(dict.fromkeys((first, middle, last)))


def _given(
    matrix: ConvMatrix, positions: Sequence[Sequence[SupportsIndex]]
) -> list[tuple[int, ...]]:
    """Return positions as they were given, if they are there and read a pixel."""
    reading = [
        np.flatnonzero(sources(matrix.geometry, dim, n)[:, 0] >= 0).tolist()
        for dim, n in enumerate(matrix.input_size)
    ]
    places = [tuple(int(at) for at in position) for position in positions]
    for place in places:
        if len(place) != len(reading) or any(
            at not in outputs for at, outputs in zip(place, reading, strict=True)
        ):
            allowed = f"outputs of {matrix.output_size} that read a pixel"
            raise Refused(Refusal("pointwise", "positions", place, allowed))
    return places


def _weights(matrix: ConvMatrix, top: tuple[float, float]) -> Sheet | None:
    """Return where the weights are listed below the layers; nowhere if some are not drawn."""
    rows, columns, *_ = matrix.geometry.weight_shape
    if max(rows, columns) > SHOWN:
        return None
    return Sheet(top[0] - columns * WEIGHT / 2, top[1], rows, columns, WEIGHT)


def _height(shape: Shape) -> float:
    channels = min(shape[0], SHOWN)
    return channels * shape[1] * _side(shape) + (channels - 1) * GAP


def _side(shape: Shape) -> float:
    return min(CELL, MAP / shape[1], 1.6 * MAP / shape[2])


def _maps(shape: Shape, left: float, height: float) -> list[Sheet]:
    """Return the maps that are drawn, above each other in the middle of the height."""
    side = _side(shape)
    top = ABOVE + (height - _height(shape)) / 2
    pitch = shape[1] * side + GAP
    return [
        Sheet(left, top + n * pitch, shape[1], shape[2], side) for n in range(min(shape[0], SHOWN))
    ]


def _layer(
    axes: Axes,
    matrix: ConvMatrix,
    position: tuple[int, ...],
    middle: tuple[float, float],
    maps: tuple[Sequence[Sheet], Sequence[Sheet]],
    values: tuple[Values, Values],
) -> None:
    """Draw the layer of one output position: nodes, weights, and lines to the pixels."""
    count = int(np.prod(matrix.geometry.weight_shape))
    colors = kernel_colors(matrix)
    numbered = matrix.with_kernel(np.arange(count).reshape(matrix.geometry.weight_shape))
    # k nodes around the middle: the nth is n - (k - 1)/2 steps below it, which sums to 0.
    nodes = tuple(
        [
            (middle[0] + sign * LAYER / 2, middle[1] + STEP * (n - (len(sheets) - 1) / 2))
            for n in range(len(sheets))
        ]
        for sign, sheets in zip((-1, 1), maps, strict=True)
    )
    read: tuple[int, ...] = position
    for out in range(len(maps[1])):
        for wire in numbered.wires((out, *position)):
            channel, *at = wire.input
            read = tuple(at)
            if channel < len(maps[0]):
                (x0, y0), (x1, y1) = nodes[0][channel], nodes[1][out]
                color = colors[wire.weight % len(colors)]
                axes.plot([x0, x1], [y0, y1], color=color, linewidth=2.2, zorder=2)
    for side, pixel in enumerate((on_paper(read), on_paper(position))):
        for channel, sheet in enumerate(maps[side]):
            sheet.frame(axes, pixel, pixel)
            x, y = nodes[side][channel]
            ends = zip(sheet.middle(*pixel), (x, y), strict=True)
            axes.plot(*ends, color=MUTED, linewidth=0.7, alpha=0.8, zorder=1.2)
            axes.add_patch(
                Circle((x, y), RADIUS, facecolor=BLANK, edgecolor=INK, linewidth=1, zorder=3)
            )
            of_side = values[side]
            if of_side is not None:
                text = number(of_side[(channel, *pixel)].item())
                write(axes, (x, y), text, 8 if len(text) < 4 else 6)


def _above(axes: Axes, sheet: Sheet, text: str) -> None:
    point = ((sheet.left + sheet.right) / 2, sheet.top - 0.13)
    write(axes, point, text, 8, MUTED, **covering(BLANK))


def _captions(
    axes: Axes,
    matrix: ConvMatrix,
    texts: Texts,
    maps: tuple[Sequence[Sheet], Sequence[Sheet]],
    height: float,
) -> None:
    """Write what each column is, and how often the same weights are used."""
    geometry = matrix.geometry
    shapes = plane_shape(matrix.input_shape), plane_shape(matrix.output_shape)
    for name, shape, (sheet, *_) in zip(("input", "output"), shapes, maps, strict=True):
        channels, rows, columns = shape
        text = texts(name, channels=channels, rows=rows, columns=columns)
        write(axes, ((sheet.left + sheet.right) / 2, 0.3), text, 10, weight="bold")
    middle = (maps[0][0].right + maps[1][0].left) / 2
    layer = texts("layer", inputs=geometry.in_channels, outputs=geometry.out_channels)
    write(axes, (middle, 0.3), layer, 10, weight="bold")
    weights, pixels = int(np.prod(geometry.weight_shape)), int(np.prod(matrix.output_size))
    sentence = texts("weights", weights=weights, pixels=pixels)
    if max(geometry.in_channels, geometry.out_channels) > SHOWN:
        sentence += "; " + texts("some", shown=SHOWN)
    write(axes, (middle, ABOVE + height + 0.35), sentence)
