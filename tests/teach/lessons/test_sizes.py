"""How much of a lesson is written out: grids, lists and sums that fit, and what is shown of others."""

import numpy as np
import pytest

from convlin.teach.document import Beside, Formula, Grid, Table
from convlin.teach.example import Example, article_example
from convlin.teach.lessons import lessons
from convlin.teach.lessons.parts import grid, listed
from convlin.teach.lessons.rows import row_by_number
from convlin.teach.web.article_html import _beside
from convlin.teach.words import Words
from teach.lessons.examples import EXAMPLES


@pytest.mark.parametrize(("rows", "whole"), [(12, True), (13, False)])
def test_twelve_rows_are_shown_whole(rows, whole):
    assert (grid(Words("en"), "", np.zeros((rows, 5))).note == "") is whole


def test_a_row_of_long_numbers_is_as_wide_as_a_terminal():
    row = grid(Words("en"), "", np.full((3, 12), 12345)).rows[0]
    assert 60 < len(row) * (len(row[0].text) + 2) <= 76


@pytest.mark.parametrize(("count", "whole"), [(16, True), (17, False)])
def test_sixteen_items_are_listed(count, whole):
    assert ("…" not in listed(Words("en"), range(count))) is whole


@pytest.mark.parametrize(("kernel", "written"), [((3, 3), True), ((3, 4), True), ((4, 4), False)])
def test_twelve_terms_are_written_out(kernel, written):
    example = Example(article_example().image, np.ones(kernel))
    (lesson,) = lessons("en", [1], example).lessons
    sums = [
        block for block in lesson.blocks if isinstance(block, Formula) and "·" in block.lines[0]
    ]
    assert bool(sums) is written


@pytest.mark.parametrize(("lit", "written"), [(12, True), (13, False)])
def test_twelve_lit_weights_are_an_equation(lit, written):
    image = np.zeros((4, 4))
    image.flat[:lit] = 1
    (lesson,) = lessons("en", [1], Example(image, np.ones((4, 4)))).lessons
    equations = [b for b in lesson.blocks if isinstance(b, Formula) and b.lines[0][0] == "w"]
    assert bool(equations) is written


@pytest.mark.parametrize(("side", "written"), [(12, True), (13, False)])
def test_a_row_of_144_pixels_is_written_out(side, written):
    example = Example(np.ones((side, side)), np.ones((3, 3)))
    row = row_by_number(Words("en"), "", example, (0, 0))
    assert (row is not None) is written
    if row is not None:
        assert [cell.text for cell in row.rows[0]] == [str(n) for n in range(1, 13)]
        assert len(row.rows) == 2 * side and {len(cells) for cells in row.rows} == {12}


@pytest.mark.parametrize(("kernel", "told"), [((3, 4), True), ((1, 13), False)])
def test_windows_are_told_up_to_twelve(kernel, told):
    image = np.random.default_rng(0).integers(0, 9, (5, 16)).astype(float)
    (lesson,) = lessons("en", [1], Example(image, np.ones(kernel))).lessons
    title = Words("en")("sparse.windows")
    tables = [block for block in lesson.blocks if isinstance(block, Table)]
    assert (title in [table.title for table in tables]) is told


def test_the_articles_matrix_is_shown_whole_and_of_larger_ones_as_much():
    for name, whole in (("article", True), ("large", False)):
        (lesson,) = lessons("en", [1], EXAMPLES[name]()).lessons
        (matrix,) = [
            shown
            for block in lesson.blocks if isinstance(block, Beside)
            for shown in block.grids if shown.tight
        ]  # fmt: skip
        assert (matrix.note == "") is whole
        assert 16 <= len(matrix.rows) <= 24 and 36 <= len(matrix.rows[0]) <= 40


@pytest.mark.parametrize(("columns", "scrolls"), [(6, False), (7, True)])
def test_what_scrolls_on_a_telephone_is_within_reach_of_the_keyboard(columns, scrolls):
    cells = grid(Words("en"), "", np.zeros((2, columns))).rows
    assert ('tabindex="0"' in next(_beside(Beside((Grid("", cells),))))) is scrolls
