"""`heat_map`: what a classifier says of every window, over the image, each at its window's centre.

Pixel p covers [p, p + 1) of the image. Window i covers [offset + i·stride, offset + i·stride +
size), so that its centre is at offset + i·stride + size/2, and its cell is drawn from side/2 before
that to side/2 behind it. side = min(stride, size): cells touch where windows do.

The rim is no window's centre and stays the image. A map that is stretched over the whole image puts
the cells at its border half a window off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from convlin.arguments import shown, wholes
from convlin.display.languages import Texts, figure_texts
from convlin.errors import Description, Refusal, Refused, printable
from convlin.figures.canvas import Drawing, blank
from convlin.figures.cells import write
from convlin.figures.palette import INK, MUTED, RAMP
from convlin.figures.plane import as_array
from convlin.figures.standings import standings
from convlin.geometry import ReceptiveField

__all__ = ["heat_map"]

WORDS = {
    "image": "the image",
    "size": "{columns}×{rows} pixels",
    "class": "class {number}",
    "wins": "highest in {wins:,} of {windows:,} {windows:window|windows}, up to {best}",
    "frame": "a cell stands at the centre of its window of {columns}×{rows} pixels; "
    "framed: the window of the highest score",
    "values": "score",
}
# Classes that are drawn unless the caller names them: with the image four panels, one row.
SHOWN = 3
ROW = 4  # panels
# Inches: a panel fits into WIDE × TALL, of which half is a row of stamps, twice more than a screen.
# A title needs a COLUMN, the numbers at the bar a LINE: at half they stand on each other.
WIDE, TALL, COLUMN, LINE = 3.05, 3.05, 2.4, 1.1
# Inches: ABOVE holds a title of two lines, BELOW the note, BESIDE the bar and its numbers.
MARGIN, GAP, ABOVE, BELOW, BESIDE, BAR = 0.3, 0.3, 0.56, 0.44, 1.15, 0.16
LETTER = 0.088  # inches of a bold letter of 10 points
# How much of a pixel is its cell's colour. The rest is the image in grey: half of it hides what
# the cell is over, twice makes one colour look like others.
COVER = 0.78
HEAT = LinearSegmentedColormap.from_list("heat", RAMP).with_extremes(bad=(0, 0, 0, 0))


@dataclass(frozen=True)
class Panel:
    """The image's rows × columns pixels, where they stand on the figure, in inches."""

    left: float
    top: float
    rows: int
    columns: int
    pixel: float

    def extent(
        self, rows: tuple[float, float], columns: tuple[float, float]
    ) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top of these pixels [start, stop)."""
        top, bottom = (self.top + y * self.pixel for y in rows)
        left, right = (self.left + x * self.pixel for x in columns)
        return left, right, bottom, top

    @property
    def line(self) -> float:
        """Height of a row of panels, without its titles."""
        return max(LINE, self.rows * self.pixel)

    @property
    def whole(self) -> tuple[float, float, float, float]:
        """Its own extent."""
        return self.extent((0, self.rows), (0, self.columns))


def heat_map(
    scores: Any,
    image: Any,
    field: ReceptiveField,
    *,
    classes: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    words: Mapping[str, str] | None = None,
) -> Drawing:
    """Draw the scores of all windows over their image, a panel for each class.

    scores: (K, h, w), drawn as they are: hand over `scores.softmax(0)` to see probabilities. NaN
    has no colour. image: (3, H, W), (1, H, W) or (H, W), from 0 to 1, as it was before mean and
    standard deviation were taken off. field: that of the network, which says where windows lie.
    classes: which to draw; without, the three that are highest in the most windows. names: one for
    each of the K classes. words: others for those of `WORDS`. Raises `Refused` for what does not
    fit, such as scores of another image.

    >>> from convlin import ReceptiveField
    >>> field = ReceptiveField((32, 32), (4, 4), (0, 0))
    >>> heat_map(np.random.rand(2, 9, 5), np.zeros((64, 48)), field)  # doctest: +ELLIPSIS
    <Drawing size ... with 1 Axes>
    """
    texts = figure_texts("heat_map", WORDS, words)
    values = _scores(scores)
    pixels = _image(image)
    _require_fit(values, pixels, field)
    titles = _titles(names, len(values), texts)
    numbers = None if classes is None else _classes(classes, len(values))
    drawn = standings(values, numbers)[: SHOWN if numbers is None else None]
    ends = _ends(values[[standing.number for standing in drawn]])
    figure, axes, panels = _lay_out(1 + len(drawn), pixels.shape[:2])
    _show(axes, panels[0], pixels)
    size = texts("size", rows=pixels.shape[0], columns=pixels.shape[1])
    _title(axes, panels[0], texts["image"], size)
    grey = pixels.mean(-1) if pixels.ndim == 3 else pixels
    for panel, standing in zip(panels[1:], drawn, strict=True):
        _show(axes, panel, grey)
        _heat(axes, panel, values[standing.number], field, ends)
        _frame(axes, panel, field.reads(standing.cell))
        best = _text(f"{standing.best:.4g}")
        below = texts("wins", wins=standing.wins, windows=values[0].size, best=best)
        _title(axes, panel, titles[standing.number], below)
    width, height = figure.get_size_inches().tolist()
    note = texts("frame", rows=field.size[0], columns=field.size[1])
    write(axes, (MARGIN, height - BELOW / 2), note, 8, MUTED, ha="left")
    _bar(axes, (width - BESIDE, panels[0].line), ends, grey.mean(), texts["values"])
    return figure


def _scores(scores: Any) -> Float[np.ndarray, "k h w"]:
    """Return the score maps as float64."""
    array = as_array(scores, "scores")
    if array.ndim != 3 or 0 in array.shape:
        allowed = "(classes, rows, columns): of one image, so scores[0] of a batch"
        raise Refused(Refusal("heat_map", "scores.shape", array.shape, allowed))
    if array.dtype.kind not in "biuf":
        raise Refused(Refusal("heat_map", "scores.dtype", array.dtype, "real numbers"))
    return array.astype(np.float64)


def _image(image: Any) -> Float[np.ndarray, "rows columns *rgb"]:
    """Return the image as matplotlib takes it, colours last."""
    array = as_array(image, "image")
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[0] not in (1, 3):
        allowed = "(rows, columns), or 1 or 3 channels before them"
        raise Refused(Refusal("heat_map", "image.shape", array.shape, allowed))
    if array.dtype.kind not in "biuf":
        raise Refused(Refusal("heat_map", "image.dtype", array.dtype, "real numbers"))
    pixels = array.astype(np.float64)
    for extreme in (pixels.min(initial=0), pixels.max(initial=1)):
        if not 0 <= extreme <= 1:
            reason = "as it was before mean and standard deviation were taken off"
            value = f"{extreme:.3g}"
            raise Refused(Refusal("heat_map", "image", Description(value), "0 to 1", reason))
    return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)


def _require_fit(
    values: Float[np.ndarray, "k h w"],
    pixels: Float[np.ndarray, "rows columns *rgb"],
    field: ReceptiveField,
) -> None:
    """Raise unless the image has as many windows as there are scores."""
    if not isinstance(field, ReceptiveField) or field.ndim != 2:
        raise Refused(Refusal("heat_map", "field", shown(field), "a ReceptiveField in 2-D"))
    # Of an image of n pixels the windows see n - offset; those that hang over its start by padding
    # hang over its end as far.
    seen = tuple(
        n - offset + max(0, -offset)
        for n, offset in zip(pixels.shape[:2], field.offset, strict=True)
    )
    if field.cells(seen) != values.shape[1:]:
        size = "×".join(map(str, pixels.shape[:2]))
        raise Refused(
            Refusal("heat_map", "scores.shape", values.shape, f"(classes, *{field.cells(seen)})",
                    f"as many windows as an image of {size} pixels has")
        )  # fmt: skip


def _titles(names: Sequence[str] | None, classes: int, texts: Texts) -> list[str]:
    """Return what each class is called."""
    if names is None:
        return [texts("class", number=str(number)) for number in range(classes)]
    listed = [names] if isinstance(names, str) else list(names)
    if len(listed) != classes:
        raise Refused(
            Refusal("heat_map", "number of names", len(listed), f"{classes}, the classes")
        )
    return [printable(str(name)) for name in listed]


def _classes(classes: Sequence[int], count: int) -> tuple[int, ...]:
    numbers = wholes("heat_map", "classes", classes, 0)
    if not numbers or max(numbers) >= count:
        allowed = f"one or more from 0 to {count - 1}"
        raise Refused(Refusal("heat_map", "classes", numbers, allowed))
    return numbers


def _ends(values: Float[np.ndarray, "n h w"]) -> tuple[float, float]:
    """Return the scores of the first and the last colour, apart where all are nearly the same."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise Refused(Refusal("heat_map", "scores", Description("NaN or infinity"), "numbers"))
    low, high = float(finite.min()), float(finite.max())
    room = max(abs(low), abs(high)) / 2 or 0.5
    return (low, high) if high - low > 1e-9 * room else (low - room, high + room)


