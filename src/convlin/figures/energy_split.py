"""`energy`: how much of a layer is a convolution, how much is local only, how much is neither.

A few energies are bars. A course of them, over epochs say, is an area of the whole; and below it
lines on a logarithmic scale, where what is small has room too. Parts are told apart by greys,
hatches and dashes: colours are for weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.patches import Patch

from convlin.arguments import shown
from convlin.display.languages import Texts, figure_texts
from convlin.errors import Refusal, Refused
from convlin.figures.canvas import DPI, Drawing
from convlin.figures.cells import covering
from convlin.figures.palette import BLANK, ENERGIES, INK, MUTED, contrast
from convlin.structure import Energy

__all__ = ["energy"]

WORDS = {
    "shared": "shared",
    "local": "local, not shared",
    "off": "off the support",
    "share": "share of ‖W‖²",
}
HATCHES = {"shared": "", "local": "////", "off": ""}
DASHES = {"shared": "solid", "local": "dashed", "off": "dotted"}
# More energies are a course: six bars and a few names are still read, 24 are a wall.
BARS = 12
# Share from which a line is drawn, four decades below the whole: what is smaller is rounding in
# float32; a decade less hides the start of a course.
LEAST = 1e-4
# Factor between two names beside lines on the logarithmic scale, about a line of text: half, below
# 1, turns them round on each other, twice puts a name beside another's line.
APART = 1.8
# Share of a bar from which its number fits: half sticks out of its part, twice leaves out what
# fits.
ROOM = 0.055


def energy(
    energies: Energy | Sequence[Energy] | Mapping[str, Sequence[Energy]],
    labels: Sequence[Any] | None = None,
    *,
    words: Mapping[str, str] | None = None,
    into: FigureBase | None = None,
) -> FigureBase:
    """Draw the energy ‖W‖² as shared, local but not shared, and off the support.

    energies: one, or several in order; or several courses by title, side by side. Up to twelve are
    bars, more a course. labels: a name for each bar, or, in order, the epochs of a course; they
    count from 1 if not given. words: others for those of `WORDS`. into: a figure or subfigure to
    draw on, instead of a new one. Raises `Refused` for no energies, and for labels that do not fit.

    >>> from convlin.structure import nearest
    >>> from convlin import ConvGeometry
    >>> found = nearest(np.eye(4) + 0.1, ConvGeometry(1, 1, kernel=(3,), padding=1), (4,))
    >>> energy(found.energy)  # doctest: +ELLIPSIS
    <Drawing size ... with 1 Axes>
    """
    texts = figure_texts("energy", WORDS, words)
    if isinstance(energies, Energy):
        energies = [energies]
    courses = energies if isinstance(energies, Mapping) else {"": energies}
    shares = {
        title: np.array([one.fractions for one in course]) for title, course in courses.items()
    }
    _require_fit(shares, labels)
    longest = max(map(len, shares.values()))
    wide = 4.6 * len(shares)
    if longest <= BARS:
        rows, size = 1, (wide + 1.4, 1.3 + 0.36 * longest)
    else:
        rows, size = 2, (wide + 1.0, 4.6)
    figure = into
    if figure is None:
        figure = Drawing(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    panels = figure.subplots(rows, len(shares), squeeze=False, height_ratios=[1, 1.6][-rows:])
    for column, (title, course) in enumerate(shares.items()):
        top = panels[0, column]
        if title:
            top.set_title(title, fontsize=10.5, pad=9, color=INK)
        if rows == 1:
            names = [str(n + 1) for n in range(len(course))] if labels is None else labels
            _bars(top, course, names if len(course) > 1 or labels else [""])
        else:
            epochs = np.arange(1, len(course) + 1) if labels is None else np.asarray(labels)
            _area(top, course, epochs)
            _lines(panels[1, column], course, epochs, texts)
            top.sharex(panels[1, column])
    if rows == 1:
        panels[0, 0].set_xlabel(texts["share"], color=INK)
        figure.legend(
            [Patch(**_look(name)) for name in ENERGIES], [texts[name] for name in ENERGIES],
            loc="outside upper center", ncols=3, frameon=False, fontsize=9, labelcolor=INK,
        )  # fmt: skip
    else:
        panels[1, 0].set_ylabel(texts["share"], color=INK)
    return figure


def _require_fit(
    shares: Mapping[str, Float[np.ndarray, "*n 3"]], labels: Sequence[Any] | None
) -> None:
    lengths = {len(course) for course in shares.values()}
    if not lengths or 0 in lengths:
        raise Refused(Refusal("energy", "number of energies", 0, "1 or more"))
    if labels is None:
        return
    if lengths != {len(labels)}:
        allowed = " or ".join(map(str, sorted(lengths)))
        raise Refused(Refusal("energy", "len(labels)", len(labels), allowed, "one for each energy"))
    if max(lengths) > BARS:
        reason = f"more than {BARS} energies are drawn as a course"
        for n, label in enumerate(labels):
            if np.asarray(label).dtype.kind not in "iuf":
                field = f"labels[{n}]"
                raise Refused(Refusal("energy", field, shown(label), "a number", reason))


def _bars(ax: Axes, course: Float[np.ndarray, "n 3"], names: Sequence[Any]) -> None:
    """Draw a bar for each energy, from the top down, with percentages where they fit."""
    rows = np.arange(len(course))
    start = np.zeros(len(course))
    for part, (name, grey) in enumerate(ENERGIES.items()):
        ax.barh(rows, course[:, part], left=start, height=0.72, **_look(name))
        ink = max((INK, BLANK), key=lambda color: contrast(color, grey))
        for row, share in enumerate(course[:, part]):
            if share >= ROOM:
                ax.text(
                    start[row] + share / 2, row, f"{share:.1%}", ha="center",
                    va="center_baseline", fontsize=8.5, color=ink, **covering(grey),
                )  # fmt: skip
        start = start + course[:, part]
    ax.set_yticks(rows, [str(name) for name in names])
    ax.set(xlim=(0, 1), ylim=(len(course) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    ax.tick_params(axis="y", length=0)
    ax.spines[["left"]].set_visible(False)
    _in_ink(ax)


def _area(ax: Axes, course: Float[np.ndarray, "n 3"], epochs: np.ndarray) -> None:
    """Draw the whole as an area of three parts."""
    for name, area in zip(ENERGIES, ax.stackplot(epochs, course.T), strict=True):
        area.set(**_look(name) | {"linewidth": 0})
    ax.set(ylim=(0, 1), xlim=(epochs[0], epochs[-1]))
    ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    ax.tick_params(labelbottom=False)
    _in_ink(ax)


def _lines(ax: Axes, course: Float[np.ndarray, "n 3"], epochs: np.ndarray, texts: Texts) -> None:
    """Draw each part as a line on a logarithmic scale, with its name and last share behind it."""
    height = np.inf
    for part, name in enumerate(ENERGIES):
        line = np.where(course[:, part] >= LEAST, course[:, part], np.nan)
        ax.plot(epochs, line, color=INK, linewidth=1.8, linestyle=DASHES[name])
    for part in np.argsort(-course[-1], kind="stable"):
        name, share = list(ENERGIES)[part], course[-1, part]
        if share >= LEAST:
            height = min(share, height / APART)
            swatch: dict[str, Any] = {"boxstyle": "square,pad=0", **_look(name)}
            for text, shift, behind in (
                ("   ", 6, swatch), (f"{texts[name]} {share:.1%}", 18, None),
            ):  # fmt: skip
                ax.annotate(
                    text, (epochs[-1], height), xytext=(shift, 0), textcoords="offset points",
                    va="center", fontsize=8.5, color=INK, annotation_clip=False, bbox=behind,
                )  # fmt: skip
    ax.set(yscale="log", ylim=(LEAST, 1.6), xlim=(epochs[0], epochs[-1]))
    ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    ax.grid(color=MUTED, alpha=0.25)
    _in_ink(ax)


def _look(name: str) -> dict[str, Any]:
    """Return how the area of a part is filled; its hatch has the colour of its edge."""
    return {
        "facecolor": ENERGIES[name], "edgecolor": BLANK, "linewidth": 0.8, "hatch": HATCHES[name],
    }  # fmt: skip


def _in_ink(ax: Axes) -> None:
    """Draw two axes and their numbers in the ink of the other figures; leave out the other two."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["bottom", "left"]].set_color(INK)
    ax.tick_params(which="both", color=INK, labelcolor=INK)
