"""Windows and tasks in integers, against all pixels and windows counted one by one."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlin.errors import Refused
from convlin.scanning.blanks import Blanks
from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.task_grid import TaskGrid, divisor
from convlin.scanning.windows_with import cells_near, windows_with


@st.composite
def grids(draw):
    ndim = draw(st.integers(1, 3))
    numbers = [draw(st.tuples(*(st.integers(1, most) for _ in range(ndim)))) for most in (17, 6, 7)]
    size, window, stride = numbers
    edges = draw(st.sampled_from(["inside", "pad"]))
    region = None
    if draw(st.booleans()):
        region = tuple(
            tuple(sorted((draw(st.integers(0, n - 1)), draw(st.integers(1, n))))) for n in size
        )
    return size, window, stride, edges, region


def one_by_one(n, p, s, edges, side):
    """Return the starts of windows along an axis, by trying each."""
    found, start = [], 0
    while start + p <= n or (edges == "pad" and start < n and (start == 0 or start - s + p < n)):
        found.append(start)
        start += s
    begin, end = side
    whole = {}
    for number, start in enumerate(found):
        last = start + p if start + p <= n else n
        if start >= begin and last <= end:
            whole[number] = start
    return whole


@settings(max_examples=300, deadline=None)
@given(grids())
def test_the_windows_are_those_found_one_by_one(numbers):
    size, window, stride, edges, region = numbers
    sides = region or tuple((0, n) for n in size)
    axes = [
        one_by_one(n, p, s, edges, side)
        for n, p, s, side in zip(size, window, stride, sides, strict=True)
    ]
    if not all(axes) or any(a >= b for a, b in sides):
        with pytest.raises(Refused):
            CellGrid(size, window, stride, edges, region)
        return
    grid = CellGrid(size, window, stride, edges, region)
    assert grid.cells == tuple((min(axis), max(axis) + 1) for axis in axes)
    assert grid.windows == math.prod(map(len, axes))
    reached = np.zeros(size, bool)
    for starts in itertools.product(*(axis.values() for axis in axes)):
        reached[tuple(slice(a, a + p) for a, p in zip(starts, window, strict=True))] = True
    part = reached[tuple(slice(a, b) for a, b in sides)]
    assert grid.unreached == part.size - part.sum()
    box = grid.pixels_of(grid.cells)
    lasts = [max(axis.values()) + p for axis, p in zip(axes, window, strict=True)]
    assert box == tuple((min(axis.values()), last) for axis, last in zip(axes, lasts, strict=True))
    assert all(n <= padded for n, padded in zip(size, grid.padded, strict=True))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=1, max_size=3), st.data())
def test_every_cell_is_in_one_task_and_tasks_follow_each_other_down_a_strip(sides, data):
    cells = tuple((first, first + n) for first, n in sides)
    shape = tuple(data.draw(st.integers(1, n)) for _, n in sides)
    tasks = TaskGrid(cells, shape)
    seen = np.zeros(tuple(n for _, n in sides), int)
    before = None
    for number, task in enumerate(tasks):
        assert task.index == number and tasks[number] == task
        place = tasks.place(task)
        # a shard of a regular grid, from the array's own start
        assert all(a % n == 0 for (a, _), n in zip(place, shape, strict=True))
        seen[tuple(slice(a, b) for a, b in place)] += 1
        follows = before is not None and before.cells[1:] == task.cells[1:]
        assert task.first == (not follows)
        assert not follows or before.cells[0][1] == task.cells[0][0]
        before = task
    assert (seen == 1).all()
    sizes = {}
    for task in tasks:
        size = tuple(b - a for a, b in task.cells)
        sizes[size] = sizes.get(size, 0) + 1
    kinds = tasks.kinds()
    assert {size: many for size, (_, many) in kinds.items()} == sizes
    assert all(tuple(b - a for a, b in task.cells) == size for size, (task, _) in kinds.items())


def test_a_divisor_divides():
    for number in range(1, 60):
        for most in range(1, 60):
            found = divisor(number, most)
            assert number % found == 0 and found <= most
            assert not any(number % d == 0 for d in range(found + 1, min(most, number) + 1))
    assert divisor(331, 128, 8) == 331


@settings(max_examples=200, deadline=None)
@given(grids(), st.integers(0, 2**32 - 1))
def test_windows_with_a_pixel_are_found_from_any_boxes(numbers, seed):
    size, window, stride, edges, region = numbers
    try:
        grid = CellGrid(size, window, stride, edges, region)
    except Refused:
        return
    random = np.random.default_rng(seed)
    flags = random.random(size) < random.choice([0.02, 0.2])
    expected = np.zeros(grid.counts, bool)
    for cell in np.ndindex(*grid.counts):
        starts = [
            (i + first) * s for i, (first, _), s in zip(cell, grid.cells, stride, strict=True)
        ]
        expected[cell] = flags[
            tuple(slice(a, a + p) for a, p in zip(starts, window, strict=True))
        ].any()
    whole = tuple((0, n) for n in size)
    assert (windows_with(flags, whole, grid, grid.cells) == expected).all()
    # the same, noted box by box
    blanks = Blanks(grid, None)
    cut = [sorted({0, n, *random.integers(0, n + 1, 2).tolist()}) for n in size]
    for box in itertools.product(*(itertools.pairwise(ends) for ends in cut)):
        blanks.note(flags[tuple(slice(a, b) for a, b in box)], box)
        near = cells_near(box, grid)
        for cell in itertools.product(*(range(a, b) for a, b in grid.cells)):
            holds = all(
                max(i * s, a) < min(i * s + p, b)
                for i, s, p, (a, b) in zip(cell, stride, window, box, strict=True)
            )
            if holds:
                assert all(a <= i < b for i, (a, b) in zip(cell, near, strict=True))
    assert (blanks.without_data(grid.cells) == expected).all()


class Looked:
    """A mask that remembers where it was looked at."""

    def __init__(self, flags):
        self.flags, self.boxes = flags, []

    def read(self, box):
        self.boxes.append(box)
        return self.flags[tuple(slice(a, b) for a, b in box)]


@pytest.mark.parametrize(
    "window, stride", [((7, 5), (3, 2)), ((30, 20), (1, 1)), ((4, 4), (9, 11))]
)
def test_a_mask_is_looked_at_a_few_rows_at_a_time(window, stride, monkeypatch):
    monkeypatch.setattr("convlin.scanning.blanks.AT_ONCE", 600)
    mask = np.random.default_rng(0).random((90, 40)) < 0.01
    grid, looked = CellGrid((90, 40), window, stride), Looked(mask)
    found = Blanks(grid, looked).outside(grid.cells)
    for cell in np.ndindex(*grid.counts):
        part = tuple(slice(i * s, i * s + p) for i, s, p in zip(cell, stride, window, strict=True))
        assert found[cell] == (not mask[part].any())
    rows = [b - a for (a, b), _ in looked.boxes]
    assert len(rows) > 1 and max(rows) <= max(window[0], 600 // 20)
