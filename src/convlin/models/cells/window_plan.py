"""What every window of an image costs, before anything runs: one by one, and shared."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from torch import fx

from convlin.display.blocks import Block, Column, Table, Toned, Words
from convlin.display.numbers import bytes_of, count, times
from convlin.display.shown import Shown
from convlin.geometry import ReceptiveField
from convlin.models.cells.analysis import Analysis
from convlin.models.cells.cell_map import Stored
from convlin.models.cells.laid_out import PAYS, Layout, cell_share
from convlin.models.cells.tiles import Tiles
from convlin.models.graph.operations import name_of
from convlin.models.graph.traced import site_of

__all__ = ["PlanRow", "WindowPlan", "plan_of"]

WHOLE_MAP = ("view", "reshape", "mean", "sum", "amax", "group_norm", "instance_norm", "linear",
             "scaled_dot_product_attention")  # fmt: skip


@dataclass(frozen=True)
class PlanRow:
    """One layer: its distinct cells along each axis if they are shared, and its multiply-adds.

    multiply_adds_windows: of all windows one by one. why: what ends the sharing, in words.
    """

    layer: str
    operation: str
    cells: tuple[int, ...]
    share: bool
    multiply_adds_windows: int
    multiply_adds: int
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return vars(self)


@dataclass(frozen=True)
class WindowPlan(Shown):
    """What `sliding_window` does to an image of this size, and what it takes.

    windows: in one image. multiply_adds: of the shared way, multiply_adds_windows: of all windows
    one by one; both of all images. memory: bytes at once, beyond weights, images and scores, where
    no gradients are kept. ends:
    where sharing stops, and why. windows_at_once: how many are one batch from there on.
    """

    window: tuple[int, ...]
    stride: tuple[int, ...]
    image_size: tuple[int, ...]
    images: int
    cells: tuple[int, ...]
    rows: tuple[PlanRow, ...]
    multiply_adds_windows: int
    multiply_adds: int
    memory: int
    tiles: tuple[int, ...]
    windows_at_once: int
    ends: str

    @property
    def windows(self) -> int:
        """How many windows an image has."""
        return math.prod(self.cells)

    @property
    def ratio(self) -> float:
        """How many times fewer multiply-adds the shared way takes; 1.0 where there are none."""
        return self.multiply_adds_windows / self.multiply_adds if self.multiply_adds else 1.0

    @property
    def summary(self) -> tuple[str, ...]:
        """The lines under the table."""
        many = f" of each of {self.images} images" if self.images > 1 else ""
        tiles = math.prod(self.tiles)
        cut = f" in {tiles} tiles ({times(self.tiles)})" if tiles > 1 else ""
        return (
            f"{self.windows:,} windows ({times(self.cells)}){many}, every {times(self.stride)} "
            f"pixels{cut}",
            f"multiply-adds: {count(self.multiply_adds_windows)} one by one, "
            f"{count(self.multiply_adds)} shared: {self.ratio:.2f}× fewer",
            f"sharing ends: {self.ends or 'nowhere'}",
            f"memory: {bytes_of(self.memory)} beyond weights, images and scores; "
            f"{self.windows_at_once} windows at once",
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            **vars(self), "rows": [row.as_dict() for row in self.rows], "windows": self.windows,
            "ratio": self.ratio,
        }  # fmt: skip

    def _blocks(self, width: int | None = None) -> list[Block]:
        columns = [
            Column("layer", "layer"),
            Column("operation", "operation"),
            Column("cells", "", _cells),
            Column("one by one", "multiply_adds_windows", _count, "right"),
            Column("shared", "multiply_adds", _count, "right"),
            Column("fewer", "", _fewer, "right"),
        ]
        first, ratio, *rest = self.summary
        gained = Toned(ratio, "good") if self.ratio > 1.05 else Toned(ratio, "caution")
        return [Table(columns, self.rows), "", first, gained, *rest]


def plan_of(
    analysis: Analysis, tiles: Tiles, field: ReceptiveField, window: tuple[int, ...],
    image_size: tuple[int, ...], images: int,
) -> WindowPlan:  # fmt: skip
    """Return what a person wants to know of a grid in tiles."""
    cells = field.cells(image_size)
    windows = math.prod(cells) * images
    layout = tiles.largest
    alone, steps = set(layout.nodes), {step.stored: step for step in layout.steps}
    multiplied: Counter[fx.Node] = Counter()
    for its, each in tiles.layouts.items():
        times_run = images * math.prod(map(tuple.count, tiles.counts, its))
        for step in each.steps:
            multiplied[step.stored.node] += step.multiply_adds * times_run
    rows, ends = [], ""
    for node in analysis.trace.graph.nodes:
        products = analysis.products.get(node, 0)
        first = node in alone and not ends
        if first:
            ends = _end(node, analysis, layout)
        if not products and not first:
            continue
        one_by_one, value = products * windows, analysis.values[node]
        site, operation, why = site_of(node), _operation(node), ends if first else ""
        if node in analysis.constants:  # weights that are computed, once a run
            rows.append(PlanRow(site, operation, (), False, products, products, why))
        elif node in alone:
            rows.append(PlanRow(site, operation, (), False, one_by_one, one_by_one, why))
        elif value is not None and value.stored in steps:
            whole, shared = _whole_cells(value.stored, tiles), multiplied[node]
            rows.append(PlanRow(site, operation, whole, True, one_by_one, shared))
    return WindowPlan(
        window, field.stride, image_size, images, cells, tuple(rows),
        sum(row.multiply_adds_windows for row in rows), sum(row.multiply_adds for row in rows),
        tiles.memory, tiles.shape, tiles.at_once, ends,
    )  # fmt: skip


def _whole_cells(stored: Stored, tiles: Tiles) -> tuple[int, ...]:
    """Return how many cells along each axis all tiles have together."""
    totals = []
    for axis, its in enumerate(tiles.counts):
        total = 0
        for n in set(its):
            layout = next(each for key, each in tiles.layouts.items() if key[axis] == n)
            step = next(step for step in layout.steps if step.stored is stored)
            total += its.count(n) * step.lattices[axis].cells
        totals.append(total)
    return tuple(totals)


def _end(node: fx.Node, analysis: Analysis, layout: Layout) -> str:
    """Return where and why windows are run one by one from a node on."""
    value = analysis.values[node]
    site, operation = site_of(node), _operation(node)
    where = site if operation in site.rpartition(".")[2] else f"{site}, {operation}"
    if value is None:
        whole = operation in WHOLE_MAP or operation.startswith(("adaptive_", "flatten"))
        why = "it takes the whole map of a window" if whole else "no rule shares what it makes"
        return f"{where}: {why}"
    if all(windows.count == 1 for windows in layout.windows):
        return f"{where}: there is one window"
    if all(w.stride >= size for w, size in zip(layout.windows, analysis.window, strict=True)):
        return f"{where}: no two windows overlap"
    share = cell_share(value.stored, layout.windows)
    if share < PAYS:
        return f"{where}: to share it multiplies more than the windows do"
    return f"{where}: from here on {share:.0%} of the windows' cells are distinct"


def _operation(node: fx.Node) -> str:
    return name_of(node.target) if node.op == "call_function" else "layer"


def _cells(row: PlanRow) -> Words:
    return times(row.cells) if row.share else Toned("per window", "faint")


def _count(products: int) -> str:
    return count(products) if products else ""


def _fewer(row: PlanRow) -> str:
    return f"{row.multiply_adds_windows / row.multiply_adds:.2f}×" if row.multiply_adds else ""
