"""How much of a lesson is written out: grids, lists and sums that fit, and what is shown of others."""

import numpy as np
import pytest

from convlin.teach.document import Beside, Formula, Grid
from convlin.teach.example import Example, article_example
from convlin.teach.lessons import lessons
from convlin.teach.lessons.parts import grid, listed
from convlin.teach.web.static_page import _beside
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
    assert any(isinstance(block, Formula) for block in lesson.blocks) is written


def test_the_articles_matrix_is_shown_whole_and_of_larger_ones_as_much():
    for name, whole in (("article", True), ("large", False)):
        (lesson,) = lessons("en", [2], EXAMPLES[name]() if name in EXAMPLES else None).lessons
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
