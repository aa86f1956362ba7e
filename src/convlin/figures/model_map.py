"""`exchange_map`: what became of each layer of a model, and what is proved of it.

A box per layer, in the order they run: its name, what it is, what it was exchanged for. Colour and
mark at its right say what is known of that; a layer that makes windows differ has its reason below.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch

from convlin.display.languages import Texts, figure_texts
from convlin.figures.canvas import Drawing, blank
from convlin.figures.cells import write
from convlin.figures.palette import INK, MARKS, MUTED, VERDICTS, ink_on
from convlin.models.dense.report import Report, Row

__all__ = ["exchange_map"]

WORDS = {
    "title": "What became of each layer",
    "kept": "unchanged",
    "exchanged": "exchanged, not proved",
    "proved": "proved",
    "rounded": "equal up to rounding",
    "measured": "measured",
    "refuted": "refuted",
    "refused": "differs from the sliding window",
    "run": "{count} layers unchanged",
    "equal": "every window's output equals the classifier's",
    "differs": "not every window's output equals the classifier's",
    "parameters": "parameters: {before:,} before, {after:,} after",
}
# Inches: BOX holds LETTERS and the marks, LINE a line of 9 points, PAD is above and below them,
# BETWEEN holds the arrow, ASIDE parts columns. Half has texts collide or stick out, or boxes touch;
# twice is paper wasted.
BOX, LINE, PAD, BETWEEN, ASIDE = 4.3, 0.19, 0.09, 0.16, 0.35
# ABOVE holds the title, STEP a line of the legend with its mark, BELOW two: as above.
MARGIN, ABOVE, BELOW, STEP = 0.35, 0.6, 0.55, 0.23
# Boxes above each other, a page of them: half makes four columns of 40 layers, twice two pages.
TALL = 14
# Layers from which runs of kept ones become one box: three columns, a page on its side. Half hides
# layers that would fit, twice is a strip of six columns.
MANY = 3 * TALL
# Characters of a line: half cuts names and reasons that would fit, twice runs out of the box.
LETTERS, SMALL = 44, 58


@dataclass(frozen=True)
class Box:
    """One box: its lines, the smaller ones below, and the marks at its right."""

    name: str
    lines: tuple[str, ...]
    reasons: tuple[str, ...]
    marks: tuple[str, ...]

    @property
    def height(self) -> float:
        """Its height in inches."""
        return LINE * (1 + len(self.lines) + len(self.reasons)) + 2 * PAD


def exchange_map(report: Report, *, words: Mapping[str, str] | None = None) -> Drawing:
    """Draw the layers of a `fully_convolutional` model as boxes, with what is known of each.

    Of long models, runs of layers that were kept as they are become one box. words: others for
    those of `WORDS`.

    >>> import torch, convlin
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(),
    ...                             torch.nn.Linear(2 * 4 * 6, 5)).eval()
    >>> report = convlin.fully_convolutional(model, window=(1, 6, 8)).report
    >>> exchange_map(report)  # doctest: +ELLIPSIS
    <Drawing size ... with 1 Axes>
    """
    texts = figure_texts("exchange_map", WORDS, words)
    boxes = list(_boxes(report.rows, texts))
    columns = -(-len(boxes) // TALL) or 1
    each = -(-len(boxes) // columns)
    stacks = [boxes[start : start + each] for start in range(0, len(boxes), each or 1)]
    height = max((sum(b.height + BETWEEN for b in stack) for stack in stacks), default=0.0)
    width = 2 * MARGIN + max(len(stacks), 1) * (BOX + ASIDE) - ASIDE
    used = {mark for box in boxes for mark in box.marks} - {"kept"}
    marks = [mark for mark in MARKS if mark in used]
    figure, axes = blank(width, ABOVE + height + STEP * len(marks) + BELOW)
    write(axes, (MARGIN, 0.3), texts["title"], 11, weight="bold", ha="left")
    for n, stack in enumerate(stacks):
        top = ABOVE
        left = MARGIN + n * (BOX + ASIDE)
        for position, box in enumerate(stack):
            if position:
                middle = left + BOX / 2
                axes.annotate(
                    "", (middle, top), (middle, top - BETWEEN),
                    arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 0.8,
                                "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7},
                )  # fmt: skip
            _draw(axes, box, left, top)
            top += box.height + BETWEEN
    _foot(axes, report, marks, texts, ABOVE + height + 0.15)
    return figure


def _boxes(rows: Sequence[Row], texts: Texts) -> Iterable[Box]:
    """Yield a box for each layer, or for each run of kept ones where there are many layers."""
    together = len(rows) > MANY
    for alike, run in itertools.groupby(rows, lambda row: together and _marks(row) == ("kept",)):
        listed = list(run)
        if alike and len(listed) > 2:
            first, last = listed[0].layer, listed[-1].layer
            name = texts("run", count=len(listed))
            yield Box(_short(name), (_short(f"{first} … {last}"),), (), ("kept",))
            continue
        for row in listed:
            unchanged = row.exchange == "kept"
            lines = [texts["kept"]] if unchanged else _wrapped(row.exchange, LETTERS)
            reasons = [] if row.equal else _wrapped(row.why, SMALL)
            name = f"{row.layer}: {row.operation}" if row.layer else row.operation
            yield Box(_short(name), tuple(lines), tuple(reasons), _marks(row))


def _marks(row: Row) -> tuple[str, ...]:
    """Return what is known of a layer, as names of `MARKS`."""
    marks = []
    if not row.equal:
        marks.append("refused")
    if row.verdict is not None:
        marks.append(row.verdict.kind)
    elif row.exchange != "kept":
        marks.append("exchanged")
    return tuple(marks) or ("kept",)


def _draw(axes: Axes, box: Box, left: float, top: float) -> None:
    color = VERDICTS[box.marks[0]]
    quiet = box.marks == ("kept",)
    axes.add_patch(
        FancyBboxPatch(
            (left + 0.04, top + 0.04), BOX - 0.08, box.height - 0.08, facecolor="white",
            boxstyle="round,pad=0.04,rounding_size=0.06", edgecolor=color,
            linewidth=1 if quiet else 2,
        )
    )  # fmt: skip
    line = top + PAD + LINE / 2
    write(axes, (left + 0.14, line), box.name, 9, weight="bold", ha="left")
    for n, text in enumerate((*box.lines, *box.reasons), 1):
        reason = n > len(box.lines)
        color = MUTED if quiet or reason else INK
        point = (left + 0.14, line + LINE * n)
        write(axes, point, text, 7.5 if reason else 9, color, ha="left")
    if not quiet:
        for n, mark in enumerate(box.marks):
            _mark(axes, mark, left + BOX - 0.25 - 0.36 * n, top + box.height / 2)


def _mark(axes: Axes, mark: str, x: float, y: float, radius: float = 0.15) -> None:
    color = VERDICTS[mark]
    axes.add_patch(Circle((x, y), radius, facecolor=color, edgecolor="none", zorder=5))
    write(axes, (x, y), MARKS[mark], 66 * radius, ink_on(color), weight="bold")


def _foot(axes: Axes, report: Report, marks: Sequence[str], texts: Texts, top: float) -> None:
    """Write what the marks mean, and what holds of the whole."""
    for n, mark in enumerate(marks):
        y = top + STEP * n
        _mark(axes, mark, MARGIN + 0.1, y, 0.09)
        write(axes, (MARGIN + 0.27, y), texts[mark], 8, ha="left")
    y = top + STEP * len(marks)
    write(axes, (MARGIN, y), texts["equal" if report.exact else "differs"], 8, ha="left")
    before, after = report.parameters_before, report.parameters_after
    count = texts("parameters", before=before, after=after)
    write(axes, (MARGIN, y + STEP), count, 8, MUTED, ha="left")


def _wrapped(text: str, letters: int) -> list[str]:
    """Return a text in two lines at most."""
    return textwrap.wrap(text, letters, max_lines=2, placeholder=" …")


def _short(name: str) -> str:
    """Return a name's end where it is too long for a line: that tells layers apart."""
    return name if len(name) <= LETTERS else "…" + name[1 - LETTERS :]