def _lay_out(count: int, size: tuple[int, int]) -> tuple[Drawing, Axes, list[Panel]]:
    """Return the figure, and where the panels of an image of this size stand on it, in rows."""
    rows, columns = size
    pixel = min(WIDE / columns, TALL / rows)
    first = Panel(MARGIN, ABOVE, rows, columns, pixel)
    across, down = max(COLUMN, columns * pixel) + GAP, first.line + ABOVE
    panels = [
        replace(first, left=MARGIN + n % ROW * across, top=ABOVE + n // ROW * down)
        for n in range(count)
    ]
    lines = -(-count // ROW)
    figure, axes = blank(MARGIN + min(count, ROW) * across + BESIDE, lines * down + BELOW)
    return figure, axes, panels


def _show(axes: Axes, panel: Panel, pixels: Float[np.ndarray, "rows columns *rgb"]) -> None:
    """Draw the image, and a line around it."""
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=panel.whole, aspect="auto", zorder=1)
    _outline(axes, panel.whole, MUTED, 0.6)


def _heat(
    axes: Axes,
    panel: Panel,
    values: Float[np.ndarray, "h w"],
    field: ReceptiveField,
    ends: tuple[float, float],
) -> None:
    """Colour the cells."""
    spans = []
    for axis, (size, stride, offset) in enumerate(
        zip(field.size, field.stride, field.offset, strict=True)
    ):
        side = min(stride, size)
        start = offset + (size - side) / 2
        spans.append((start, start + (values.shape[axis] - 1) * stride + side))
        if stride > size:
            values = _apart(values, axis, size, stride)
    colors = HEAT(Normalize(*ends)(np.ma.masked_where(np.isnan(values), values)))
    colors[..., 3] *= COVER
    extent = panel.extent(*spans)
    axes.imshow(colors, extent=extent, aspect="auto", interpolation="nearest", zorder=2)


def _frame(axes: Axes, panel: Panel, pixels: tuple[tuple[int, int], ...]) -> None:
    """Frame a window, to be seen on light and dark."""
    rows, columns = pixels
    for color, width in (("white", 2.6), (INK, 1.2)):
        _outline(axes, panel.extent(rows, columns), color, width)


def _apart(
    values: Float[np.ndarray, "h w"], axis: int, size: int, stride: int
) -> Float[np.ndarray, "a b"]:
    """Return cells a pixel wide each, where windows leave gaps: `size` pixels, then none."""
    cells = values.shape[axis]
    pixels = np.arange((cells - 1) * stride + size)
    spread = values.take(pixels // stride, axis)
    hole = np.expand_dims(pixels % stride >= size, 1 - axis)
    return np.where(hole, np.nan, spread)


def _outline(
    axes: Axes, extent: tuple[float, float, float, float], color: str, width: float
) -> None:
    left, right, bottom, top = extent
    axes.add_patch(
        Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=color,
                  linewidth=width, joinstyle="miter", zorder=4)
    )  # fmt: skip


def _title(axes: Axes, panel: Panel, name: str, below: str) -> None:
    letters = int(max(COLUMN, panel.columns * panel.pixel) / LETTER)
    text = name if len(name) <= letters else f"{name[: letters - 1]}…"
    write(axes, (panel.left, panel.top - 0.33), text, 10, weight="bold", ha="left")
    write(axes, (panel.left, panel.top - 0.13), below, 8, MUTED, ha="left")


def _bar(
    axes: Axes, at: tuple[float, float], ends: tuple[float, float], grey: float, title: str
) -> None:
    """Draw the colours and their values, as they look on this grey."""
    left, height = at
    top, bottom = ABOVE, ABOVE + height
    colors = HEAT(np.linspace(1, 0, 256))[:, None, :3] * COVER + grey * (1 - COVER)
    axes.imshow(colors, extent=(left, left + BAR, bottom, top), aspect="auto", zorder=2)
    write(axes, (left, top - 0.13), title, 8, MUTED, ha="left")
    low, high = ends
    steps = MaxNLocator(5, steps=[1, 2, 5, 10])  # so that a tick has as many digits as a step
    ticks = [tick for tick in steps.tick_values(low, high) if low <= tick <= high]
    apart = np.abs(ticks).max() / (ticks[1] - ticks[0])
    digits = max(4, 2 + math.floor(math.log10(apart)))  # neighbours differ in the last of them
    for tick in ticks:
        y = bottom + (top - bottom) * (tick - low) / (high - low)
        axes.plot([left + BAR, left + BAR + 0.05], [y, y], color=MUTED, linewidth=0.8)
        write(axes, (left + BAR + 0.09, y), _text(f"{tick:.{digits}g}"), 8, ha="left")


def _text(number: str) -> str:
    """Return a number with a minus sign as long as a plus."""
    return number.replace("-", "−")
