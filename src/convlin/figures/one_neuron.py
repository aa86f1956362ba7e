"""`neuron`: image, kernel, output, and the wires of one output neuron.

Each wire runs from the pixel that is read to the tap it is read through, and from there to the
output; pixel, tap and wire have the colour of the tap's weight. Taps of this neuron that read
nothing, as those in zero padding, stay pale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from convlin.display.languages import Texts, figure_texts
from convlin.figures.canvas import Drawing, blank
from convlin.figures.cells import TINY, Sheet, covering, number, write
from convlin.figures.neuron_layout import Layout, arrange
from convlin.figures.palette import BLANK, MUTED, paper_with, weight_colors
from convlin.figures.plane import on_paper, plane_shape, read_image, require_plane, weight_of
from convlin.matrix import ConvMatrix, Wire
from convlin.matrix.kernel_taps import by_group

__all__ = ["neuron"]

WORDS = {
    "input": "input {rows}×{columns}",
    "kernel": "kernel {rows}×{columns}",
    "output": "output {rows}×{columns}",
    "channel": "channel {channel}",
    "some": "{shown} of {all} input channels are drawn",
    "wires": "output {place} = {value}: {wires:,} wires, where a fully connected layer has {all:,}",
}
SHOWN = 4  # input channels: two would not show the three of a picture, for eight is no room
UNREAD = paper_with(0.05)


def neuron(
    matrix: ConvMatrix,
    image: Any,
    output: SupportsIndex | Sequence[SupportsIndex] = 0,
    *,
    first: int = 0,
    words: Mapping[str, str] | None = None,
) -> Drawing:
    """Draw the input maps, the kernel, the output map, and the wires of one output neuron.

    image: (channels, *size), flattened, or (*size) where there is one channel. output: (channel,
    *position) counted from 0, or its row. first: the number that the figure calls the first
    channel, row and column. words: others for those of `WORDS`. At most four input channels are
    drawn. Numbers stand where all cells of a map have room for them; outputs are
    those of the matrix, without a bias. Raises `Refused` for 3-D, and for an image or output that
    does not fit.

    >>> from convlin import ConvGeometry, ConvMatrix
    >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,)), np.array([[[5, 7]]]), 3)
    >>> neuron(A, [1, 0, 2], output=(0, 1))  # doctest: +ELLIPSIS
    <Drawing size ... with 1 Axes>
    """
    require_plane("neuron", matrix)
    texts = figure_texts("neuron", WORDS, words)
    pixels = read_image("neuron", matrix, image)
    wires = matrix.wires(output)
    channel, *position = _position(output, matrix.output_shape)
    row, column = on_paper(tuple(position))
    values = np.asarray(matrix.dot(pixels.ravel()))
    values = values.reshape(plane_shape(matrix.output_shape))[channel]
    kernel = _kernel(matrix, channel)
    channels = _channels(matrix, wires)
    layout = arrange(
        channels,
        [c for c in channels if c in kernel],
        pixels.shape[1:],
        next(iter(kernel.values())).shape,
        values.shape,
    )
    figure, axes = blank(layout.width, layout.height)
    for c, sheet in layout.inputs.items():
        sheet.shade(axes, pixels[c])
    layout.output.shade(axes, values)
    taps = {c: kernel[c] for c in layout.kernels}
    colors = _colors(taps)
    _draw_wires(axes, layout, wires, (row, column), colors)
    for c, weights in taps.items():
        read = [wire for wire in wires if wire.input[0] == c]
        _draw_taps(axes, layout.kernels[c], layout.inputs[c], weights, pixels[c], read, colors[c])
    layout.output.paint(axes, {(row, column): [BLANK]}, values)
    layout.output.frame(axes, (row, column), (row, column))
    _caption(axes, layout, texts, matrix.geometry.in_channels, first)
    sentence = texts("wires",
        place=str(tuple(first + at for at in (channel, *position))),
        value=number(values[row, column].item()),
        wires=len(wires), all=matrix.shape[1],
    )  # fmt: skip
    write(axes, (layout.width / 2, layout.height - 0.2), sentence)
    return figure


def _position(
    output: SupportsIndex | Sequence[SupportsIndex], shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Return an output that exists as (channel, *position)."""
    if isinstance(output, Sequence | np.ndarray):
        return tuple(int(n) for n in output)
    return tuple(int(n) for n in np.unravel_index(int(output), shape))


def _kernel(matrix: ConvMatrix, channel: int) -> dict[int, np.ndarray]:
    """Return the kernel (rows, columns) of one output channel, by the input channel it meets."""
    geometry = matrix.geometry
    group, own = divmod(channel, geometry.out_channels // geometry.groups)
    slices = by_group(geometry, weight_of(matrix))[group, own]
    rows_columns = plane_shape(slices.shape)[1:]
    return {group * len(slices) + n: part.reshape(rows_columns) for n, part in enumerate(slices)}


def _colors(kernel: dict[int, np.ndarray]) -> dict[int, dict[tuple[int, int], str]]:
    """Return the colour of every weight that is drawn: by input channel, row and column."""
    if not kernel:
        return {}
    size = next(iter(kernel.values())).shape
    walk = iter(weight_colors((1, len(kernel), *size)))
    return {c: {tap: next(walk) for tap in np.ndindex(size)} for c in kernel}


def _channels(matrix: ConvMatrix, wires: Sequence[Wire]) -> list[int]:
    """Return the input channels that are drawn: all, or the first that are read."""
    every = range(matrix.geometry.in_channels)
    if len(every) <= SHOWN:
        return list(every)
    read = sorted({wire.input[0] for wire in wires})
    return (read or list(every))[:SHOWN]


def _draw_wires(
    axes: Axes,
    layout: Layout,
    wires: Sequence[Wire],
    cell: tuple[int, int],
    colors: dict[int, dict[tuple[int, int], str]],
) -> None:
    """Draw every wire whose channel is drawn, from pixel to tap to output."""
    target = layout.output.middle(*cell)
    thin = 1.4 if len(wires) <= 64 else 0.7
    for wire in wires:
        if wire.input[0] not in layout.kernels:
            continue
        pixel = layout.inputs[wire.input[0]].middle(*on_paper(wire.input[1:]))
        tap = layout.kernels[wire.input[0]].middle(*on_paper(wire.tap))
        color = colors[wire.input[0]][on_paper(wire.tap)]
        for start, end in ((pixel, tap), (tap, target)):
            path = Path([start, *_bend(start, end, layout.upright), end], [1, 4, 4, 4])
            axes.add_patch(
                PathPatch(path, facecolor="none", edgecolor=color, linewidth=thin, alpha=0.85,
                          zorder=3, capstyle="round")
            )  # fmt: skip


def _bend(
    start: tuple[float, float], end: tuple[float, float], upright: bool
) -> list[tuple[float, float]]:
    """Return the two control points that let a wire leave and arrive straight."""
    (x0, y0), (x1, y1) = start, end
    if upright:
        half = (y0 + y1) / 2
        return [(x0, half), (x1, half)]
    half = (x0 + x1) / 2
    return [(half, y0), (half, y1)]


def _draw_taps(
    axes: Axes,
    sheet: Sheet,
    image: Sheet,
    kernel: np.ndarray,
    pixels: np.ndarray,
    wires: Sequence[Wire],
    colors: dict[tuple[int, int], str],
) -> None:
    """Colour one channel's taps, and the pixels that its wires read."""
    taps: dict[tuple[int, int], list[str]] = {}
    read: dict[tuple[int, int], list[str]] = {}
    for wire in wires:
        tap = on_paper(wire.tap)
        taps[tap] = [colors[tap]]
        read.setdefault(on_paper(wire.input[1:]), []).append(colors[tap])
    unread = {tap: [UNREAD] for tap in np.ndindex(kernel.shape) if tap not in taps}
    sheet.paint(axes, unread, kernel, MUTED)
    sheet.paint(axes, taps, kernel)
    image.paint(axes, read, pixels)
    if read and image.side < TINY:
        rows, columns = zip(*read, strict=True)
        image.frame(axes, (min(rows), min(columns)), (max(rows), max(columns)))


def _caption(axes: Axes, layout: Layout, texts: Texts, channels: int, first: int) -> None:
    """Write what each column is, and which channel each map."""
    columns = {
        "input": next(iter(layout.inputs.values())),
        "kernel": next(iter(layout.kernels.values()), None),
        "output": layout.output,
    }
    for name, sheet in columns.items():
        if sheet is not None:
            text = texts(name, rows=sheet.rows, columns=sheet.columns)
            middle = (sheet.left + sheet.right) / 2
            above = 0.36 if channels > 1 and name != "output" else 0.18
            write(axes, (middle, sheet.top - above), text, 10, weight="bold", **covering(BLANK))
    if channels > 1:
        for sheets in (layout.inputs, layout.kernels):
            for channel, sheet in sheets.items():
                middle = (sheet.left + sheet.right) / 2
                text = texts("channel", channel=first + channel)
                write(axes, (middle, sheet.top - 0.14), text, 8, MUTED, **covering(BLANK))
    if len(layout.inputs) < channels:
        text = texts("some", shown=len(layout.inputs), all=channels)
        write(axes, (layout.width / 2, 0.16), text, 8, MUTED)
